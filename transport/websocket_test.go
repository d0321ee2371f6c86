package transport

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// endless accepts one connection and answers with a head that has no end, or 24 MiB. It reports how much was taken.
func endless(t *testing.T) (port int, taken <-chan int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	out := make(chan int, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			out <- 0
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		n, err := c.Write([]byte("HTTP/1.1 200 Connection established\r\nX: "))
		for part := []byte(strings.Repeat("x", 64<<10)); err == nil && n < 24<<20; {
			var more int
			more, err = c.Write(part)
			n += more
		}
		out <- n
	}()
	return l.Addr().(*net.TCPAddr).Port, out
}

// TestWebSocketHead: a relay, or a proxy, that answers without an end is read no further than a handshake is long. Any
// member can name such a relay.
//
// Checks: RLY-9.
func TestWebSocketHead(t *testing.T) {
	for name, byProxy := range map[string]bool{"relay": false, "proxy": true} {
		for _, protected := range []bool{true, false} {
			port, taken := endless(t)
			var proxy ProxyFunc
			at := ma.StringCast("/ip4/127.0.0.1/tcp/" + strconv.Itoa(port) + "/ws")
			if byProxy {
				proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(port)})
				at = ma.StringCast("/ip4/127.0.0.1/tcp/1/ws")
			}
			w := newWebSocket(nil, nil, proxy, new(contacts))
			w.anyHead = !protected
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if c, err := w.dial(ctx, at); err == nil {
				_ = c.Close()
				t.Error("it is taken for a WebSocket")
			}
			cancel()
			if n := <-taken; (n < 16<<20) != protected { // what the system's buffers hold counts, too
				t.Errorf("%s: %d bytes were taken; protected %v", name, n, protected)
			}
		}
	}
}
