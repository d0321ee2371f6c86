package localport

import (
	"crypto/subtle"
	"io"
	"io/fs"
	"log"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// nowhere is where the HTTP server's complaints go: they would name what strangers sent.
var nowhere = log.New(io.Discard, "", 0)

func sameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// guard lets through what the page itself asks for.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.headers(w.Header())
		off := s.config.off
		switch {
		case !s.requests.take(s.config.Now()):
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests)
		case r.Host != s.host && !off.host: // a name that somebody pointed at 127.0.0.1
			refuse(w, http.StatusMisdirectedRequest)
		case !s.ownOrigin(r) && !off.origin, !s.ownSite(r) && !off.site:
			refuse(w, http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// ownOrigin: whatever changes something says where it comes from, and that is our page.
func (s *Server) ownOrigin(r *http.Request) bool {
	origin := r.Header.Values("Origin")
	if len(origin) == 0 {
		return r.Method == http.MethodGet && r.URL.Path != "/socket"
	}
	return len(origin) == 1 && origin[0] == s.origin
}

// ownSite: browsers say whose page a request comes from (Fetch Metadata). Only our own may load anything, but for the
// page itself, which the person opens from wherever.
func (s *Server) ownSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return r.Method == http.MethodGet && r.URL.Path == "/" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// headers are those of every answer. Nothing but our own files and the agent can be loaded or contacted, no text
// becomes code, nobody frames or opens us, and nothing is stored.
func (s *Server) headers(h http.Header) {
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:", "media-src 'self' blob:",
		"font-src 'self'", "worker-src 'self'", "connect-src 'self' ws://" + s.host, "base-uri 'none'", "form-action 'none'",
		"frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
	}, "; "))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), "+
		"fullscreen=(self), autoplay=(self), clipboard-write=(self), geolocation=(), usb=(), serial=(), hid=(), bluetooth=(), payment=(), midi=()")
}

// types are those of the page's files: the system's own table isn't asked, which may say anything.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".json": "application/json",
	".woff2": "font/woff2", ".webmanifest": "application/manifest+json",
}

// servePage serves the page's files.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	kind, ok := types[path.Ext(name)]
	if !ok || s.config.Page == nil {
		refuse(w, http.StatusNotFound)
		return
	}
	data, err := fs.ReadFile(s.config.Page, name)
	if err != nil {
		refuse(w, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(data)
}

// attachment is the header that makes a browser save what it gets under a name.
func attachment(name string) string {
	if h := mime.FormatMediaType("attachment", map[string]string{"filename": name}); h != "" {
		return h
	}
	return "attachment"
}

// guardedListener closes connections of other users, and those beyond the limit.
type guardedListener struct {
	net.Listener
	places chan struct{}
	any    bool
}

// Accept returns the next connection of this user's.
func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.any && !sameUser(c) {
			_ = c.Close()
			continue
		}
		select {
		case l.places <- struct{}{}:
			return &placedConn{Conn: c, leave: func() { <-l.places }}, nil
		default:
			_ = c.Close()
		}
	}
}

type placedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close gives the place to somebody else.
func (c *placedConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

// bucket lets through so many a second, after a burst.
type bucket struct {
	mu           sync.Mutex
	perSecond    float64
	burst, level float64
	last         time.Time
}

func newBucket(perSecond, burst float64) bucket {
	return bucket{perSecond: perSecond, burst: burst, level: burst}
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.last.IsZero() {
		b.level = min(b.burst, b.level+now.Sub(b.last).Seconds()*b.perSecond)
	}
	b.last = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
