package portmap

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ports = []Ports{{Local: netip.IPv4Unspecified(), UDP: 40000, TCP: 40000}, {Local: netip.IPv6Unspecified(), UDP: 40000}}

// mapped starts a mapper and waits for the outcome, which takes how long it is returned to have taken.
func mapped(t *testing.T, r *router) (*Mapper, time.Duration) {
	t.Helper()
	begun := time.Now()
	m := New(Config{Network: r, Listen: ports})
	<-m.Known()
	return m, time.Since(begun)
}

func check(t *testing.T, m *Mapper, want Outcome, mappings ...string) {
	t.Helper()
	got, err := m.Outcome()
	if got != want {
		t.Errorf("%v (%v), not %v", got, err, want)
	}
	var texts []string
	for _, x := range m.Mappings() {
		texts = append(texts, fmt.Sprintf("%s %s %v", x.Protocol, x.Network, x.External))
	}
	if strings.Join(texts, ", ") != strings.Join(mappings, ", ") {
		t.Errorf("mapped %q, not %q", texts, mappings)
	}
}

// gatewayAlone checks that nothing was sent to any but the routers.
func gatewayAlone(t *testing.T, r *router) {
	t.Helper()
	for _, to := range r.sent {
		if to.Addr() != routerAddr && to.Addr().WithZone("") != netip.MustParseAddr("fe80::1") {
			t.Errorf("something was sent to %v", to)
		}
	}
}

// TestProtocols: each protocol maps UDP and TCP at once, and Close takes it back.
//
// Checks: MAP-1, MAP-3.
func TestProtocols(t *testing.T) {
	for name, tt := range map[string]struct {
		set   func(*router)
		which Protocol
		limit time.Duration
	}{
		"PCP":              {func(r *router) { r.pcp = true }, PCP, 0},
		"PCP beside":       {func(r *router) { r.pcp, r.natpmp, r.upnp = true, true, true }, PCP, 0},
		"NAT-PMP":          {func(r *router) { r.natpmp = true }, NATPMP, pcpGrace},
		"NAT-PMP and UPnP": {func(r *router) { r.natpmp, r.upnp = true, true }, NATPMP, pcpGrace},
		"UPnP":             {func(r *router) { r.upnp = true }, UPnP, 350 * time.Millisecond},
		"UPnP permanent":   {func(r *router) { r.upnp, r.permOnly = true, true }, UPnP, 350 * time.Millisecond},
		"PCP is refused":   {func(r *router) { r.pcp, r.upnp, r.result = true, true, 2 }, UPnP, 350 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter()
				tt.set(r)
				m, took := mapped(t, r)
				check(t, m, Mapped, string(tt.which)+" udp 5.6.7.8:40000", string(tt.which)+" tcp 5.6.7.8:40000")
				if took > tt.limit {
					t.Errorf("took %v", took)
				}
				if open := r.open(); len(open) != 2 || !endsIn(open, map[bool]string{true: "0", false: "600"}[r.permOnly]) {
					t.Errorf("the router has %v", open)
				}
				for range 4 { // renewals
					time.Sleep(lifetime/2 + time.Second)
				}
				check(t, m, Mapped, string(tt.which)+" udp 5.6.7.8:40000", string(tt.which)+" tcp 5.6.7.8:40000")
				m.Close()
				if open := r.open(); len(open) != 0 {
					t.Errorf("after Close the router has %v", open)
				}
				gatewayAlone(t, r)
			})
		})
	}
}

// endsIn says whether all that a router has was asked for with this end, in seconds; 0: none.
func endsIn(open map[string]string, seconds string) bool {
	for _, m := range open {
		if !strings.HasSuffix(m, " "+seconds) {
			return false
		}
	}
	return true
}

// TestLeftOpen: without the protections what was opened stays open: after Close, and, where the host crashes, for ever.
//
// Checks: MAP-3.
func TestLeftOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		unsafe unsafeSwitches
		end    string
	}{"protected": {unsafeSwitches{}, "600"}, "not deleted": {unsafeSwitches{keepOpen: true}, "600"}, "no end": {unsafeSwitches{permanent: true}, "0"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter()
				r.upnp = true
				m := New(Config{Network: r, Listen: ports, unsafe: tt.unsafe})
				<-m.Known()
				if open := r.open(); len(open) != 2 || !endsIn(open, tt.end) {
					t.Errorf("the router has %v", open)
				}
				m.Close()
				if open := r.open(); (len(open) > 0) != tt.unsafe.keepOpen {
					t.Errorf("after Close the router has %v", open)
				}
			})
		})
	}
}

// TestIPv6: the router opens its firewall by PCP; UPnP and NAT-PMP aren't asked.
func TestIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.pcp, r.upnp, r.natpmp = true, true, true
		r.gateways = []Gateway{{netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("2a00::7")}}
		m, _ := mapped(t, r)
		check(t, m, Mapped, "PCP udp [2a00::7]:40000")
		m.Close()
		for _, to := range r.sent {
			if to.Port() != controlPort {
				t.Errorf("asked at %v", to)
			}
		}
	})
}

// TestOutcomes: what can't be had is said.
func TestOutcomes(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*router)
		want Outcome
		err  error
	}{
		"no gateway":        {func(r *router) { r.gateways = nil }, NoRouter, ErrNoRouter},
		"own address":       {func(r *router) { r.gateways[0].Local = outside }, NoRouter, ErrNoRouter},
		"silent":            {func(r *router) {}, NoAnswer, ErrNoAnswer},
		"PCP refuses":       {func(r *router) { r.pcp, r.result = true, 2 }, Refused, nil},
		"NAT-PMP refuses":   {func(r *router) { r.natpmp, r.result = true, 2 }, Refused, nil},
		"UPnP refuses":      {func(r *router) { r.upnp, r.fault = true, 606 }, Refused, nil},
		"carrier's NAT":     {func(r *router) { r.pcp, r.external = true, netip.MustParseAddr("100.64.3.4") }, DoubleNAT, nil},
		"a router behind":   {func(r *router) { r.upnp, r.external = true, netip.MustParseAddr("192.168.0.2") }, DoubleNAT, nil},
		"no external":       {func(r *router) { r.natpmp, r.external = true, netip.MustParseAddr("0.0.0.0") }, NoAnswer, nil},
		"external is a lie": {func(r *router) { r.pcp, r.external = true, netip.MustParseAddr("224.0.0.1") }, NoAnswer, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter()
				tt.set(r)
				m, took := mapped(t, r)
				defer m.Close()
				got, err := m.Outcome()
				if got != tt.want || tt.err != nil && !errors.Is(err, tt.err) || took > 5*time.Second {
					t.Errorf("%v, %v after %v", got, err, took)
				}
				for _, x := range m.Mappings() {
					if x.Public() {
						t.Errorf("mapped %v", x)
					}
				}
			})
		})
	}
}

// TestRestart: a router that lost its mappings gets them again within a minute, and one that has another address is
// noticed.
func TestRestart(t *testing.T) {
	for _, which := range []string{"PCP", "NAT-PMP"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter()
			r.pcp, r.natpmp = which == "PCP", which != "PCP"
			changed := make(chan struct{}, 10)
			m := New(Config{Network: r, Listen: ports, Changed: func() { changed <- struct{}{} }})
			<-changed
			time.Sleep(150 * time.Second)
			r.restart()
			r.mu.Lock()
			r.external = netip.MustParseAddr("5.6.7.9")
			r.mu.Unlock()
			time.Sleep(watchEvery + time.Second)
			if open := r.open(); len(open) != 2 {
				t.Errorf("%s: the router has %v", which, open)
			}
			<-changed
			check(t, m, Mapped, which+" udp 5.6.7.9:40000", which+" tcp 5.6.7.9:40000")
			// It goes away for good: nothing is mapped any more, and then it comes back.
			r.mu.Lock()
			r.silent = true
			r.mu.Unlock()
			<-changed
			check(t, m, NoAnswer)
			r.mu.Lock()
			r.silent = false
			r.mu.Unlock()
			<-changed
			check(t, m, Mapped, which+" udp 5.6.7.9:40000", which+" tcp 5.6.7.9:40000")
			m.Close()
		})
	}
}

// TestAnotherRouter: where the machine moves to another network, the router there is asked.
func TestAnotherRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.pcp = true
		m, _ := mapped(t, r)
		defer m.Close()
		r.mu.Lock()
		r.gateways = []Gateway{{routerAddr, netip.MustParseAddr("192.168.1.9")}}
		r.external = netip.MustParseAddr("7.7.7.7")
		r.maps, r.nonces = map[string]string{}, map[string]nonce{}
		r.mu.Unlock()
		m.Refresh()
		time.Sleep(time.Second)
		check(t, m, Mapped, "PCP udp 7.7.7.7:40000", "PCP tcp 7.7.7.7:40000")
	})
}

// TestConflict: where another machine has the port, another is taken.
func TestConflict(t *testing.T) {
	for _, which := range []string{"PCP", "NAT-PMP", "UPnP"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter()
			r.pcp, r.natpmp, r.upnp = which == "PCP", which == "NAT-PMP", which == "UPnP"
			r.taken[40000] = true
			m, _ := mapped(t, r)
			defer m.Close()
			all := m.Mappings()
			if len(all) != 2 || all[0].External.Port() == 40000 || all[0].External.Port() == 0 {
				t.Errorf("%s: %v", which, all)
			}
		})
	}
}

// TestTwins: without the protections the attacks work: what another machine on the network answers is believed, an answer
// to another's request too, and a device has us call at another's.
//
// Checks: MAP-1, MAP-2.
func TestTwins(t *testing.T) {
	for name, tt := range map[string]struct {
		unsafe unsafeSwitches
		set    func(*router)
	}{
		"source": {unsafeSwitches{anySource: true}, func(r *router) {
			r.pcp = true
			r.forge = func(_ []byte, a []forged) []forged {
				for i := range a {
					a[i].from = netip.AddrPortFrom(stranger, controlPort)
				}
				return a
			}
		}},
		"nonce": {unsafeSwitches{anyNonce: true}, func(r *router) {
			r.pcp = true
			r.forge = func(_ []byte, a []forged) []forged {
				for i := range a {
					if len(a[i].data) == pcpMapSize {
						a[i].data[24] ^= 1
					}
				}
				return a
			}
		}},
		"location": {unsafeSwitches{anyURL: true}, func(r *router) { r.upnp, r.location = true, "http://192.168.1.66:5000/root.xml" }},
		"control":  {unsafeSwitches{anyURL: true}, func(r *router) { r.upnp, r.control = true, "http://192.168.1.66:5000/ctl" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, protected := range []bool{true, false} {
					r := newRouter()
					tt.set(r)
					c := Config{Network: r, Listen: ports, unsafe: tt.unsafe}
					if protected {
						c.unsafe = unsafeSwitches{}
					}
					m := New(c)
					<-m.Known()
					if o, err := m.Outcome(); (o == Mapped) == protected {
						t.Errorf("protected %v: %v, %v", protected, o, err)
					}
					m.Close()
				}
			})
		})
	}
}

// TestHostileUDP: what comes from another address, with another nonce, or isn't an answer at all is nothing.
//
// Checks: MAP-2.
func TestHostileUDP(t *testing.T) {
	for name, forge := range map[string]func(ask []byte, a []forged) []forged{
		"another address": func(_ []byte, a []forged) []forged {
			for i := range a {
				a[i].from = netip.AddrPortFrom(stranger, a[i].from.Port())
			}
			return a
		},
		"another port": func(_ []byte, a []forged) []forged {
			for i := range a {
				a[i].from = netip.AddrPortFrom(a[i].from.Addr(), 9)
			}
			return a
		},
		"another nonce": func(_ []byte, a []forged) []forged {
			for i := range a {
				if len(a[i].data) == pcpMapSize {
					a[i].data[24] ^= 1
				} else {
					a[i].data[0] = 9
				}
			}
			return a
		},
		"cut": func(_ []byte, a []forged) []forged {
			for i := range a {
				a[i].data = a[i].data[:len(a[i].data)-4]
			}
			return a
		},
		"huge": func(_ []byte, a []forged) []forged {
			for i := range a {
				a[i].data = append(a[i].data, make([]byte, 3000)...)
			}
			return a
		},
		"another's port": func(_ []byte, a []forged) []forged {
			for i := range a {
				if len(a[i].data) == pcpMapSize {
					a[i].data[40] ^= 1
				} else if len(a[i].data) == 16 {
					a[i].data[8] ^= 1
				}
			}
			return a
		},
	} {
		for _, pcp := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter()
				r.pcp, r.natpmp, r.forge = pcp, !pcp, forge
				m, took := mapped(t, r)
				check(t, m, NoAnswer)
				if took > tryTimeout {
					t.Errorf("%s: took %v", name, took)
				}
				m.Close()
				// And the same with the genuine answer after it is taken.
				r = newRouter()
				r.pcp, r.natpmp = pcp, !pcp
				r.forge = func(ask []byte, a []forged) []forged {
					var bad []forged
					for _, x := range a {
						bad = append(bad, forged{x.from, append([]byte(nil), x.data...)})
					}
					return append(forge(ask, bad), a...)
				}
				m, _ = mapped(t, r)
				if o, err := m.Outcome(); o != Mapped {
					t.Errorf("%s: %v, %v", name, o, err)
				}
				m.Close()
			})
		}
	}
}

// TestHostileUPnP: a device that leads elsewhere, never ends, or lies maps nothing, and nothing is sent to anyone else.
//
// Checks: MAP-1, MAP-2.
func TestHostileUPnP(t *testing.T) {
	elsewhere := func(url string) func(r *router) { return func(r *router) { r.location = url } }
	body := func(text string) func(r *router) {
		return func(r *router) {
			r.http = func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write([]byte(text)) }
		}
	}
	for name, set := range map[string]func(*router){
		"location elsewhere":    elsewhere("http://192.168.1.66:5000/root.xml"),
		"location by name":      elsewhere("http://router.example/root.xml"),
		"location by user":      elsewhere("http://192.168.1.1:80@192.168.1.66/root.xml"),
		"https":                 elsewhere("https://192.168.1.1/root.xml"),
		"file":                  elsewhere("file:///etc/passwd"),
		"no location":           elsewhere(""),
		"control elsewhere":     func(r *router) { r.control = "http://192.168.1.66/ctl" },
		"control, no scheme":    func(r *router) { r.control = "//192.168.1.66/ctl" },
		"garbage":               body("<root><device>"),
		"nothing":               body(""),
		"document type":         body(`<!DOCTYPE r [<!ENTITY a "b">]>` + fmt.Sprintf(description, "/ctl")),
		"deep":                  body(strings.Repeat("<a>", 1000)),
		"huge":                  body("<root>" + strings.Repeat("<a></a>", maxBody) + fmt.Sprintf(description, "/ctl") + "</root>"),
		"long text":             body("<root><URLBase>" + strings.Repeat("a", 2*maxText) + "</URLBase></root>"),
		"base elsewhere":        body("<root><URLBase>http://192.168.1.66/</URLBase></root>"),
		"two documents":         body(fmt.Sprintf(description, "/ctl") + "<root/>"),
		"another character set": body(`<?xml version="1.0" encoding="utf-7"?><root/>`),
		"redirect": func(r *router) {
			r.http = func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
				http.Redirect(w, req, "http://192.168.1.66/root.xml", http.StatusFound)
			}
		},
		"slow": func(r *router) {
			r.http = func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
				for range 1000 {
					_, _ = w.Write([]byte(" "))
					if http.NewResponseController(w).Flush() != nil || req.Context().Err() != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}
		},
		"lies about its address": func(r *router) { r.external = netip.MustParseAddr("127.0.0.1") },
		"conflicts for ever":     func(r *router) { r.fault = faultConflict },
		"permanent for ever":     func(r *router) { r.fault = faultPermanentOnly },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRouter()
				r.upnp = true
				set(r)
				m, took := mapped(t, r)
				if o, _ := m.Outcome(); o != NoAnswer && o != Refused || len(m.Mappings()) > 0 {
					t.Errorf("%v, %v", o, m.Mappings())
				}
				if took > tryTimeout {
					t.Errorf("took %v", took)
				}
				m.Close()
				time.Sleep(2 * time.Second) // the slow one's
				gatewayAlone(t, r)
			})
		})
	}
}

// TestCloseSilent: a router that has gone silent holds Close up for a second at most; so does one that was never asked. It
// has no twin: without the limit Close would never return.
//
// Checks: MAP-3.
func TestCloseSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.pcp = true
		m, _ := mapped(t, r)
		r.mu.Lock()
		r.silent = true
		r.mu.Unlock()
		begun := time.Now()
		m.Close()
		if d := time.Since(begun); d > closeTimeout {
			t.Errorf("Close took %v", d)
		}
		m = New(Config{Network: r, Listen: ports})
		m.Close()
		<-m.Known()
	})
}

// TestLife: what a router says of time is believed within limits.
func TestLife(t *testing.T) {
	for granted, want := range map[uint32]time.Duration{1: minLife, 300: 5 * time.Minute, 1 << 31: lifetime} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter()
			r.pcp, r.life = true, granted
			m, _ := mapped(t, r)
			defer m.Close()
			if got := time.Until(m.Mappings()[0].Expires); got != want {
				t.Errorf("%d s granted: %v", granted, got)
			}
		})
	}
}
