package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// stepTime is how long a step may take before the script gives up.
const stepTime = 30 * time.Second

// scriptProject is the project whose integrations the script updates.
const scriptProject = "payments-prod"

// script plays the whole flow for every type: the command, the form, the approval,
// what Atlas holds afterwards. It prints each step with the time that it took, and
// nothing that was typed.
func script(ctx context.Context, s *sandbox.Sandbox, out io.Writer) error {
	var opens, puts []time.Duration
	for _, typ := range atlassim.Types() {
		f := &flow{
			Sandbox: s, typ: typ, reason: fmt.Sprintf("sandbox: a new %s key, %d", typ, time.Now().UnixNano()),
			engineer: s.Slack.Person(sandbox.Engineer), approver: s.Slack.Person(sandbox.Approver),
			project: s.Atlas.ProjectID(scriptProject), want: atlassim.Sample(typ, "new"),
		}
		delete(f.want, "type") // the address says it, and the form asks for it by itself
		_, _ = fmt.Fprintf(out, "\n%s in %s\n", typ, scriptProject)
		for _, step := range []struct {
			name string
			do   func(context.Context) (time.Duration, error)
		}{
			{"@mira types " + sandbox.Command + " update: the form is open", f.open},
			{"@mira fills it in", f.fill},
			{"@mira submits: the request is kept", f.submit},
			{"the card is in #atlas-approvals: pending", f.pending},
			{"@jo presses Approve: the PUT reaches Atlas", f.approve},
			{"the card says: applied", f.applied},
			{"Atlas holds what was typed", f.check},
		} {
			took, err := f.step(ctx, step.do)
			if err != nil {
				return fmt.Errorf("%s: %s: %w\nthe end of the bot's log:\n%s", typ, step.name, err, s.LastWords())
			}
			_, _ = fmt.Fprintf(out, "  %9s  %s\n", millis(took), step.name)
		}
		opens, puts = append(opens, f.opened), append(puts, f.put)
	}
	if broken := s.Slack.Violations(); len(broken) > 0 {
		return fmt.Errorf("the bot broke a rule of Slack's: %s", broken[0])
	}
	_, _ = fmt.Fprintf(out, "\nmedian of %d types, on loopback\n  %9s  command to open form\n  %9s  click to PUT, without Atlas' own time\n\nevery type applied\n",
		len(opens), millis(median(opens)), millis(median(puts)))
	return nil
}

// A flow is one type's way from the command to what Atlas holds.
type flow struct {
	*sandbox.Sandbox
	typ, reason        string
	project            string
	engineer, approver *slacksim.Person
	want               map[string]any
	card               slacksim.Message
	opened, put        time.Duration
}

func (f *flow) step(ctx context.Context, do func(context.Context) (time.Duration, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	begun := time.Now()
	took, err := do(ctx)
	return cmp.Or(took, time.Since(begun)), err
}

// open types the command. The time is from the command to the form, by the clock of
// the stand-in: the ack may come later than the form.
func (f *flow) open(ctx context.Context) (time.Duration, error) {
	before := len(f.Slack.Log())
	answer, err := f.engineer.Command(ctx, sandbox.Incidents, sandbox.Command, "update")
	if err != nil {
		return 0, err
	}
	if answer.Message != nil {
		return 0, fmt.Errorf("the answer is a message, not a form: %s", answer.Message.PlainText())
	}
	if _, err := f.engineer.WaitView(ctx, isForm); err != nil {
		return 0, err
	}
	var typed time.Time
	for _, e := range f.Slack.Log()[before:] {
		switch {
		case e.Kind == "command" && e.Actor == sandbox.Engineer:
			typed = e.At
		case e.Kind == "view" && e.Actor == sandbox.Engineer && e.Method == "modal" && !typed.IsZero():
			f.opened = e.At.Sub(typed)
			return f.opened, nil
		}
	}
	return 0, errors.New("the log of the Slack stand-in does not show the form")
}

func isForm(v slacksim.View) bool { return v.CallbackID == "update_integration" }

// fill chooses type and project, as the form asks first, waits for the inputs of
// the type, and fills them in by what they are.
func (f *flow) fill(ctx context.Context) (time.Duration, error) {
	if err := f.engineer.Select(ctx, "type", f.typ); err != nil {
		return 0, err
	}
	if err := f.engineer.Select(ctx, "project", f.project); err != nil {
		return 0, err
	}
	form, err := f.engineer.WaitView(ctx, func(v slacksim.View) bool {
		inputs := inputsOf(v)
		for name := range f.want {
			if inputs[name] == "" {
				return false
			}
		}
		return isForm(v) && !strings.Contains(string(v.JSON), "Reading")
	})
	if err != nil {
		return 0, fmt.Errorf("the form does not have every field of the type: %w", err)
	}
	inputs := inputsOf(form)
	for _, name := range slices.Sorted(maps.Keys(f.want)) {
		value := fmt.Sprint(f.want[name])
		if strings.HasSuffix(inputs[name], "_input") {
			err = f.engineer.Type(name, value)
		} else {
			err = f.engineer.Select(ctx, name, value)
		}
		if err != nil {
			return 0, fmt.Errorf("fill in %s: it is not taken", name) // err may hold the value
		}
	}
	return 0, f.engineer.Type("reason", f.reason)
}

// inputsOf are the types of a view's inputs, by action_id.
func inputsOf(v slacksim.View) map[string]string {
	var view struct {
		Blocks []struct {
			Element struct {
				Type     string `json:"type"`
				ActionID string `json:"action_id"`
			} `json:"element"`
		} `json:"blocks"`
	}
	_ = json.Unmarshal(v.JSON, &view) // what cannot be read has no inputs
	inputs := map[string]string{}
	for _, b := range view.Blocks {
		inputs[b.Element.ActionID] = b.Element.Type
	}
	return inputs
}

func (f *flow) submit(ctx context.Context) (time.Duration, error) {
	result, err := f.engineer.Submit(ctx)
	switch {
	case err != nil:
		return 0, err
	case result.Trouble != "":
		return 0, errors.New(result.Trouble)
	case len(result.Errors) > 0:
		return 0, fmt.Errorf("the form shows an error at %s", strings.Join(slices.Sorted(maps.Keys(result.Errors)), ", "))
	}
	return 0, nil
}

func (f *flow) pending(ctx context.Context) (time.Duration, error) {
	var err error
	f.card, err = f.approver.WaitMessage(ctx, sandbox.Approvals, func(m slacksim.Message) bool {
		_, there := m.Button("approve")
		return there && f.about(m) && strings.Contains(m.PlainText(), "*pending*")
	})
	return 0, err
}

func (f *flow) about(m slacksim.Message) bool {
	return m.ThreadTS == "" && !m.Ephemeral && strings.Contains(m.PlainText(), f.reason)
}

// approve clicks, and measures until Atlas has the PUT. What Atlas took to answer
// the calls before that is its own time.
func (f *flow) approve(ctx context.Context) (time.Duration, error) {
	callsBefore, eventsBefore := len(f.Atlas.Calls()), len(f.Slack.Log())
	if err := f.approver.Click(ctx, f.card, "approve"); err != nil {
		return 0, err
	}
	var clicked time.Time
	for _, e := range f.Slack.Log()[eventsBefore:] {
		if e.Kind == "click" && e.Actor == sandbox.Approver {
			clicked = e.At
		}
	}
	if clicked.IsZero() {
		return 0, errors.New("the log of the Slack stand-in does not show the click")
	}
	err := f.Atlas.WaitCalls(ctx, func(calls []atlassim.Call) bool {
		var others time.Duration
		for _, c := range calls[callsBefore:] {
			if c.Method == http.MethodPut && c.GroupID == f.project && c.Type == f.typ {
				f.put = c.At.Sub(clicked) - others
				return true
			}
			others += c.Duration
		}
		return false
	})
	return f.put, err
}

func (f *flow) applied(ctx context.Context) (time.Duration, error) {
	card, err := f.approver.WaitMessage(ctx, sandbox.Approvals, func(m slacksim.Message) bool {
		return f.about(m) && (strings.Contains(m.PlainText(), "*applied*") || strings.Contains(m.PlainText(), "*failed*"))
	})
	if err == nil && !strings.Contains(card.PlainText(), "*applied*") {
		err = errors.New("the card says: failed")
	}
	return 0, err
}

func (f *flow) check(context.Context) (time.Duration, error) {
	held, there := f.Atlas.Integration(f.project, f.typ)
	if !there {
		return 0, errors.New("there is no such integration in Atlas")
	}
	for name, value := range f.want {
		if !reflect.DeepEqual(held[name], value) {
			return 0, fmt.Errorf("%s is not what was typed", name)
		}
	}
	return 0, nil
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
