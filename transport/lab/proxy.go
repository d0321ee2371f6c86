package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// proxy is an HTTP proxy as offices have them: CONNECT (RFC 9110 §9.3.6) to port 443, nothing else.
type proxy struct {
	address netip.AddrPort
	in      func(func() error) error // where its sockets are opened
	ctx     context.Context
	tasks   sync.WaitGroup
}

const (
	proxyPort    = 3128
	proxyTimeout = 10 * time.Second
)

// startProxy listens until ctx is done.
func startProxy(ctx context.Context, in func(func() error) error, address netip.AddrPort) (*proxy, error) {
	var l net.Listener
	err := in(func() (err error) {
		l, err = net.Listen("tcp", address.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &proxy{address: l.Addr().(*net.TCPAddr).AddrPort(), in: in, ctx: ctx}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	p.tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.tasks.Go(func() { p.serve(c) })
		}
	})
	return p, nil
}

func (p *proxy) wait() { p.tasks.Wait() }

func (p *proxy) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(p.ctx, func() { _ = c.Close() })()
	_ = c.SetReadDeadline(time.Now().Add(proxyTimeout))
	r := bufio.NewReader(c)
	request, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	to, err := netip.ParseAddrPort(request.Host)
	if request.Method != http.MethodConnect || err != nil || to.Port() != 443 {
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		return
	}
	out, err := p.dial(to)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer func() { _ = out.Close() }()
	defer context.AfterFunc(p.ctx, func() { _ = out.Close() })()
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(out, r)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, out)
	_ = c.Close()
	<-done
}

// dial connects from where the proxy stands.
func (p *proxy) dial(to netip.AddrPort) (net.Conn, error) {
	var c net.Conn
	err := p.in(func() (err error) {
		c, err = net.DialTimeout("tcp", to.String(), proxyTimeout)
		return err
	})
	return c, err
}
