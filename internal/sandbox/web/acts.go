package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
)

// actTime is how long something that somebody does may take: more than Slack waits
// for the bot.
const actTime = 15 * time.Second

// acts are what people can do, by the last part of the path.
var acts = map[string]func(*Page, context.Context, *slacksim.Person, url.Values) error{
	"command":   (*Page).command,
	"click":     (*Page).click,
	"clickhome": (*Page).clickHome,
	"home":      (*Page).openHome,
	"view":      (*Page).clickView,
	"type":      (*Page).typeIn,
	"select":    (*Page).choose,
	"submit":    (*Page).submit,
	"close":     (*Page).closeView,
}

// act has somebody do something in their Slack. What goes wrong is for them, where
// Slack would tell them.
func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	do, known := acts[r.PathValue("act")]
	if !known {
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this is no form", http.StatusBadRequest)
		return
	}
	as := r.PostForm.Get("as")
	if !slices.ContainsFunc(p.s.People, func(one sandbox.Person) bool { return one.ID == as }) {
		http.Error(w, "there is no such person", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	p.say(as, "")
	if err := do(p, ctx, p.s.Slack.Person(as), r.PostForm); err != nil {
		p.say(as, inWords(err))
	}
	p.hub.tell()
	w.WriteHeader(http.StatusNoContent)
}

// inWords is an error as Slack's client has it.
func inWords(err error) string {
	if undelivered, ok := errors.AsType[*slacksim.DeliveryError](err); ok {
		if undelivered.Type == "slash_commands" {
			return sandbox.Command + " failed with the error “dispatch_failed”: the bot did not answer within three seconds."
		}
		return "We had some trouble connecting. Try again? (The bot did not answer within three seconds.)"
	}
	return err.Error()
}

func (p *Page) command(ctx context.Context, who *slacksim.Person, form url.Values) error {
	typed := strings.TrimSpace(form.Get("text"))
	word, rest, _ := strings.Cut(typed, " ")
	switch {
	case typed == "":
		return nil
	case !strings.HasPrefix(typed, "/"):
		return errors.New("this Slack knows nothing but the bot's command: " + sandbox.Command)
	case word != sandbox.Command:
		return fmt.Errorf("%s is not a valid command. In here there is only %s", word, sandbox.Command)
	}
	_, err := who.Command(ctx, form.Get("channel"), word, strings.TrimSpace(rest))
	return err //nolint:wrapcheck // it is shown as it is
}

func (p *Page) click(ctx context.Context, who *slacksim.Person, form url.Values) error {
	for _, m := range who.Messages(form.Get("channel")) {
		if m.TS == form.Get("ts") {
			return who.Click(ctx, m, form.Get("action")) //nolint:wrapcheck // it is shown as it is
		}
	}
	return errors.New("this message is gone")
}

func (p *Page) clickHome(ctx context.Context, who *slacksim.Person, form url.Values) error {
	return who.ClickHome(ctx, form.Get("action")) //nolint:wrapcheck // it is shown as it is
}

func (p *Page) openHome(ctx context.Context, who *slacksim.Person, _ url.Values) error {
	return who.OpenHome(ctx) //nolint:wrapcheck // it is shown as it is
}

func (p *Page) clickView(ctx context.Context, who *slacksim.Person, form url.Values) error {
	return who.ClickView(ctx, form.Get("action")) //nolint:wrapcheck // it is shown as it is
}

// typeIn takes over what stands in text inputs: all fields of the form but those
// that say who and where.
func (p *Page) typeIn(_ context.Context, who *slacksim.Person, form url.Values) error {
	return typeAll(who, form)
}

func typeAll(who *slacksim.Person, form url.Values) error {
	v, open := who.View()
	if !open {
		return nil // it was closed meanwhile
	}
	for _, b := range readBlocks(blocksOf(v)) {
		e := b.Element
		if e == nil || !strings.HasSuffix(e.Type, "_input") || !form.Has(e.ActionID) {
			continue
		}
		value := form.Get(e.ActionID)
		if e.Multiline {
			value = strings.ReplaceAll(value, "\r\n", "\n") // as browsers send it
		}
		if err := who.Type(e.ActionID, value); err != nil {
			return err //nolint:wrapcheck // it is shown as it is
		}
	}
	return nil
}

// choose changes what is chosen: to the values, or by one that is added or dropped.
func (p *Page) choose(ctx context.Context, who *slacksim.Person, form url.Values) error {
	if err := typeAll(who, form); err != nil {
		return err
	}
	action, values := form.Get("select"), form["value"]
	if form.Has("add") || form.Has("drop") {
		values = chosenIn(who, action, form.Get("add"), form.Get("drop"))
	}
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	return who.Select(ctx, action, values...) //nolint:wrapcheck // it is shown as it is
}

func chosenIn(who *slacksim.Person, action, add, drop string) []string {
	var values []string
	v, _ := who.View()
	single := false
	for _, b := range readBlocks(blocksOf(v)) {
		if b.Element == nil || b.Element.ActionID != action {
			continue
		}
		single = !strings.HasPrefix(b.Element.Type, "multi_")
		for _, o := range v.State[b.ID][action].Selected {
			if o.Value != drop && o.Value != add {
				values = append(values, o.Value)
			}
		}
	}
	if add == "" {
		return values
	}
	if single {
		return []string{add}
	}
	return append(values, add)
}

func (p *Page) submit(ctx context.Context, who *slacksim.Person, form url.Values) error {
	v, open := who.View()
	if !open || v.ID != form.Get("view") {
		return errors.New("this view was closed meanwhile")
	}
	if err := typeAll(who, form); err != nil {
		return err
	}
	p.setErrors(v.ID, nil)
	v, _ = who.View()
	// Before the submission: its request may be told about before it returns.
	p.keepKeys(v.ID, secretsIn(v))
	result, err := who.Submit(ctx)
	if refused, ok := errors.AsType[*slacksim.ClientError](err); ok {
		p.setErrors(v.ID, refused.Errors)
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // it is shown as it is
	}
	p.setErrors(v.ID, result.Errors)
	if result.Trouble != "" {
		return errors.New(result.Trouble)
	}
	return nil
}

// secretsIn are what stands in the inputs of a view that are for secrets.
func secretsIn(v slacksim.View) []key {
	var keys []key
	for block, actions := range v.State {
		typ, _, _ := strings.Cut(block, ".")
		t, known := atlas.FindType(typ)
		if !known {
			continue
		}
		for name, value := range actions {
			if f, is := t.Field(name); is && f.Secret() && value.Value != "" {
				keys = append(keys, key{f.Label, value.Value})
			}
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.label, b.label) })
	return keys
}

func (p *Page) closeView(ctx context.Context, who *slacksim.Person, _ url.Values) error {
	return who.CloseView(ctx) //nolint:wrapcheck // it is shown as it is
}
