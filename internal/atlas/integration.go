package atlas

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// A Project is what the API calls a group.
type Project struct {
	ID   string `json:"id"` // 24 hexadecimal digits
	Name string `json:"name"`
}

// An Integration is what Atlas shows of one. It never holds a secret: whatever
// Atlas answers in a secret field, masked or in clear, becomes a Mask at once.
type Integration struct {
	Type    string            `json:"type"`
	ID      string            `json:"id,omitempty"` // changes with every update
	Plain   map[string]string `json:"plain,omitempty"`
	Masks   map[string]Mask   `json:"masks,omitempty"`
	Unknown []string          `json:"unknown,omitempty"` // names of fields that have a value and are not in the catalog
}

// A Mask is what may be known of a secret.
type Mask struct {
	Origin   string `json:"origin,omitempty"`    // of a URL: scheme and host
	Length   int    `json:"length,omitempty"`    // in characters; 0 if unknown
	LastFour string `json:"last_four,omitempty"` // empty where it would give too much away
}

// String shows the mask as people see it.
func (m Mask) String() string {
	if m.Origin != "" {
		return m.Origin + "/••••" + m.LastFour
	}
	return "••••" + m.LastFour
}

// Mask reduces a new value to what may be known of it.
func (f *Field) Mask(value secret.Text) Mask {
	switch f.Kind {
	case SecretURL:
		return Mask{Origin: origin(value.Reveal()), LastFour: afterHost(value).LastFour()}
	case Template:
		return Mask{Length: value.Len()}
	default:
		return Mask{Length: value.Len(), LastFour: value.LastFour()}
	}
}

// shown reduces to a mask what Atlas answered in a secret field. Atlas shows the
// last four of a masked value itself; of one that it answers in clear, no more
// is kept than of one that we were given.
func (f *Field) shown(value string) Mask {
	stars := strings.LastIndex(value, "****")
	if stars < 0 {
		return f.Mask(secret.New(value))
	}
	lastFour := strings.TrimLeft(value[stars:], "*")
	if utf8.RuneCountInString(lastFour) > 4 {
		lastFour = "" // not a mask that we know
	}
	switch f.Kind {
	case SecretURL:
		return Mask{Origin: origin(value), LastFour: lastFour}
	case Template: // nobody has seen how Atlas masks it, so the stars may be of any number
		return Mask{LastFour: lastFour}
	}
	return Mask{Length: utf8.RuneCountInString(value), LastFour: lastFour}
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// afterHost is what is secret of a URL; the rest may be seen. Of anything else all is.
func afterHost(address secret.Text) secret.Text {
	_, rest, isURL := strings.Cut(address.Reveal(), "://")
	if !isURL {
		return address
	}
	path := strings.IndexAny(rest, "/?#")
	if path < 0 {
		return secret.Text{}
	}
	return secret.New(rest[path:])
}

// Fits reports whether the mask can be that of the value.
func (m Mask) Fits(value secret.Text) bool {
	if m.Origin != "" && m.Origin != origin(value.Reveal()) {
		return false
	}
	if m.Length != 0 && m.Length != value.Len() {
		return false
	}
	return strings.HasSuffix(value.Reveal(), m.LastFour)
}

// tells reports whether a mask tells its value from others. The host of a URL does not:
// every channel of a workspace has the same. Nor does the end of a template: JSON ends
// in quotes and braces.
func (f *Field) tells(mask Mask) bool {
	return mask.Length != 0 || mask.LastFour != "" && f.Kind != Template
}

// Same reports whether two answers show the same integration, unchanged in
// between. Atlas has no version to compare; its id changes with every update.
func (i *Integration) Same(j *Integration) bool {
	return i.Type == j.Type && i.ID == j.ID && maps.Equal(i.Plain, j.Plain) && maps.Equal(i.Masks, j.Masks)
}

// A Proof is how far what Atlas shows bears out what was sent.
type Proof struct {
	Wrong  []string // labels of the fields that show something else
	Kept   []string // labels of the plain fields that were left empty and that still show a value
	Unseen []string // labels of the secrets that were sent and of which Atlas does not show enough to tell them from others
}

// Holds reports whether nothing that Atlas shows speaks against the settings.
func (p Proof) Holds() bool { return len(p.Wrong) == 0 }

// Full reports whether everything that was asked for is borne out.
func (p Proof) Full() bool { return len(p.Wrong) == 0 && len(p.Kept) == 0 && len(p.Unseen) == 0 }

// Prove holds what Atlas shows against what was sent: plain values must be equal,
// secrets must fit their masks. A plain value that was not sent and is there all the same
// does not speak against the settings: Atlas may keep what it is not sent, and fills in
// the team of Slack itself. A secret that was not sent is not looked at.
func (s *Settings) Prove(shown *Integration) Proof {
	var p Proof
	for i := range s.Type.Fields {
		f := &s.Type.Fields[i]
		value := s.value(f)
		if value == "" {
			if shown.Plain[f.Name] != "" {
				p.Kept = append(p.Kept, f.Label)
			}
			continue
		}
		if !f.Secret() {
			if shown.plain(f) != value {
				p.Wrong = append(p.Wrong, f.Label)
			}
			continue
		}
		switch mask, seen := shown.Masks[f.Name]; {
		case !seen:
			p.Unseen = append(p.Unseen, f.Label)
		case !mask.Fits(s.Secrets[f.Name]):
			p.Wrong = append(p.Wrong, f.Label)
		case !f.tells(mask):
			p.Unseen = append(p.Unseen, f.Label)
		}
	}
	return p
}

// plain is what Atlas shows of a field that everybody may see. A toggle that it
// does not show is off.
func (i *Integration) plain(f *Field) string {
	value := i.Plain[f.Name]
	if value == "" && f.Kind == Toggle {
		return "false"
	}
	return value
}

// decodeIntegration reads one integration from an answer of Atlas, leniently:
// fields may be missing, null or new.
func decodeIntegration(data []byte) (*Integration, error) {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, errors.New("atlas answered with something that is not an integration")
	}
	name, _ := fields["type"].(string)
	shown := &Integration{Type: name}
	shown.ID, _ = fields["id"].(string)
	t, known := FindType(name)
	if !known || t.Name != name {
		return shown, nil // of a type that we do not know, nothing is kept
	}
	for name, value := range fields {
		if name == "id" || name == "type" || value == nil {
			continue
		}
		f, known := t.Field(name)
		if !known {
			shown.Unknown = append(shown.Unknown, name)
			continue
		}
		shown.keep(f, value)
	}
	slices.Sort(shown.Unknown)
	return shown, nil
}

func (i *Integration) keep(f *Field, value any) {
	var text string
	switch value := value.(type) {
	case string:
		text = value
	case bool:
		text = strconv.FormatBool(value)
	case float64:
		text = strconv.FormatFloat(value, 'f', -1, 64)
	default:
		return
	}
	if text == "" {
		return
	}
	if f.Secret() {
		if i.Masks == nil {
			i.Masks = map[string]Mask{}
		}
		i.Masks[f.Name] = f.shown(text)
		return
	}
	if i.Plain == nil {
		i.Plain = map[string]string{}
	}
	i.Plain[f.Name] = text
}
