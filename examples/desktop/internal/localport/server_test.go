package localport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if target := os.Getenv("LOCALPORT_OTHER_USER"); target != "" { // see TestOtherUser
		answer, err := (&http.Client{Timeout: 5 * time.Second}).Get(target)
		if err != nil {
			fmt.Println("nothing")
			os.Exit(0)
		}
		fmt.Println("status", answer.StatusCode)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

type world struct {
	*Server
	t   *testing.T
	got chan string
}

func newWorld(t *testing.T, off protections) *world {
	t.Helper()
	w := &world{t: t, got: make(chan string, 1000)}
	s, err := Listen(Config{
		Page: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}, "app.js": {Data: []byte("x")}, "secret.go": {Data: []byte("x")}},
		Serve: func(s *Socket) {
			s.Send([]byte("hello"))
			for {
				m, err := s.Receive()
				if err != nil {
					return
				}
				w.got <- string(m)
				s.Send(append([]byte("echo "), m[:min(len(m), 10)]...))
			}
		},
		off: off,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// do sends a request as a browser would, from the page unless header says something else.
func (w *world) do(method, path, body string, header map[string]string) (int, string, http.Header) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.origin+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", w.origin)
	}
	for k, v := range header {
		switch {
		case k == "Host":
			r.Host = v
		case v == "":
			r.Header.Del(k)
		default:
			r.Header.Set(k, v)
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = answer.Body.Close() }()
	raw, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(raw), answer.Header
}

func (w *world) token() string { _, t, _ := strings.Cut(w.LaunchURL(), "#"); return t }

func (w *world) session() string {
	w.t.Helper()
	status, body, _ := w.do("POST", "/session", `{"token":"`+w.token()+`"}`, nil)
	var got struct{ Session string }
	if status != 200 || json.Unmarshal([]byte(body), &got) != nil || got.Session == "" {
		w.t.Fatal(status, body)
	}
	return got.Session
}

func (w *world) dial(key, origin string) (*websocket.Conn, error) {
	d := websocket.Dialer{Subprotocols: []string{"huisclos.1", "session." + key}, HandshakeTimeout: 5 * time.Second}
	c, _, err := d.Dial("ws://"+w.host+"/socket", http.Header{"Origin": {origin}})
	return c, err
}

// TestHostilePage: what a page of another site in the same browser, or one behind a name that points here, tries. Each
// attack succeeds where the protection it meets is off.
func TestHostilePage(t *testing.T) {
	evil := map[string]string{"Origin": "https://evil.example"}
	for name, tt := range map[string]struct {
		off    protections
		header map[string]string
		method string
		path   string
		want   int
	}{
		"another site's post":           {protections{origin: true}, evil, "POST", "/session", 403},
		"a post without origin":         {protections{origin: true}, map[string]string{"Origin": ""}, "POST", "/session", 403},
		"a sandboxed page's post":       {protections{origin: true}, map[string]string{"Origin": "null"}, "POST", "/session", 403},
		"our origin, another port":      {protections{origin: true}, map[string]string{"Origin": "http://127.0.0.1:1"}, "POST", "/session", 403},
		"localhost is another origin":   {protections{origin: true}, map[string]string{"Origin": "http://localhost"}, "POST", "/session", 403},
		"another site's get":            {protections{origin: true}, evil, "GET", "/", 403},
		"a name pointed here":           {protections{host: true}, map[string]string{"Host": "evil.example"}, "GET", "/", 421},
		"a name pointed here, our port": {protections{host: true}, map[string]string{"Host": "localhost"}, "POST", "/session", 421},
		"another site loads our script": {protections{site: true}, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, "GET", "/app.js", 403},
		"another port's page frames us": {protections{site: true}, map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "GET", "/", 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, off := range []protections{{}, tt.off} {
				w := newWorld(t, off)
				body := `{"token":"` + w.token() + `"}`
				status, _, _ := w.do(tt.method, tt.path, body, tt.header)
				if want := map[bool]int{true: tt.want, false: 200}[off == protections{}]; status != want {
					t.Errorf("with %+v off: status %d, want %d", off, status, want)
				}
			}
		})
	}
}

func TestHostileSocket(t *testing.T) {
	w := newWorld(t, protections{})
	key := w.session()
	if _, err := w.dial(key, "https://evil.example"); err == nil {
		t.Error("another origin's socket was taken")
	}
	for _, key := range []string{"", "x", strings.Repeat("A", 26)} {
		c, err := w.dial(key, w.origin)
		if err != nil {
			t.Fatal(err)
		}
		_, m, err := c.ReadMessage()
		if !websocket.IsCloseError(err, CloseUnknown) {
			t.Errorf("a socket without a session got %q, %v", m, err)
		}
		_ = c.Close()
	}
	// The twins: without the checks both get in.
	open := newWorld(t, protections{origin: true, session: true})
	c, err := open.dial("x", "https://evil.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, m, err := c.ReadMessage(); string(m) != "hello" {
		t.Error(string(m), err)
	}
	_ = c.Close()
}

func TestToken(t *testing.T) {
	w := newWorld(t, protections{})
	token := w.token()
	body := `{"token":"` + token + `"}`
	if status, _, _ := w.do("POST", "/session", `{"token":"wrong"}`, nil); status != 401 {
		t.Error("a wrong token:", status)
	}
	if status, _, _ := w.do("POST", "/session", body, nil); status != 200 {
		t.Error("a good token:", status)
	}
	if status, _, _ := w.do("POST", "/session", body, nil); status != 401 {
		t.Error("a used token:", status)
	}
	if status, _, _ := w.do("POST", "/session", `{"token":"`+strings.Repeat("x", maxTokenBody)+`"}`, nil); status != 401 {
		t.Error("a long token:", status)
	}
	again := newWorld(t, protections{single: true})
	body = `{"token":"` + again.token() + `"}`
	for range 2 {
		if status, _, _ := again.do("POST", "/session", body, nil); status != 200 {
			t.Error("without the protection a token works again:", status)
		}
	}
	now := time.Now()
	old := newWorld(t, protections{})
	old.config.Now = func() time.Time { return now }
	body = `{"token":"` + old.token() + `"}`
	now = now.Add(TokenLife)
	if status, _, _ := old.do("POST", "/session", body, nil); status != 401 {
		t.Error("an old token:", status)
	}
}

func TestPage(t *testing.T) {
	w := newWorld(t, protections{})
	status, body, h := w.do("GET", "/", "", nil)
	if status != 200 || body != "<!doctype html>" || !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		t.Error(status, body, h)
	}
	csp := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "require-trusted-types-for 'script'", "frame-ancestors 'none'", "connect-src 'self' ws://" + w.host + ";"} {
		if !strings.Contains(csp, part) {
			t.Errorf("%s lacks %s", csp, part)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Error(csp)
	}
	for k, v := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if h.Get(k) != v {
			t.Errorf("%s: %q", k, h.Get(k))
		}
		if _, _, refused := w.do("GET", "/nothing.js", "", nil); refused.Get(k) != v {
			t.Errorf("of a refusal, %s: %q", k, refused.Get(k))
		}
	}
	for _, path := range []string{"/secret.go", "/nothing.html", "/../index.html.go", "/.."} {
		if status, _, _ := w.do("GET", path, "", nil); status == 200 && path != "/.." {
			t.Error(path, status)
		}
	}
	// A person may come from anywhere; that shows the page, which without a session is nothing.
	if status, _, _ := w.do("GET", "/", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}); status != 200 {
		t.Error("opened from elsewhere:", status)
	}
}

func TestSocketLimits(t *testing.T) {
	w := newWorld(t, protections{})
	key := w.session()
	next := func() *websocket.Conn {
		c, err := w.dial(key, w.origin)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if c.Subprotocol() != "huisclos.1" {
			t.Error(c.Subprotocol())
		}
		if _, m, err := c.ReadMessage(); string(m) != "hello" || err != nil {
			t.Fatal(string(m), err)
		}
		return c
	}
	over := func(c *websocket.Conn) error {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return err
			}
		}
	}
	c := next()
	if err := c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), MaxMessage)); err != nil {
		t.Fatal(err)
	}
	if _, m, err := c.ReadMessage(); string(m) != "echo xxxxxxxxxx" || err != nil {
		t.Error("the longest message:", string(m), err)
	}
	_ = c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), MaxMessage+1))
	if err := over(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a longer message was taken:", err)
	}
	c = next()
	_ = c.WriteMessage(websocket.BinaryMessage, []byte("x"))
	if err := over(c); !websocket.IsCloseError(err, closeRate) {
		t.Error("a binary message was taken:", err)
	}
	// A flood is cut off. What the page learns of it depends on what was under way, so what counts is how much was taken.
	c = next()
	for range messagesBurst + 200 {
		_ = c.WriteMessage(websocket.TextMessage, []byte("x"))
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	taken, err := 0, error(nil)
	for ; err == nil; taken++ {
		_, _, err = c.ReadMessage()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || taken > messagesBurst+100 {
		t.Errorf("of a flood %d messages were taken: %v", taken-1, err)
	}
}

func TestRequestRate(t *testing.T) {
	w := newWorld(t, protections{})
	limited := 0
	for range requestsBurst + 200 {
		if status, _, _ := w.do("POST", "/session", `{"token":"x"}`, nil); status == 429 {
			limited++
		}
	}
	if limited == 0 {
		t.Error("guesses were not limited")
	}
}

func TestTransfers(t *testing.T) {
	w := newWorld(t, protections{})
	bearer := map[string]string{"Authorization": "Bearer " + w.session()}
	var got []byte
	take := func(_ context.Context, r io.Reader) (err error) { got, err = io.ReadAll(r); return err }
	path, err := w.NewUpload(Upload{Size: 5, Take: take})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := w.do("PUT", path, "hello", nil); status != 401 {
		t.Error("an upload without a session:", status)
	}
	if status, _, _ := w.do("PUT", path, "hello", map[string]string{"Authorization": bearer["Authorization"], "Origin": "https://evil.example"}); status != 403 {
		t.Error("another origin's upload:", status)
	}
	if status, _, _ := w.do("PUT", path, "hello", bearer); status != 204 || string(got) != "hello" {
		t.Error(status, string(got))
	}
	if status, _, _ := w.do("PUT", path, "hello", bearer); status != 404 {
		t.Error("the ticket worked again:", status)
	}
	path, _ = w.NewUpload(Upload{Size: 5, Take: take})
	if status, _, _ := w.do("PUT", path, "hello, world", bearer); status != 413 {
		t.Error("a longer body:", status)
	}
	path, _ = w.NewDownload(Download{Name: "pièce \"1\"\r\n.txt", Size: 5, Give: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, "hello")
		return err
	}})
	status, body, h := w.do("GET", path, "", nil)
	if status != 200 || body != "hello" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || strings.ContainsAny(h.Get("Content-Disposition"), "\r\n") {
		t.Error(status, body, h)
	}
	if status, _, _ := w.do("GET", path, "", nil); status != 404 {
		t.Error("the ticket worked again:", status)
	}
	path, _ = w.NewDownload(Download{Size: -1, Give: func(_ context.Context, w io.Writer) error {
		_, _ = w.Write(make([]byte, 1<<20))
		return io.ErrUnexpectedEOF
	}})
	answer, err := http.Get(w.origin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if n, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("a broken download looked whole:", n)
	}
}

// TestOtherUser: another user of the machine connects. The kernel says so, and they get nothing.
func TestOtherUser(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("needs root on Linux to act as another user")
	}
	for _, off := range []bool{false, true} {
		w := newWorld(t, protections{user: off})
		c := exec.Command("/proc/self/exe")
		c.Env = []string{"LOCALPORT_OTHER_USER=" + w.URL()}
		otherUser(c)
		raw, err := c.CombinedOutput()
		if err != nil {
			t.Skip("needs to run as another user: ", err)
		}
		want := map[bool]string{false: "nothing\n", true: "status 200\n"}[off]
		if string(raw) != want {
			t.Errorf("with the check off = %v another user got %q, want %q", off, raw, want)
		}
	}
}

// TestConnections: so many connections are served at a time, and stay so; those beyond are closed.
func TestConnections(t *testing.T) {
	w := newWorld(t, protections{})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", w.host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute)) // far longer than it takes
		return c
	}
	ask := func(c net.Conn) error {
		if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", w.host); err != nil {
			return err
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}
	var served []net.Conn
	for i := range maxConnections {
		c := dial()
		if err := ask(c); err != nil {
			t.Fatalf("connection %d within the limit: %v", i, err)
		}
		served = append(served, c)
	}
	for i := range 20 {
		if err := ask(dial()); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d beyond the limit stayed: %v", i, err)
		}
	}
	for i, c := range served {
		if err := ask(c); err != nil {
			t.Errorf("connection %d within the limit was closed: %v", i, err)
		}
	}
}
