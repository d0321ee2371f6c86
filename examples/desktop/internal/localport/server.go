package localport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// The limits.
const (
	// MaxMessage is the longest message a page may send, in bytes.
	MaxMessage = 256 << 10
	// TokenLife is how long a token works, if it isn't used.
	TokenLife = 2 * time.Minute
	// TicketLife is how long a download's ticket waits to be used.
	TicketLife = time.Minute
	// UploadLife is how long an upload's ticket does.
	UploadLife = 10 * time.Minute
	// UploadWait is how long an upload may bring nothing: a file on a slow drive of the network has its pauses.
	UploadWait = 2 * time.Minute

	maxTokens      = 16
	maxSessions    = 64
	maxTickets     = 256
	maxConnections = 64
	maxHeader      = 16 << 10
	maxTokenBody   = 1 << 10
	headerTimeout  = 5 * time.Second
	idleTimeout    = 2 * time.Minute

	requestsPerSecond, requestsBurst = 50, 300  // before a session is shown
	messagesPerSecond, messagesBurst = 100, 400 // of one page
)

// Config says what the port serves.
type Config struct {
	// Page holds the page's files; index.html is what / shows.
	Page fs.FS
	// Serve is called, in a goroutine of its own, with each page that has connected. The socket is closed when it
	// returns.
	Serve func(*Socket)
	// UploadWait is for tests; 0 is the constant of this name.
	UploadWait time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// off switches protections off, in tests that show what they keep out.
	off protections
}

// protections that tests can switch off.
type protections struct {
	host, origin, site, single, session, user bool
}

// Server is the port. Its methods may be called from any goroutine.
type Server struct {
	config   Config
	listener net.Listener
	http     http.Server
	host     string // exactly what Host must be
	origin   string // exactly what Origin must be
	sockets  sync.WaitGroup

	mu       sync.Mutex
	tokens   map[string]time.Time // to when each ends
	sessions []string             // oldest first
	tickets  map[string]*ticket
	open     map[*Socket]struct{}
	closed   bool
	requests bucket
}

// Listen opens a port of the system's choice on 127.0.0.1 and serves.
func Listen(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.UploadWait == 0 {
		c.UploadWait = UploadWait
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: c, host: l.Addr().String(), tokens: map[string]time.Time{}, tickets: map[string]*ticket{},
		open: map[*Socket]struct{}{}, requests: newBucket(requestsPerSecond, requestsBurst),
	}
	s.origin = "http://" + s.host
	s.listener = &guardedListener{Listener: l, places: make(chan struct{}, maxConnections), any: c.off.user}
	s.http = http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: nowhere,
	}
	go func() { _ = s.http.Serve(s.listener) }()
	return s, nil
}

// URL is where the page is, without a token.
func (s *Server) URL() string { return s.origin + "/" }

// LaunchURL returns a URL with a fresh token, to open a browser with. It is a secret until it is used.
func (s *Server) LaunchURL() string {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	for t, end := range s.tokens {
		if !now.Before(end) || len(s.tokens) >= maxTokens {
			delete(s.tokens, t)
		}
	}
	s.tokens[token] = now.Add(TokenLife)
	return s.URL() + "#" + token
}

// Close closes the port, all sockets, and waits for everything that Serve was called for.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	open := make([]*Socket, 0, len(s.open))
	for socket := range s.open {
		open = append(open, socket)
	}
	s.mu.Unlock()
	for _, socket := range open {
		socket.Close(CloseEnded)
	}
	s.sockets.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.servePage)
	mux.HandleFunc("POST /session", s.exchange)
	mux.HandleFunc("GET /socket", s.connect)
	mux.HandleFunc("PUT /upload/{ticket}", s.upload)
	mux.HandleFunc("GET /download/{ticket}", s.download)
	return s.guard(mux)
}

// exchange gives a session key for a token.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenBody))
	if err != nil || json.Unmarshal(raw, &body) != nil || !s.spend(body.Token) {
		http.Error(w, "this address was used, or is too old: open huisclos again", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"session": s.newSession()})
}

// spend reports whether the token is good, which it then no longer is. Tokens are random and long, and looked up, not
// compared: what a lookup's time tells of them is of no use.
func (s *Server) spend(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ok := s.tokens[token]
	if !s.config.off.single {
		delete(s.tokens, token)
	}
	return ok && s.config.Now().Before(end)
}

func (s *Server) newSession() string {
	key := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= maxSessions {
		s.sessions = s.sessions[1:]
	}
	s.sessions = append(s.sessions, key)
	return key
}

// known reports whether the key is one of a session.
func (s *Server) known(key string) bool {
	if s.config.off.session {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, k := range s.sessions {
		found = sameSecret(k, key) || found
	}
	return found
}

// protocol is the WebSocket subprotocol of the page's; a second one carries the session key.
const protocol = "huisclos.1"

// connect takes a page's socket.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	key := ""
	for _, p := range websocket.Subprotocols(r) {
		if k, ok := strings.CutPrefix(p, "session."); ok {
			key = k
		}
	}
	known := s.known(key)
	upgrader := websocket.Upgrader{
		HandshakeTimeout: headerTimeout, Subprotocols: []string{protocol},
		CheckOrigin: func(r *http.Request) bool { return s.config.off.origin || r.Header.Get("Origin") == s.origin },
		Error: func(w http.ResponseWriter, _ *http.Request, status int, _ error) {
			http.Error(w, http.StatusText(status), status)
		},
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	socket := newSocket(conn)
	if !known { // a page can't see why a handshake failed, so it is told on the socket
		socket.Close(CloseUnknown)
		socket.wait()
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		socket.Close(CloseEnded)
		socket.wait()
		return
	}
	s.open[socket] = struct{}{}
	s.sockets.Add(1)
	s.mu.Unlock()
	defer func() {
		socket.Close(websocket.CloseNormalClosure)
		socket.wait()
		s.mu.Lock()
		delete(s.open, socket)
		s.mu.Unlock()
		s.sockets.Done()
	}()
	s.config.Serve(socket)
}
