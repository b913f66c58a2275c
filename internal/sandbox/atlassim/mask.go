package atlassim

import (
	"net/url"
	"strings"
)

// shown says how a field comes back.
type shown int

const (
	plain       shown = iota // as it is
	plainOrNull              // as it is, null when not set
	tail                     // stars of the same length, the last four characters kept
	urlTail                  // scheme and host kept, the rest four stars and, but for Quirks.BareURLs, the last four characters
	template                 // unknown for values: as Quirks.Templates says; null when not set
	never                    // not at all
)

// Templates says how the templates of a webhook come back, which nobody has seen yet.
type Templates int

// What Atlas may do with a template that is set.
const (
	TemplatesMasked Templates = iota // like the webhook's secret
	TemplatesPlain
	TemplatesHidden // null, as when not set
	TemplatesStars  // four stars, whatever the length
	TemplatesTail   // four stars and the last four characters, as in a URL
)

// show is an integration as the API shows it. Fields that are not in our table,
// those of unknown types among them, are shown as they are.
func (q *Quirks) show(in *integration) map[string]any {
	out := map[string]any{}
	for name, v := range in.settings {
		out[name] = v
	}
	for i := range types[in.typ] {
		f := &types[in.typ][i]
		v, ok := out[f.name]
		delete(out, f.name)
		if v, ok = q.showField(f, v, ok && v != nil); ok {
			out[f.name] = v
		}
	}
	out["id"], out["type"] = in.id, in.typ
	return out
}

func (q *Quirks) showField(f *field, v any, set bool) (any, bool) {
	s, _ := v.(string)
	switch {
	case f.shown == never:
		return nil, false
	case !set:
		return nil, f.shown == plainOrNull || f.shown == template
	case f.shown == tail:
		return maskTail(s), true
	case f.shown == urlTail:
		return q.maskURL(s), true
	case f.shown == template:
		return q.Templates.show(s), true
	}
	return v, true
}

func (t Templates) show(s string) any {
	const stars = "****"
	switch t {
	case TemplatesMasked:
		return maskTail(s)
	case TemplatesHidden:
		return nil
	case TemplatesStars:
		return stars
	case TemplatesTail:
		return stars + strings.TrimLeft(maskTail(s), "*")
	}
	return s
}

// maskTail keeps length and last four characters. What happens to a value that has
// no more than four is not known; here nothing of it is shown.
func maskTail(s string) string {
	r := []rune(s)
	if len(r) <= 4 {
		return strings.Repeat("*", len(r))
	}
	return strings.Repeat("*", len(r)-4) + string(r[len(r)-4:])
}

// maskURL keeps scheme and host. A path that has no more than four characters is
// not shown at all.
func (q *Quirks) maskURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return maskTail(s)
	}
	origin := u.Scheme + "://" + u.Host + "/****"
	_, rest, _ := strings.Cut(s, "://")
	_, rest, _ = strings.Cut(rest, "/")
	if r := []rune(rest); len(r) > 4 && !q.BareURLs {
		return origin + string(r[len(r)-4:])
	}
	return origin
}
