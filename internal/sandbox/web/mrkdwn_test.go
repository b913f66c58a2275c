package web

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// noon is when the tests read their messages.
var noon = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

var testNames = names{
	users: map[string]string{"U0ENGINEER": "mira"}, channels: map[string]string{"C0INCIDENT": "incidents"},
	groups: map[string]string{"S0APPROVE1": "approvers"}, now: noon,
}

func TestMrkdwn(t *testing.T) {
	t.Parallel()
	const out = ` rel="noopener noreferrer" target="_blank"`
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"words", "just words", "just words"},
		{"bold", "a *bold* word", "a <b>bold</b> word"},
		{"italic", "an _italic_ word", "an <i>italic</i> word"},
		{"struck", "a ~wrong~ word", "a <s>wrong</s> word"},
		{"bold in italic", "_very *much* so_", "<i>very <b>much</b> so</i>"},
		{"bold with punctuation", "(*a*), *b*.", "(<b>a</b>), <b>b</b>."},
		{"no bold within a word", "2*3*4 snake_case_name", "2*3*4 snake_case_name"},
		{"no bold around spaces", "a * b * c", "a * b * c"},
		{"no bold over lines", "*a\nb*", "*a<br>b*"},
		{"a lone mark", "5 * and *", "5 * and *"},
		{"two marks", "** and **", "** and **"},
		{"code", "`a *b* _c_`", "<code>a *b* _c_</code>"},
		{"code beside others", "*Region*: `US` → `EU`", "<b>Region</b>: <code>US</code> → <code>EU</code>"},
		{"bold with code in it", "*a `*` b*", "<b>a <code>*</code> b</b>"},
		{"code without an end", "`a", "`a"},
		{"a block of code", "see\n```\n*a*\n  b\n```\nend", "see<pre>*a*\n  b</pre>end"},
		{"a block of code without an end", "```a", "```a"},
		{"a quote", "she says:\n> one\n> two\nend", "she says:<blockquote>one<br>two</blockquote>end"},
		{"an escaped quote", "&gt; one", "<blockquote>one</blockquote>"},
		{"escapes", "a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"},
		{"escaped once more", "&amp;lt;", "&amp;lt;"},
		{"other entities are text", "&quot;&nbsp;", "&amp;quot;&amp;nbsp;"},
		{"a person", "<@U0ENGINEER>", `<span class="mention" title="U0ENGINEER">@mira</span>`},
		{"a person nobody knows", "<@U0NOBODY>", `<span class="mention" title="U0NOBODY">@U0NOBODY</span>`},
		{"a group", "<!subteam^S0APPROVE1>", `<span class="mention" title="S0APPROVE1">@approvers</span>`},
		{"a group by its label", "<!subteam^S0OTHER|@oncall>", `<span class="mention" title="S0OTHER">@oncall</span>`},
		{"a channel", "<#C0INCIDENT>", `<span class="mention" title="C0INCIDENT">#incidents</span>`},
		{"everybody", "<!here>", `<span class="mention">@here</span>`},
		{"a link", "<https://example.com/?a=1&amp;b=2|here>", `<a href="https://example.com/?a=1&amp;b=2"` + out + `>here</a>`},
		{"a link without a label", "<https://example.com/>", `<a href="https://example.com/"` + out + `>https://example.com/</a>`},
		{"a link in code", "`<https://example.com/|x>`", `<code><a href="https://example.com/"` + out + `>x</a></code>`},
		{"a bare address", "see https://example.com/a now", "see https://example.com/a now"},
		{"a date", "<!date^1795446300^{date_short_pretty} at {time}|then>", `<time datetime="2026-11-23T15:05:00Z" title="Monday, 23 November 2026, 15:05:00 UTC">today at 15:05</time>`},
		{"another day", "<!date^1795273500^{date_short} {time_secs}|then>", `<time datetime="2026-11-21T15:05:00Z" title="Saturday, 21 November 2026, 15:05:00 UTC">Nov 21, 2026 15:05:00</time>`},
		{"a date long ago", "<!date^1795269600^{ago}|then>", `<time datetime="2026-11-21T14:00:00Z" title="Saturday, 21 November 2026, 14:00:00 UTC">1 day ago</time>`},
		{"a date that is none", "<!date^soon^{date}|then>", "then"},
		{"emoji", ":warning: and :no_such_thing:", "⚠️ and :no_such_thing:"},
		{"an open bracket", "a < b", "a &lt; b"},
		{"empty brackets", "a <> b", "a &lt;&gt; b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &markup{names: testNames, verbatim: true}
			assert.Equal(t, tt.want, string(m.render(tt.in).html()))
		})
	}
}

func TestAddressesAreLinksUnlessVerbatim(t *testing.T) {
	t.Parallel()
	m := &markup{names: testNames}
	assert.Equal(t, `see <a href="https://example.com/a" rel="noopener noreferrer" target="_blank">https://example.com/a</a> now`,
		string(m.render("see https://example.com/a now").html()))
}

// Whatever somebody types, no tag of theirs, no attribute and no script comes of it.
func TestMrkdwnInjection(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;", "*<img src=x onerror=alert(1)>*",
		"<javascript:alert(1)|click>", "<JaVaScRiPt:alert(1)>", "<data:text/html,<b>|x>", "<vbscript:x|y>", "< javascript:alert(1)|x>",
		`<https://example.com/" onclick="alert(1)|x>`, `<https://example.com/' onclick='alert(1)|x>`,
		`<@U1" onmouseover="alert(1)>`, `<!subteam^S1" onmouseover="alert(1)|"><script>`, `<#C1|"><script>>`,
		"`<script>`", "```<script>alert(1)</script>```", "> <script>", `<!date^1^{time}^javascript:alert(1)|x>`, `<!date^1^"><script>|x>`,
		"<!<script>|<script>>", "\x00<b>", "<https://example.com|<script>alert(1)</script>>",
	} {
		for _, verbatim := range []bool{true, false} {
			m := &markup{names: testNames, verbatim: verbatim}
			assertHarmless(t, in, string(m.render(in).html()))
		}
	}
}

// assertHarmless looks at HTML as a browser would: at its tags and their attributes.
func assertHarmless(t *testing.T, in, out string) {
	t.Helper()
	allowed := map[string]string{
		"b": "", "i": "", "s": "", "br": "", "pre": "", "code": "", "blockquote": "", "span": " class title",
		"a": " href rel target", "time": " datetime title",
	}
	for rest := out; ; {
		open := strings.IndexByte(rest, '<')
		if open < 0 {
			return
		}
		end := open + 1
		for quoted := false; end < len(rest) && (quoted || rest[end] != '>'); end++ {
			if rest[end] == '"' {
				quoted = !quoted
			}
		}
		tag, attrs, _ := strings.Cut(strings.Trim(rest[open+1:end], "/"), " ")
		may, known := allowed[tag]
		assert.True(t, known, "%q became the tag %q in %s", in, tag, out)
		for attrs != "" {
			name, value, _ := strings.Cut(attrs, `="`)
			value, attrs, _ = strings.Cut(value, `"`)
			attrs = strings.TrimSpace(attrs)
			assert.Contains(t, may, " "+name, "%q became the attribute %q in %s", in, name, out)
			if name == "href" {
				assert.Regexp(t, "^https?://|^mailto:", value, "%q", in)
			}
		}
		rest = rest[min(end+1, len(rest)):]
	}
}

func FuzzMrkdwn(f *testing.F) {
	f.Add("*a* <@U1> `b` &lt;c&gt;\n> d")
	f.Fuzz(func(t *testing.T, in string) {
		assertHarmless(t, in, string((&markup{names: testNames}).render(in).html()))
	})
}
