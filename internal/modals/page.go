package modals

import (
	"strings"

	"github.com/slack-go/slack"
)

// Slack's limits, as far as what we write could reach them. The two totals leave
// room for what Slack counts and we do not know of.
const (
	mostSection = 3000
	mostHeader  = 150
	mostTitle   = 24
	mostOption  = 75
	mostConfirm = 300
	mostText    = 3900   // of a message's text: chat.update refuses 4000
	mostBlocks  = 12_000 // of all blocks of a message: Slack refuses about 13,000
	mostNumber  = 48     // of blocks in a message: Slack refuses 51
	mostOptions = 100
)

// A Message is what is posted: blocks, and for notifications and screen readers
// a text that says the same.
type Message struct {
	Text   string
	Blocks []slack.Block
}

// A page is a message or the blocks of a view in the making. What goes into a
// block goes into the text as well.
type page struct {
	blocks []slack.Block
	text   []string
	used   int
}

// header begins the page with a line that is not markup.
func (p *page) header(s string) {
	s = cut(s, mostHeader)
	p.used += length(s)
	p.blocks = append(p.blocks, slack.NewHeaderBlock(plain(s)))
	p.text = append(p.text, "*"+literal(s)+"*")
}

// section adds a paragraph of markup.
func (p *page) section(s string) {
	if s = p.room(s); s == "" {
		return
	}
	block := slack.NewSectionBlock(markup(s), nil, nil)
	block.Expand = true // what is to be approved does not hide behind "see more"
	p.blocks = append(p.blocks, block)
	p.text = append(p.text, s)
}

// folded adds a paragraph of markup that may be long; Slack shows its beginning
// and a "see more". The text has it in short.
func (p *page) folded(s, short string) {
	if s = p.room(s); s == "" {
		return
	}
	p.blocks = append(p.blocks, slack.NewSectionBlock(markup(s), nil, nil))
	p.text = append(p.text, short)
}

// list adds a title and lines, in as many sections as they take.
func (p *page) list(title string, lines []string) {
	part := "*" + title + "*"
	for _, l := range lines {
		if length(part)+1+length(l) > mostSection {
			p.section(part)
			part = l
			continue
		}
		part += "\n" + l
	}
	p.section(part)
}

// context adds a paragraph in small print.
func (p *page) context(s string) {
	if s = p.room(s); s == "" {
		return
	}
	p.blocks = append(p.blocks, slack.NewContextBlock("", markup(s)))
	p.text = append(p.text, s)
}

// room is what fits of a paragraph.
func (p *page) room(s string) string {
	most := min(mostSection, mostBlocks-p.used)
	if s == "" || most < 100 || len(p.blocks) >= mostNumber {
		return ""
	}
	s = cutMarkup(s, most)
	p.used += length(s)
	return s
}

// buttons ends the page; without any, it does nothing.
func (p *page) buttons(buttons ...slack.BlockElement) {
	if len(buttons) > 0 {
		p.blocks = append(p.blocks, slack.NewActionBlock("decision", buttons...))
	}
}

func (p *page) message() Message {
	return Message{Text: cutMarkup(strings.Join(p.text, "\n"), mostText), Blocks: p.blocks}
}

func (p *page) view(title, closing string) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain(cut(title, mostTitle)), Close: plain(closing), Blocks: slack.Blocks{BlockSet: p.blocks},
	}
}

// plain is a text object without markup. Slack shows what looks like an emoji's
// name as it is written.
func plain(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// markup is a text object with markup. Verbatim: Slack adds no links or mentions
// that are not written as such.
func markup(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, s, false, true)
}

func button(action, id, label string, style slack.Style) *slack.ButtonBlockElement {
	b := slack.NewButtonBlockElement(action, id, plain(label))
	b.Style = style
	return b
}
