package meet_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// realProxy is an HTTP proxy on this machine that lets CONNECT through, or refuses all.
func realProxy(t *testing.T, refuses bool) *url.URL {
	t.Helper()
	p := must[*transporttest.Proxy](t)(transporttest.NewProxy("127.0.0.7:0", refuses))
	t.Cleanup(p.Close)
	u := p.URL()
	u.User = url.UserPassword("grace", "hunter2")
	return u
}

// hangsUp is a SOCKS5 proxy that takes connections and says nothing.
func hangsUp(t *testing.T) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.7:0")
	ok(t, err)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); tasks.Wait() })
	return &url.URL{Scheme: "socks5", Host: l.Addr().String()}
}

// TestExposureOfProxy: a proxy that a connection was made to, whatever came of it, is one of those who could observe
// something, by its name without password; one that was only named is not.
//
// Checks: EXP-1, EXP-4.
func TestExposureOfProxy(t *testing.T) {
	nobody := func(t *testing.T) *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.7:9"} }
	for name, tt := range map[string]struct {
		proxy func(*testing.T) *url.URL
		kind  relayauth.AddressKind
		seen  bool
		there bool // the relay is reached
	}{
		"through it":   {func(t *testing.T) *url.URL { return realProxy(t, false) }, relayauth.KindWebSocketTLS, true, true},
		"without TLS":  {func(t *testing.T) *url.URL { return realProxy(t, false) }, relayauth.KindWebSocket, true, true},
		"it refuses":   {func(t *testing.T) *url.URL { return realProxy(t, true) }, relayauth.KindWebSocketTLS, true, false},
		"SOCKS5":       {hangsUp, relayauth.KindWebSocketTLS, true, false},
		"nobody there": {nobody, relayauth.KindWebSocketTLS, false, false},
		"only named":   {func(t *testing.T) *url.URL { return realProxy(t, false) }, relayauth.KindTCP, false, true},
		"for others":   {func(*testing.T) *url.URL { return nil }, relayauth.KindWebSocketTLS, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			c := open()
			by := tt.proxy(t)
			asked := make(chan struct{}, 1000)
			c.Relays, c.Listen = []meet.Relay{realRelay(t, "127.0.0.9", tt.kind)}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.2:0")}
			c.Proxy = func(*http.Request) (*url.URL, error) {
				asked <- struct{}{}
				return by, nil
			}
			m := must[*meet.Meeting](t)(meet.Create(ctx, c))
			defer func() { _ = m.Close() }()
			var e meet.Exposure
			for done := false; !done && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				e = must[meet.Exposure](t)(m.Exposure(ctx))
				up := slices.ContainsFunc(must[[]meet.RelayStatus](t)(m.Relays(ctx)), func(s meet.RelayStatus) bool { return s.Reserved })
				done = up == tt.there && (len(parties(e, meet.PartyProxy)) > 0) == tt.seen && (len(asked) > 0 || tt.kind == relayauth.KindTCP)
			}
			proxies := parties(e, meet.PartyProxy)
			if !tt.seen {
				if len(proxies) > 0 {
					t.Errorf("%+v", proxies)
				}
				return
			}
			if len(proxies) != 1 || proxies[0].Name != by.Host || !slices.Equal(proxies[0].Addresses, []netip.Addr{netip.MustParseAddr("127.0.0.7")}) {
				t.Fatalf("%+v", proxies)
			}
			o := exposed(t, e, meet.PartyProxy, crypto.IdentityKey{})
			software := meet.SeenPattern
			if tt.kind == relayauth.KindWebSocket {
				software = meet.SeenClear
			}
			for d, want := range map[meet.Datum]meet.Seen{
				meet.DatumSoftware: software,
				meet.DatumAddress:  meet.SeenClear, meet.DatumTimes: meet.SeenClear, meet.DatumVolume: meet.SeenClear, meet.DatumCounterpart: meet.SeenClear,
				meet.DatumMeetingKey: meet.SeenNot, meet.DatumMembers: meet.SeenNot, meet.DatumName: meet.SeenNot,
			} {
				if o[d].Seen != want {
					t.Errorf("%s: %+v", d, o[d])
				}
			}
			if raw := string(must[[]byte](t)(json.Marshal(e))); strings.Contains(raw, "hunter2") || strings.Contains(raw, "grace") || !strings.Contains(raw, `"kind":"proxy"`) {
				t.Error(raw)
			}
		})
	}
}
