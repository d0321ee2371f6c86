//go:build e2e

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// attempts are what a page of somebody else's tries on the agent, in the browser that has the person's own page. What
// succeeds is returned. The key is the person's own: not even who has stolen it gets in.
const attempts = `(async ([origin, key, own]) => {
	const wait = (ms) => new Promise((done) => setTimeout(done, ms));
	const got = [];
	const attempt = async (name, f) => {
		const result = await Promise.race([f().catch(() => null), wait(5000).then(() => null)]);
		if (result !== null && result !== undefined && result !== false) got.push(name + ": " + result);
	};
	const socket = (protocols) => () => new Promise((done) => {
		const s = new WebSocket(origin.replace("http", "ws") + "/socket", protocols);
		s.onmessage = (m) => done(String(m.data).slice(0, 60));
		s.onclose = () => done(null);
	});
	await attempt("socket without session", socket(["huisclos.1"]));
	await attempt("socket with a wrong session", socket(["huisclos.1", "session.AAAAAAAAAAAAAAAAAAAAAAAAAA"]));
	await attempt("socket with the session", socket(["huisclos.1", "session." + key]));
	if (own) return got;
	await attempt("read the page", async () => (await (await fetch(origin + "/")).text()).slice(0, 40));
	await attempt("read a script", async () => (await (await fetch(origin + "/protocol.js")).text()).slice(0, 40));
	await attempt("exchange a token", async () => (await fetch(origin + "/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })).status);
	await attempt("upload", async () => (await fetch(origin + "/upload/x", { method: "PUT", headers: { Authorization: "Bearer " + key }, body: "x" })).status);
	await attempt("run a script", () => new Promise((done) => {
		const s = document.createElement("script");
		s.src = origin + "/i18n.js";
		s.type = "module";
		s.onload = () => done("loaded");
		s.onerror = () => done(null);
		document.body.append(s);
	}));
	await attempt("show a picture", () => new Promise((done) => {
		const i = new Image();
		i.onload = () => done("loaded");
		i.onerror = () => done(null);
		i.src = origin + "/icon.svg";
	}));
	const frame = document.createElement("iframe"); // whether it was shown is looked at from outside
	frame.src = origin + "/";
	document.body.append(frame);
	await new Promise((done) => (frame.onload = done));
	await attempt("hold a window of it", async () => {
		const w = window.open(origin + "/");
		for (let i = 0; i < 40; i++) {
			if (w.closed) return null; // severed
			await wait(100);
		}
		return "held";
	});
	return got;
})`

// TestE2EGuard: a page of somebody else's in the same browser gets nothing of the agent's, and neither does a program
// without the token.
func TestE2EGuard(t *testing.T) {
	alice := arrives(t, browser(t, drive.Devices{}), "Alice", "en")
	alice.until(`S.phase.name === "start"`)
	origin := alice.agent.Origin()
	key := value[string](alice, `sessionStorage.getItem(Object.keys(sessionStorage)[0])`)

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>hostile</title><body>")
	}))
	t.Cleanup(other.Close)
	hostile, err := alice.browser.Open(other.URL)
	alice.must(err)
	defer hostile.Close()
	got, err := drive.Evaluate[[]string](hostile, attempts+fill(`([%s, %s, false])`, []any{origin, key}))
	alice.must(err)
	if len(got) > 0 {
		t.Errorf("a hostile page got %q", got)
	}
	if said := strings.Join(hostile.Problems(), "\n"); !strings.Contains(said, "frame-ancestors") && !strings.Contains(said, "X-Frame-Options") {
		t.Errorf("the page was framed: the browser refused nothing of the kind: %s", said)
	}
	// The twin: from the person's own page, and only with the session, the same attempt succeeds.
	own, err := drive.Evaluate[[]string](alice.page, attempts+fill(`([%s, %s, true])`, []any{origin, key}))
	alice.must(err)
	if len(own) != 1 || !strings.HasPrefix(own[0], "socket with the session") {
		t.Errorf("the person's own page got %q", own)
	}

	for _, c := range []struct {
		name, method, path, host, origin, body string
		want                                   int
	}{
		{"the page", "GET", "/", "", "", "", 200},
		{"another name", "GET", "/", "evil.example", "", "", 421},
		{"localhost is another name", "GET", "/", "localhost" + origin[strings.LastIndex(origin, ":"):], "", "", 421},
		{"another origin", "GET", "/", "", "http://evil.example", "", 403},
		{"no origin", "POST", "/session", "", "", `{"token":"x"}`, 403},
		{"a wrong token", "POST", "/session", "", origin, `{"token":"AAAAAAAAAAAAAAAAAAAAAAAAAA"}`, 401},
		{"the token a second time", "POST", "/session", "", origin, `{"token":"` + strings.SplitN(alice.agent.URL, "#", 2)[1] + `"}`, 401},
	} {
		r, err := http.NewRequest(c.method, origin+c.path, bytes.NewReader([]byte(c.body)))
		alice.must(err)
		if c.host != "" {
			r.Host = c.host
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		alice.must(err)
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, answer.StatusCode, c.want)
		}
	}
}
