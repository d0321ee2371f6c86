package meet_test

import (
	"context"
	"encoding/json"
	"maps"
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

// What a proxy sees that was tried, that was asked for a relay too, and that carried packets as well.
var (
	proxyTried = map[meet.Datum]meet.Seen{
		meet.DatumAddress: meet.SeenClear, meet.DatumTimes: meet.SeenPart, meet.DatumCounterpart: meet.SeenNot, meet.DatumVolume: meet.SeenNot,
		meet.DatumSoftware: meet.SeenNot, meet.DatumMeetingKey: meet.SeenNot, meet.DatumMembers: meet.SeenNot, meet.DatumName: meet.SeenNot,
	}
	proxyAsked = with(proxyTried, meet.DatumCounterpart, meet.SeenClear)
)

func proxyCarried(software meet.Seen) map[meet.Datum]meet.Seen {
	return with(with(with(proxyAsked, meet.DatumVolume, meet.SeenClear), meet.DatumTimes, meet.SeenClear), meet.DatumSoftware, software)
}

func with(m map[meet.Datum]meet.Seen, d meet.Datum, s meet.Seen) map[meet.Datum]meet.Seen {
	m = maps.Clone(m)
	m[d] = s
	return m
}

// silentProxy is an HTTP proxy whose machine lets every packet fall; nil where tests can't make one.
var silentProxy func(*testing.T) *url.URL

// TestExposureOfProxy: a proxy that was tried, whatever came of it, is one of those who could observe something, by its
// name without password, and what it could observe is what it was sent: one that is silent was not told where to. One
// that was only named is none of those.
//
// Checks: EXP-1, EXP-4.
func TestExposureOfProxy(t *testing.T) {
	nobody := func(t *testing.T) *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.7:9"} }
	for name, tt := range map[string]struct {
		proxy func(*testing.T) *url.URL
		kind  relayauth.AddressKind
		sees  map[meet.Datum]meet.Seen // nil: it is no party
		there bool                     // the relay is reached
	}{
		"through it":         {func(t *testing.T) *url.URL { return realProxy(t, false) }, relayauth.KindWebSocketTLS, proxyCarried(meet.SeenPattern), true},
		"without TLS":        {func(t *testing.T) *url.URL { return realProxy(t, false) }, relayauth.KindWebSocket, proxyCarried(meet.SeenClear), true},
		"it refuses":         {func(t *testing.T) *url.URL { return realProxy(t, true) }, relayauth.KindWebSocketTLS, proxyAsked, false},
		"it refuses, no TLS": {func(t *testing.T) *url.URL { return realProxy(t, true) }, relayauth.KindWebSocket, proxyAsked, false},
		"SOCKS5, hangs up":   {hangsUp, relayauth.KindWebSocketTLS, proxyTried, false},
		"nobody there":       {nobody, relayauth.KindWebSocketTLS, proxyTried, false},
		"never answers":      {silentProxy, relayauth.KindWebSocketTLS, proxyTried, false},
		"only named":         {func(t *testing.T) *url.URL { return realProxy(t, false) }, relayauth.KindTCP, nil, true},
		"for others":         {func(*testing.T) *url.URL { return nil }, relayauth.KindWebSocketTLS, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.proxy == nil {
				t.Skip("needs a system where a listener's queue can be filled")
			}
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
				tried := len(asked) > 0 && tt.there || len(asked) > 1 || tt.kind == relayauth.KindTCP // the second time, the first is over
				done = up == tt.there && (len(parties(e, meet.PartyProxy)) > 0) == (tt.sees != nil) && tried
			}
			proxies := parties(e, meet.PartyProxy)
			if tt.sees == nil {
				if len(proxies) > 0 {
					t.Errorf("%+v", proxies)
				}
				return
			}
			if len(proxies) != 1 || proxies[0].Name != by.Host || !slices.Equal(proxies[0].Addresses, []netip.Addr{netip.MustParseAddr("127.0.0.7")}) {
				t.Fatalf("%+v", proxies)
			}
			o := exposed(t, e, meet.PartyProxy, crypto.IdentityKey{})
			for d, want := range tt.sees {
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
