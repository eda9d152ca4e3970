package browser

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"safebox/verifier/verdict/page/pagetest"
)

// screen is what a page is opened on, in CSS pixels.
type screen struct {
	name          string
	width, height int
}

func phone() screen   { return screen{"phone", 390, 844} }
func desktop() screen { return screen{"desktop", 1280, 800} }

// tab is a page in the browser.
type tab struct {
	*chromium
	session string
}

func (b *chromium) open() *tab {
	b.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits", "Accessibility", "DOM"} {
		b.call(attached.Session, domain+".enable", map[string]any{}, nil)
	}
	b.call(attached.Session, "Network.setCacheDisabled", map[string]any{"cacheDisabled": true}, nil)
	return &tab{b, attached.Session}
}

// sight is what one look at a page found.
type sight struct {
	Faults []string // what is wrong with it
	Title  string
	Text   string // as a reader sees it
}

// look opens a file on a screen, in light colours, and examines it.
func (t *tab) look(path string, s screen) sight {
	t.t.Helper()
	t.resize(s.width, s.height)
	t.media("", "light")
	t.take()
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
	var loaded struct {
		Error string `json:"errorText"`
	}
	t.call(t.session, "Page.navigate", map[string]any{"url": address}, &loaded)
	if loaded.Error != "" {
		t.t.Fatalf("opening %s: %s", path, loaded.Error)
	}
	t.await("Page.loadEventFired")
	seen := t.examine(s.width)
	seen.Faults = append(seen.Faults, complaints(t.take(), address)...)
	return seen
}

// resize sets the size of the window; a narrow one is a phone's.
func (t *tab) resize(width, height int) {
	t.t.Helper()
	t.call(t.session, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
	}, nil)
}

// media sets what the page is shown on, such as print, and the preferred scheme
// of colours.
func (t *tab) media(medium, scheme string) {
	t.t.Helper()
	t.call(t.session, "Emulation.setEmulatedMedia", map[string]any{
		"media": medium, "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
}

// survey runs in the page. It lists what sticks out to the side, what text is
// clipped, and the colours that each piece of text is shown in.
const survey = `(() => {
  const out = {wide: [], clipped: [], texts: [], title: document.title, text: document.body.innerText,
    scroll: document.documentElement.scrollWidth, inner: innerWidth, room: document.documentElement.clientWidth, scripts: document.scripts.length};
  const name = e => e.tagName.toLowerCase() + (typeof e.className === 'string' && e.className ? '.' + e.className : '');
  const none = 'rgba(0, 0, 0, 0)', known = new Map([[null, {hidden: false, back: none, opacity: 1}]]);
  const about = e => { // what an element has of those around it
    if (!known.has(e)) {
      const up = about(e.parentElement), c = getComputedStyle(e);
      known.set(e, {hidden: up.hidden || c.clipPath !== 'none', opacity: up.opacity * c.opacity,
        back: c.backgroundColor === none ? up.back : c.backgroundColor,
        clips: c.overflowX !== 'visible', color: c.color, size: parseFloat(c.fontSize), visible: c.visibility === 'visible'});
    }
    return known.get(e);
  };
  for (const e of document.body.querySelectorAll('*')) {
    const a = about(e);
    if (a.hidden) continue;
    const r = e.getBoundingClientRect();
    if (r.width && (r.right > Math.min(WIDTH, out.room) + 0.5 || r.left < -0.5)) out.wide.push(name(e));
    if (a.clips && e.scrollWidth > e.clientWidth + 1) out.clipped.push(name(e));
  }
  const seen = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walk.nextNode();) {
    const e = n.parentElement, a = about(e);
    if (!n.data.trim() || a.hidden) continue;
    if (!e.checkVisibility()) {
      if (!e.closest('.label')) out.clipped.push('no box: ' + name(e));
      continue;
    }
    const key = [a.color, a.back, a.opacity, a.size, a.visible].join(';');
    if (!seen.has(key)) {
      seen.add(key);
      out.texts.push({fore: a.color, back: a.back, opacity: a.opacity, size: a.size, visible: a.visible, where: name(e)});
    }
  }
  return out;
})()`

// surveyed is the answer of survey.
type surveyed struct {
	Wide, Clipped       []string
	Title, Text         string
	Scroll, Inner, Room int // widths
	Scripts             int
	Texts               []shownText
}

type shownText struct {
	Fore, Back, Where string
	Opacity, Size     float64
	Visible           bool
}

// smallest is the least size of text, in CSS pixels.
const smallest = 12

// examine looks at the page as it is laid out now.
func (t *tab) examine(width int) sight {
	t.t.Helper()
	var got surveyed
	t.evaluate(t.session, strings.ReplaceAll(survey, "WIDTH", fmt.Sprint(width)), &got)
	seen := sight{Title: got.Title, Text: got.Text}
	fault := func(format string, args ...any) { seen.Faults = append(seen.Faults, fmt.Sprintf(format, args...)) }
	// A phone makes the window wider than the screen when something sticks
	// out; elsewhere the bar for scrolling takes some of it.
	if got.Scroll > got.Room || got.Inner > width || got.Room > width {
		fault("overflow: page is %d and window %d pixels wide, want %d with room for %d", got.Scroll, got.Inner, width, got.Room)
	}
	for _, e := range firstFew(got.Wide) {
		fault("overflow: %s sticks out", e)
	}
	for _, e := range firstFew(got.Clipped) {
		fault("clipped: %s", e)
	}
	if got.Scripts != 0 {
		fault("script: %d elements", got.Scripts)
	}
	for _, x := range got.Texts {
		if !x.Visible || x.Opacity != 1 {
			fault("invisible: text in %s", x.Where)
		}
		if x.Size < smallest {
			fault("small: text of %g pixels in %s", x.Size, x.Where)
		}
		if ratio, err := contrast(x.Fore, x.Back); err != nil {
			fault("contrast: %s: %v", x.Where, err)
		} else if ratio < pagetest.EnoughContrast {
			fault("contrast: %.2f in %s: %s on %s", ratio, x.Where, x.Fore, x.Back)
		}
	}
	if len(got.Texts) == 0 {
		fault("invisible: no text at all")
	}
	return seen
}

func firstFew(list []string) []string { return list[:min(len(list), 5)] }

// contrast is that of two colours as Chromium computes them.
func contrast(fore, back string) (float64, error) {
	var c [2]pagetest.Colour
	for i, s := range []string{fore, back} {
		if _, err := fmt.Sscanf(s, "rgb(%d, %d, %d)", &c[i][0], &c[i][1], &c[i][2]); err != nil {
			return 0, fmt.Errorf("colour %q: %w", s, err)
		}
	}
	return pagetest.Contrast(c[0], c[1]), nil
}

// complaints are what the browser itself says: requests, breaches of the
// page's policy, errors, output of scripts.
func complaints(events []message, address string) []string {
	var list []string
	for _, m := range events {
		switch m.Method {
		case "Network.requestWillBeSent":
			var p struct {
				Request struct{ URL string }
			}
			if err := json.Unmarshal(m.Params, &p); err != nil || p.Request.URL != address {
				list = append(list, "request: "+p.Request.URL)
			}
		case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening":
			list = append(list, fmt.Sprintf("console: %s %.300s", m.Method, m.Params))
		case "Audits.issueAdded":
			list = append(list, fmt.Sprintf("issue: %.300s", m.Params))
		}
	}
	return list
}

// tallest is the most that Chromium puts into one picture, in pixels.
const tallest = 16384

// screenshot writes the page as PNG, from its top.
func (t *tab) screenshot(path string) {
	t.t.Helper()
	var shot struct {
		Data []byte `json:"data"`
	}
	var size struct{ Width, Height int }
	t.evaluate(t.session, "({width: innerWidth, height: document.documentElement.scrollHeight})", &size)
	t.call(t.session, "Page.captureScreenshot", map[string]any{
		"format": "png", "captureBeyondViewport": true,
		"clip": map[string]int{"x": 0, "y": 0, "width": size.Width, "height": min(size.Height, tallest), "scale": 1},
	}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		t.t.Fatal(err)
	}
}
