package portmap

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestBytes: requests are those that RFC 6887 (figures 2 and 9) and RFC 6886 (§3.2, §3.3) show.
func TestBytes(t *testing.T) {
	r := mapRequest{nonce: nonce{1, 2}, protocol: protocolUDP, lifetime: 600, client: hostAddr, internal: 40000, external: netip.AddrPortFrom(netip.Addr{}, 40000)}
	want := []byte{2, 1, 0, 0, 0, 0, 2, 0x58, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 7,
		1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0x9c, 0x40, 0x9c, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}
	if got := r.encode(); !bytes.Equal(got, want) {
		t.Errorf("MAP: %x", got)
	}
	if got := encodeAddressRequest(); !bytes.Equal(got, []byte{0, 0}) {
		t.Errorf("address: %x", got)
	}
	p := portRequest{protocol: protocolTCP, internal: 40000, external: 40001, lifetime: 600}
	if got := p.encode(); !bytes.Equal(got, []byte{0, 2, 0, 0, 0x9c, 0x40, 0x9c, 0x41, 0, 0, 2, 0x58}) {
		t.Errorf("port: %x", got)
	}
	if got := encodeAnnounce(hostAddr); !bytes.Equal(got, append([]byte{2, 0, 0, 0, 0, 0, 0, 0}, want[8:24]...)) {
		t.Errorf("ANNOUNCE: %x", got)
	}
	call := string(encodeCall("urn:x", "Do", []argument{{"A", "<&>"}}))
	if !strings.Contains(call, `<u:Do xmlns:u="urn:x"><A>&lt;&amp;&gt;</A></u:Do>`) {
		t.Error(call)
	}
}

// TestEpoch: RFC 6887 §8.5.
func TestEpoch(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		after  time.Duration
		number uint32
		lost   bool
	}{
		{time.Minute, 1060, false}, {time.Minute, 1058, false}, {0, 999, false}, {0, 998, true}, {time.Minute, 5, true},
		{time.Minute, 1000, true}, {time.Minute, 1200, true}, {time.Hour, 4500, false},
	} {
		e := epoch{1000, now}
		if got := e.note(tt.number, now.Add(tt.after)); got != tt.lost {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	var first epoch
	if first.note(7, now) {
		t.Error("the first answer is no restart")
	}
}

// TestPublic: what the internet reaches.
func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"5.6.7.8": true, "2a00::1": true, "192.168.0.1": false, "100.64.0.1": false, "100.128.0.1": true, "10.0.0.1": false, "172.16.3.4": false,
		"0.1.2.3": false, "240.0.0.1": false, "255.255.255.255": false, "224.0.0.1": false, "fd00::1": false, "fe80::1": false, "127.0.0.1": false,
		"169.254.1.1": false, "::ffff:10.0.0.1": false, "::ffff:5.6.7.8": true,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// FuzzDatagram: no datagram of a router's makes a decoder fail otherwise than by an error, and what is decoded was all
// there.
func FuzzDatagram(f *testing.F) {
	r := newRouter()
	r.pcp, r.natpmp, r.upnp = true, true, true
	request := mapRequest{nonce: nonce{1}, protocol: protocolUDP, lifetime: 600, client: hostAddr, internal: 40000}
	f.Add(r.pcpMap(request.encode(), hostAddr))
	f.Add(r.natpmpMap(portRequest{protocolUDP, 1, 2, 3}.encode()))
	for _, ask := range [][]byte{encodeAddressRequest(), encodeAnnounce(hostAddr)} {
		for _, a := range r.answer(ask, netip.AddrPortFrom(routerAddr, controlPort), hostAddr) {
			f.Add(a.data)
		}
	}
	for _, a := range r.answer(nil, netip.AddrPortFrom(routerAddr, ssdpPort), hostAddr) {
		f.Add(a.data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeMap(b); err == nil && (len(b) < pcpMapSize || a.external.Addr().Is4In6()) {
			t.Error("a MAP answer that isn't")
		}
		if a, err := decodeAddress(b); err == nil && a.result == 0 && !a.address.Is4() {
			t.Error("no address")
		}
		if a, err := decodePort(b); err == nil && len(b) != 16 || err == nil && a.protocol == 0 {
			t.Error("a port answer that isn't")
		}
		_, _ = decodeAnnounce(b)
		if u, err := decodeSearch(b, routerAddr); err == nil && u.Hostname() != routerAddr.String() {
			t.Errorf("leads to %v", u)
		}
	})
}

// FuzzDescription: whatever a device describes, what is called is on it.
func FuzzDescription(f *testing.F) {
	f.Add(strings.ReplaceAll(description, "%s", "/ctl"))
	f.Add("<root><URLBase>http://192.168.1.1:80/x/</URLBase><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>a</controlURL></service></root>")
	f.Add(`<a><errorCode>718</errorCode></a>`)
	at, _ := url.Parse("http://192.168.1.1:5000/root.xml")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := decodeDescription(strings.NewReader(text), at, routerAddr); err == nil &&
			(s.control.Hostname() != routerAddr.String() || s.control.Scheme != "http") {
			t.Errorf("leads to %v", s.control)
		}
		if _, fault, err := decodeCall(strings.NewReader(text), "NewExternalIPAddress"); err == nil && fault > 1<<16 {
			t.Error(fault)
		}
	})
}
