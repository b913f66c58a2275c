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

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slackstand"
)

// stepTime is how long a step may take before the script gives up.
const stepTime = 30 * time.Second

// scriptProject is the project whose integrations the script updates.
const scriptProject = "payments-prod"

// script plays the whole flow for every type: the command, the form, the approval,
// what Atlas holds afterwards. It prints each step with the time that it took, and
// nothing that was typed.
func script(ctx context.Context, opt options, out, stderr io.Writer) error {
	s, err := raise(ctx, opt, out, stderr)
	if err != nil {
		return err
	}
	err = s.play(ctx, out)
	if err != nil {
		err = errors.Join(err, s.lastWords())
	}
	return errors.Join(err, s.close())
}

func (s *stage) play(ctx context.Context, out io.Writer) error {
	var opens, puts []time.Duration
	for _, typ := range atlassim.Types() {
		r := &run{
			stage: s, out: out, typ: typ, reason: fmt.Sprintf("sandbox: a new %s key, %d", typ, time.Now().UnixNano()),
			engineer: s.slack.Person(engineer), approver: s.slack.Person(approver),
			project: s.atlas.ProjectID(scriptProject), want: atlassim.Sample(typ, "new"),
		}
		delete(r.want, "type") // the address says it, and the form asks for it by itself
		_, _ = fmt.Fprintf(out, "\n%s in %s\n", typ, scriptProject)
		for _, step := range []struct {
			name string
			do   func(context.Context) (time.Duration, error)
		}{
			{"@mira types " + command + " update: the form is open", r.open},
			{"@mira fills it in", r.fill},
			{"@mira submits: the request is kept", r.submit},
			{"the card is in #atlas-approvals: pending", r.pending},
			{"@jo presses Approve: the PUT reaches Atlas", r.approve},
			{"the card says: applied", r.applied},
			{"Atlas holds what was typed", r.check},
		} {
			took, err := r.step(ctx, step.do)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", typ, step.name, err)
			}
			_, _ = fmt.Fprintf(out, "  %9s  %s\n", millis(took), step.name)
		}
		opens, puts = append(opens, r.opened), append(puts, r.put)
	}
	if broken := s.slack.Violations(); len(broken) > 0 {
		return fmt.Errorf("the bot broke a rule of Slack's: %s", broken[0])
	}
	_, _ = fmt.Fprintf(out, "\nmedian of %d types, on loopback\n  %9s  command to open form\n  %9s  click to PUT, without Atlas' own time\n\nevery type applied\n",
		len(opens), millis(median(opens)), millis(median(puts)))
	return nil
}

// A run is one type's way from the command to what Atlas holds.
type run struct {
	*stage
	out                io.Writer
	typ, reason        string
	project            string
	engineer, approver *slacksim.Person
	want               map[string]any
	card               slacksim.Message
	opened, put        time.Duration
}

func (r *run) step(ctx context.Context, do func(context.Context) (time.Duration, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	begun := time.Now()
	took, err := do(ctx)
	return cmp.Or(took, time.Since(begun)), err
}

// open types the command. The time is from the command to the form, by the clock of
// the stand-in: the ack may come later than the form.
func (r *run) open(ctx context.Context) (time.Duration, error) {
	before := len(r.slack.Log())
	answer, err := r.engineer.Command(ctx, incidentsChannel, command, "update")
	if err != nil {
		return 0, err
	}
	if answer.Message != nil {
		return 0, fmt.Errorf("the answer is a message, not a form: %s", answer.Message.PlainText())
	}
	if _, err := r.engineer.WaitView(ctx, isForm); err != nil {
		return 0, err
	}
	var typed time.Time
	for _, e := range r.slack.Log()[before:] {
		switch {
		case e.Kind == "command" && e.Actor == engineer:
			typed = e.At
		case e.Kind == "view" && e.Actor == engineer && e.Method == "modal" && !typed.IsZero():
			r.opened = e.At.Sub(typed)
			return r.opened, nil
		}
	}
	return 0, errors.New("the log of the Slack stand-in does not show the form")
}

func isForm(v slacksim.View) bool { return v.CallbackID == "update_integration" }

// fill chooses type and project, as the form asks first, waits for the inputs of
// the type, and fills them in by what they are.
func (r *run) fill(ctx context.Context) (time.Duration, error) {
	if err := r.engineer.Select(ctx, "type", r.typ); err != nil {
		return 0, err
	}
	if err := r.engineer.Select(ctx, "project", r.project); err != nil {
		return 0, err
	}
	form, err := r.engineer.WaitView(ctx, func(v slacksim.View) bool {
		inputs := inputsOf(v)
		for name := range r.want {
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
	for _, name := range slices.Sorted(maps.Keys(r.want)) {
		value := fmt.Sprint(r.want[name])
		if strings.HasSuffix(inputs[name], "_input") {
			err = r.engineer.Type(name, value)
		} else {
			err = r.engineer.Select(ctx, name, value)
		}
		if err != nil {
			return 0, fmt.Errorf("fill in %s: it is not taken", name) // err may hold the value
		}
	}
	return 0, r.engineer.Type("reason", r.reason)
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

func (r *run) submit(ctx context.Context) (time.Duration, error) {
	result, err := r.engineer.Submit(ctx)
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

func (r *run) pending(ctx context.Context) (time.Duration, error) {
	var err error
	r.card, err = r.approver.WaitMessage(ctx, approvalsChannel, func(m slacksim.Message) bool {
		_, there := m.Button("approve")
		return there && r.about(m) && strings.Contains(m.PlainText(), "*pending*")
	})
	return 0, err
}

func (r *run) about(m slacksim.Message) bool {
	return m.ThreadTS == "" && !m.Ephemeral && strings.Contains(m.PlainText(), r.reason)
}

// approve clicks, and measures until Atlas has the PUT. What Atlas took to answer
// the calls before that is its own time.
func (r *run) approve(ctx context.Context) (time.Duration, error) {
	callsBefore, eventsBefore := len(r.atlas.Calls()), len(r.slack.Log())
	if err := r.approver.Click(ctx, r.card, "approve"); err != nil {
		return 0, err
	}
	var clicked time.Time
	for _, e := range r.slack.Log()[eventsBefore:] {
		if e.Kind == "click" && e.Actor == approver {
			clicked = e.At
		}
	}
	if clicked.IsZero() {
		return 0, errors.New("the log of the Slack stand-in does not show the click")
	}
	err := r.atlas.WaitCalls(ctx, func(calls []atlassim.Call) bool {
		var others time.Duration
		for _, c := range calls[callsBefore:] {
			if c.Method == http.MethodPut && c.GroupID == r.project && c.Type == r.typ {
				r.put = c.At.Sub(clicked) - others
				return true
			}
			others += c.Duration
		}
		return false
	})
	return r.put, err
}

func (r *run) applied(ctx context.Context) (time.Duration, error) {
	card, err := r.approver.WaitMessage(ctx, approvalsChannel, func(m slacksim.Message) bool {
		return r.about(m) && (strings.Contains(m.PlainText(), "*applied*") || strings.Contains(m.PlainText(), "*failed*"))
	})
	if err == nil && !strings.Contains(card.PlainText(), "*applied*") {
		err = errors.New("the card says: failed")
	}
	return 0, err
}

func (r *run) check(context.Context) (time.Duration, error) {
	held, there := r.atlas.Integration(r.project, r.typ)
	if !there {
		return 0, errors.New("Atlas has no such integration")
	}
	for name, value := range r.want {
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
