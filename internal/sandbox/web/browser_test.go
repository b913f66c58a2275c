package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/web"
)

// patience is how long a test waits for something to be seen.
const patience = 40 * time.Second

// bot is the path of the program, built once for all tests.
var bot string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "page")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bot = filepath.Join(dir, "bot")
	const source = "github.com/atlas-integration-bot/atlas-integration-bot/cmd/bot"
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", bot, source).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		_, _ = fmt.Fprintf(os.Stderr, "build the bot: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// start is a sandbox with its page.
func start(t *testing.T) (s *sandbox.Sandbox, address string) {
	t.Helper()
	s, server := serve(t)
	return s, server.URL
}

func serve(t *testing.T) (*sandbox.Sandbox, *httptest.Server) {
	t.Helper()
	s, err := sandbox.Start(t.Context(), sandbox.Options{Bot: bot})
	require.NoError(t, err)
	page := web.New(context.WithoutCancel(t.Context()), s, false)
	server := httptest.NewServer(page)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the end of the bot's log:\n" + s.LastWords())
		}
		page.Close()
		server.CloseClientConnections()
		server.Close()
		require.NoError(t, s.Close())
	})
	return s, server
}

// chromium finds the browser. In CI there must be one.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "there is no Chromium: install the package chromium"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// A tab is a tab of a real browser. Its methods wait until what they are about is
// there, as a person would.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// browsers are how many run at once: each wants a core of its own.
var browsers = make(chan struct{}, 3)

// open opens the page in a browser of its own.
func open(t *testing.T, address string, width, height int) *tab {
	t.Helper()
	browsers <- struct{}{}
	t.Cleanup(func() { <-browsers })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(width, height), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-prefers-reduced-motion", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	b := &tab{t, ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height))))
	b.goTo(address)
	return b
}

func (b *tab) goTo(address string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Navigate(address)))
}

// quoted is a text in JavaScript.
func quoted(text string) string {
	q, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text always can be
	}
	return string(q)
}

// until waits until an expression is true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience)))
	if err != nil {
		b.keep("failed")
	}
	require.NoError(b.t, err, what)
}

// sees waits for a text somewhere.
func (b *tab) sees(where, words string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%q is not seen in %s", words, where),
		fmt.Sprintf(`[...document.querySelectorAll(%s)].some(e => e.checkVisibility() && e.innerText.replace(/\s+/g, ' ').includes(%s))`, quoted(where), quoted(words)))
}

// seesNo waits until there is no such element.
func (b *tab) seesNo(where string) {
	b.t.Helper()
	b.until(where+" is still there", fmt.Sprintf(`document.querySelector(%s) === null`, quoted(where)))
}

// text is what can be read somewhere right now.
func (b *tab) text(where string) string {
	b.t.Helper()
	words, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(`[...document.querySelectorAll(%s)].map(e => e.innerText).join('\n')`, quoted(where))))
	require.NoError(b.t, err)
	return words
}

// click presses the first element whose text begins with words, once it stands
// still and nothing covers it.
func (b *tab) click(where, words string) {
	b.t.Helper()
	at, err := chromedp.Run(b.ctx, chromedp.Poll[[]float64](fmt.Sprintf(`(() => {
		const el = [...document.querySelectorAll(%s)].find(e => e.checkVisibility() && e.innerText.trim().startsWith(%s));
		if (!el) return null;
		el.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
		const r = el.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
		const moved = el.place !== x + ' ' + y;
		el.place = x + ' ' + y;
		return !moved && el.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
	})()`, quoted(where), quoted(words)), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		b.keep("failed")
	}
	require.NoError(b.t, err, "%q in %s cannot be pressed", words, where)
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.MouseClickXY(at[0], at[1])))
}

// show scrolls to the beginning of the last of what is somewhere, until it stays there.
func (b *tab) show(where string) {
	b.t.Helper()
	b.until(where+" cannot be shown", fmt.Sprintf(`(() => {
		const el = [...document.querySelectorAll(%s)].at(-1);
		if (!el) return false;
		document.activeElement?.blur();
		el.scrollIntoView({block: 'start', behavior: 'instant'});
		const top = el.getBoundingClientRect().top, stays = el.top === top;
		el.top = top;
		return stays;
	})()`, quoted(where)))
}

// write replaces what stands in an input, key by key.
func (b *tab) write(where, words string) {
	b.t.Helper()
	for focused := false; !focused; { // what it is in may be drawn anew under the pointer
		b.click(where, "")
		var err error
		focused, err = chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`document.activeElement.matches(%s)`, quoted(where))))
		require.NoError(b.t, err)
	}
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent(words)))
	b.until("it is not what was typed that stands in "+where, fmt.Sprintf(`document.querySelector(%s)?.value === %s`, quoted(where), quoted(words)))
}

// press types text, or one of the keys below.
func (b *tab) press(text string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent(text)))
}

// enter presses Enter as a keyboard does: a page that takes the key for itself
// keeps the browser from doing anything more.
func (b *tab) enter() {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		key := input.DispatchKeyEventParams{
			Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", Text: "\r", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13,
		}
		if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, key); err != nil {
			return err
		}
		key.Type, key.Text = input.DispatchKeyEventTypeKeyUp, ""
		_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, key)
		return err
	})))
}

// pick chooses an entry of a select by its label.
func (b *tab) pick(where, label string) {
	b.t.Helper()
	b.until(label+" cannot be chosen in "+where, fmt.Sprintf(`(() => {
		const el = document.querySelector(%s);
		const option = el && [...el.options].find(o => o.label === %s);
		if (!option) return false;
		el.focus();
		el.value = option.value;
		el.dispatchEvent(new Event('change', {bubbles: true}));
		return true;
	})()`, quoted(where), quoted(label)))
}

// slow has the page's requests to one path leave half a second late.
func (b *tab) slow(path string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(`{
		const swift = window.fetch;
		window.fetch = async (to, ...more) => {
			if (to === %s) await new Promise((go) => setTimeout(go, 500));
			return swift(to, ...more);
		};
		true
	}`, quoted(path))))
	require.NoError(b.t, err)
}

// command types a command as somebody at a side.
func (b *tab) command(side, words string) {
	b.t.Helper()
	b.write("#"+side+"-text", words)
	b.enter()
}

// choose adds an entry of a select with a search.
func (b *tab) choose(side, action, words string) {
	b.t.Helper()
	b.write(fmt.Sprintf("#%s .choose input[name=%s]", side, action), words)
	b.until("the list is not narrowed down to "+words, fmt.Sprintf(`document.querySelectorAll('#%s .option').length === 1`, side))
	b.click(fmt.Sprintf("#%s .choose[data-choose=%s] .option", side, action), words)
	b.sees(fmt.Sprintf("#%s .choose[data-choose=%s] .chip", side, action), words)
}

func (b *tab) field(side, name string) string {
	return fmt.Sprintf("#%s .modal [name=%s]", side, name)
}

// picture saves what the page looks like, where pictures are asked for.
func (b *tab) picture(name string) {
	b.t.Helper()
	if os.Getenv("UPDATE_IMAGES") != "" {
		b.save(filepath.Join("..", "..", "..", "docs", "images", name+".png"))
	}
}

// keep saves a picture for whoever wants to know why a test failed.
func (b *tab) keep(name string) {
	b.t.Helper()
	if dir := os.Getenv("FAILED_IMAGES"); dir != "" {
		b.save(filepath.Join(dir, strings.ReplaceAll(b.t.Name(), "/", "-")+"-"+name+".png"))
	}
}

func (b *tab) save(path string) {
	b.t.Helper()
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o750)) //nolint:gosec // where we were asked to
	if !looksTheSame(path, shot) {
		require.NoError(b.t, os.WriteFile(path, shot, 0o600)) //nolint:gosec // where we were asked to
	}
}
