package transporttest

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Proxy is an HTTP proxy on this machine's own network, not in a World: it lets CONNECT through, or nothing. Its methods
// may be called from any goroutine.
type Proxy struct {
	refuses bool
	server  *http.Server
	address string
	tasks   sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	connects int
	tunnels  []net.Conn
}

// NewProxy starts a proxy at an IP address and port; port 0 is one that is free. One that refuses answers 403 to CONNECT as
// well. The error is that of listening.
func NewProxy(address string, refuses bool) (*Proxy, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Proxy{refuses: refuses, address: l.Addr().String()}
	p.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(p.serve)}
	p.tasks.Go(func() { _ = p.server.Serve(l) })
	return p, nil
}

// URL names the proxy.
func (p *Proxy) URL() *url.URL { return &url.URL{Scheme: "http", Host: p.address} }

// Connects counts the CONNECT requests so far, those refused too.
func (p *Proxy) Connects() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connects
}

// Close ends every tunnel and waits for all goroutines.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.tunnels {
		_ = c.Close()
	}
	p.mu.Unlock()
	_ = p.server.Close()
	p.tasks.Wait()
}

// begin counts a request, which Close then waits for; false once it is closed.
func (p *Proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.connects++
	p.tasks.Add(1)
	return true
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if !p.begin() {
		return
	}
	defer p.tasks.Done()
	if p.refuses {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	to, err := net.DialTimeout("tcp", r.Host, time.Second)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	from, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = to.Close()
		return
	}
	_, _ = from.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = to.Close()
		_ = from.Close()
		return
	}
	p.tunnels = append(p.tunnels, to, from)
	p.tasks.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
	p.tasks.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
}
