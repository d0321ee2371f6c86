//go:build lab

package main

import (
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// needRoot fails rather than skips: who asks for the laboratory by its build tag means it.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the laboratory needs root, for network namespaces")
	}
}

// TestNatures checks that each emulated NAT is what it claims, by probes of our own.
func TestNatures(t *testing.T) {
	needRoot(t)
	restricted := nature{out: true, sameMapping: true, addressFiltering: true, portFiltering: true}
	for k, want := range map[kind]nature{
		kindPublic:     {out: true, sameMapping: true},
		kindFullCone:   {out: true, sameMapping: true},
		kindRestricted: restricted,
		kindDouble:     restricted,
		kindMapped:     restricted,
		kindIPv6:       restricted,
		kindSymmetric:  {out: true, addressFiltering: true, portFiltering: true},
		kindNoUDP:      {},
		kindOnly443:    {},
		kindProxy:      {},
	} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			w, err := newWorld(t.TempDir(), false, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			s, err := w.site(k, "a", 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			var helpers []*host
			for i, name := range []string{"first", "second"} {
				p, err := w.public(name, 2+i)
				if err != nil {
					t.Fatal(err)
				}
				h := p.hosts[0]
				if k == kindIPv6 {
					h.own[0], h.own[1] = h.own[1], h.own[0]
				}
				helpers = append(helpers, h)
			}
			got, err := probe(s.hosts[0], helpers[0], helpers[1])
			if err != nil || got != want {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
			if strays := w.wan.strayPackets(); len(strays) > 0 {
				t.Errorf("packets to nowhere: %v", strays)
			}
		})
	}
}

// TestMatrix runs all cells and scenarios, three beside each other, and those that fall short again: see measured. It
// fails for each that falls short each time.
func TestMatrix(t *testing.T) {
	needRoot(t)
	l, err := newLab(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.close() }()
	all := options{short: testing.Short()}.wanted(l.experiments())
	results := l.measured(t.Context(), all, 3, func(r result) { t.Log(r.line()) })
	if err := tooMany(results); err != nil {
		t.Error(err)
	}
	for _, r := range results {
		if r.Pending != "" || len(r.Failures) > 0 {
			t.Errorf("%s: %s %q", r.Name, r.Pending, r.Failures)
		}
	}
}

// TestAuditFinds has a member leak whatever it can, and the audits must say so; and one that leaks nothing, of whom they
// must say nothing.
func TestAuditFinds(t *testing.T) {
	needRoot(t)
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(root, "examples/internal/media/speech-1.ogg"))
	if err != nil {
		t.Fatal(err)
	}
	secret := sha256.Sum256([]byte("a meeting"))
	needles := slices.Concat(forms("chat", []byte(auditChat)), forms("meeting ID", secret[:]), mediaNeedles(file))
	for name, tt := range map[string]struct {
		send [][]byte
		to   netip.AddrPort
		want []string // parts of what the audits say
	}{
		"nothing":            {[][]byte{{128, 0, 1, 2}}, netip.AddrPortFrom(wan4(2).Addr(), 9), nil},
		"chat":               {[][]byte{[]byte("say " + auditChat)}, netip.AddrPortFrom(wan4(2).Addr(), 9), []string{"found: chat"}},
		"chat in two":        {[][]byte{[]byte(auditChat[:9]), []byte(auditChat[9:])}, netip.AddrPortFrom(wan4(2).Addr(), 9), []string{"found: chat"}},
		"meeting ID, hidden": {[][]byte{[]byte(`{"id":"` + base64.StdEncoding.EncodeToString(secret[:]) + `"}`)}, netip.AddrPortFrom(wan4(2).Addr(), 9), []string{"found: meeting ID"}},
		"media":              {[][]byte{file[5000:6200]}, netip.AddrPortFrom(wan4(2).Addr(), 9), []string{"found: media"}},
		"to a stranger":      {[][]byte{{1}}, netip.MustParseAddrPort("8.8.8.8:53"), []string{"to a stranger", "to nowhere"}},
		"to the LAN": {
			[][]byte{{1}}, netip.MustParseAddrPort("192.168.1.77:9"), nil, // nobody answers ARP: no packet
		},
		"multicast": {[][]byte{{1}}, netip.MustParseAddrPort("239.255.255.250:1900"), []string{"to a stranger"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := newWorld(t.TempDir(), true, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			s, err := w.site(kindRestricted, "leaky", 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			other, err := w.public("other", 2)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := s.hosts[0].ns.udp(netip.AddrPortFrom(s.hosts[0].own[0], 0))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for _, b := range tt.send {
				if _, err := conn.WriteToUDPAddrPort(b, tt.to); err != nil {
					t.Fatal(err)
				}
			}
			// A packet that follows all others has been seen: so have they.
			if err := passes(conn, other.hosts[0]); err != nil {
				t.Fatal(err)
			}
			said := destinations("leaky", s.hosts[0].capture.snapshot(), other.hosts[0].own)
			for _, x := range w.wan.strayPackets() {
				said = append(said, "to nowhere "+x.String())
			}
			for _, f := range search(w.seen.packets(), needles) {
				said = append(said, "found: "+f.String())
			}
			text := strings.Join(said, "\n")
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %q", want, text)
				}
			}
			if len(tt.want) == 0 && text != "" {
				t.Errorf("the audits say %q", text)
			}
		})
	}
}

// passes sends a packet from conn and waits until a host has it.
func passes(conn *net.UDPConn, to *host) error {
	at := netip.AddrPortFrom(to.own[0], 7)
	server, err := to.ns.udp(at)
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := conn.WriteToUDPAddrPort([]byte{128, 0}, at); err != nil {
		return err
	}
	_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _, err = server.ReadFromUDPAddrPort(make([]byte, 8))
	return err
}

// TestIsolation checks that no namespace of a world reaches the machine, and that a world leaves nothing behind.
func TestIsolation(t *testing.T) {
	needRoot(t)
	before, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	outside, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	w, err := newWorld(t.TempDir(), false, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.site(kindRestricted, "a", 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.hosts[0].ns.udp(netip.AddrPortFrom(s.hosts[0].own[0], 0))
	if err != nil {
		t.Fatal(err)
	}
	port := outside.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if ip = ip.Unmap(); ip.Is4() {
			_, _ = conn.WriteToUDPAddrPort([]byte("out?"), netip.AddrPortFrom(ip, port))
		}
	}
	_ = outside.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, from, err := outside.ReadFromUDPAddrPort(make([]byte, 8)); err == nil {
		t.Errorf("%d bytes came out of the laboratory, from %v", n, from)
	}
	_ = conn.Close()
	w.close()
	after, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("the machine has %d interfaces, and had %d", len(after), len(before))
	}
	if names, err := os.ReadDir("/run/netns"); err == nil && len(names) > 0 {
		t.Logf("named namespaces, of others: %v", names)
	}
}

// TestDelay checks that the WAN adds what it says to a round trip, and nearly nothing of its own.
func TestDelay(t *testing.T) {
	needRoot(t)
	w, err := newWorld(t.TempDir(), false, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	var ends []*net.UDPConn
	for i, k := range []kind{kindRestricted, kindPublic} {
		s, err := w.site(k, string(k), i+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := s.hosts[0].ns.udp(netip.AddrPortFrom(s.hosts[0].own[0], 9))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ends = append(ends, conn)
	}
	const want = 4 * accessDelay
	shortest := time.Hour
	for range 20 {
		began := time.Now()
		from := netip.AddrPortFrom(wan4(2).Addr(), 9)
		for i := range 2 { // there and back
			if _, err := ends[i].WriteToUDPAddrPort([]byte{128, 0}, from); err != nil {
				t.Fatal(err)
			}
			_ = ends[1-i].SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, from, err = ends[1-i].ReadFromUDPAddrPort(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
		}
		shortest = min(shortest, time.Since(began))
	}
	t.Logf("a round trip of %v takes %v", want, shortest)
	if shortest < want || shortest > want+want/4 {
		t.Errorf("a round trip of %v takes %v", want, shortest)
	}
}

// TestRelayStarts has the relay say what it hands out, the same after a restart.
func TestRelayStarts(t *testing.T) {
	needRoot(t)
	l, err := newLab(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.close() }()
	w, err := newWorld(l.dir, false, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	r, err := l.startRelay(t.Context(), w, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer r.end()
	uri := r.uri
	if err := r.restart(t.Context()); err != nil || r.uri != uri {
		t.Errorf("after the restart: %v, the same: %v", err, r.uri == uri)
	}
}
