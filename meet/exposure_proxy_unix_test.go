//go:build unix

package meet_test

import (
	"net"
	"net/url"
	"syscall"
	"testing"
	"time"
)

func init() { silentProxy = neverAnswers }

// neverAnswers has a queue of one, which is full.
func neverAnswers(t *testing.T) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.7:0")
	ok(t, err)
	raw, err := l.(*net.TCPListener).SyscallConn()
	ok(t, err)
	ok(t, raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }))
	ok(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for range 8 { // nobody takes these
		c, err := net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond)
		if err != nil {
			return &url.URL{Scheme: "http", Host: l.Addr().String()}
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue doesn't fill")
	return nil
}
