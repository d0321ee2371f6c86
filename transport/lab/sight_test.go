package main

import (
	"bytes"
	"encoding/base32"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/huisclos/huisclos/transport/internal/tap"
)

// two are members who exchange packets, and the libp2p ID of the first.
func two(t *testing.T) (ada, ben subject, id peer.ID) {
	t.Helper()
	var keys [2][]byte
	for i := range keys {
		_, public, err := crypto.GenerateEd25519Key(bytes.NewReader(bytes.Repeat([]byte{byte(i + 1)}, 64)))
		if err != nil {
			t.Fatal(err)
		}
		if keys[i], err = public.Raw(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if id, err = peer.IDFromPublicKey(public); err != nil {
				t.Fatal(err)
			}
		}
	}
	ben = subject{name: "Ben", addresses: []netip.Addr{wan4(2).Addr()}, key: keys[1]}
	ada = subject{name: "Ada", addresses: []netip.Addr{wan4(1).Addr()}, key: keys[0], others: []*subject{&ben},
		needles: map[string][]needle{"chat": forms("chat", []byte(auditChat)), "meeting-key": keyNeedles("key", keys[0])}}
	return ada, ben, id
}

// TestOpened: of what a relay or a DHT's node can read, what stands there is found, in whatever form and pieces, and
// nothing else.
func TestOpened(t *testing.T) {
	ada, ben, id := two(t)
	at := func(a netip.Addr, stream uint64, data string) tap.Record {
		return tap.Record{Stream: stream, Address: netip.AddrPortFrom(a, 9), Data: []byte(data)}
	}
	from := ada.addresses[0]
	hers := at(from, 1, string(negotiation))
	hers.Peer = ada.key
	label := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append([]byte("x"), auditChat...)))
	all := "address times volume software counterpart meeting-key chat"
	for name, tt := range map[string]struct {
		records []tap.Record
		want    string
	}{
		"nothing":                    {nil, ""},
		"of another":                 {[]tap.Record{at(ben.addresses[0], 1, "sealed")}, ""},
		"sealed":                     {[]tap.Record{at(from, 1, "sealed")}, "address times volume"},
		"her connection":             {[]tap.Record{hers}, "address times volume software meeting-key"},
		"her key":                    {[]tap.Record{at(from, 1, id.String())}, "address times volume meeting-key"},
		"her key, said by another":   {[]tap.Record{at(ben.addresses[0], 1, "\x12\x20"+string(ada.key))}, "meeting-key"},
		"with whom":                  {[]tap.Record{at(from, 1, "to "+string(ben.key))}, "address times volume counterpart"},
		"with which address":         {[]tap.Record{at(from, 1, string(inMultiaddr(ben.addresses[0])))}, "address times volume counterpart"},
		"what another is told":       {[]tap.Record{at(wan4(3).Addr(), 1, string(ben.key))}, ""},
		"chat":                       {[]tap.Record{at(from, 1, "say "+auditChat)}, "address times volume chat"},
		"chat in two":                {[]tap.Record{at(from, 1, auditChat[:9]), at(from, 2, "x"), at(from, 1, auditChat[9:])}, "address times volume chat"},
		"chat, each way one half":    {[]tap.Record{at(from, 1, auditChat[:9]), {Stream: 1, Out: true, Address: netip.AddrPortFrom(from, 9), Data: []byte(auditChat[9:])}}, "address times volume"},
		"chat as a name with labels": {[]tap.Record{at(from, 1, label[:30]+"."+label[30:]+".alt")}, "address times volume chat"},
	} {
		found := opened{tt.records, atRelay}.of(ada)
		for _, datum := range strings.Fields(all) {
			if want := strings.Contains(" "+tt.want+" ", " "+datum+" "); found[datum] != want {
				t.Errorf("%s: %s is found: %v, want %v", name, datum, found[datum], want)
			}
		}
	}
	if _, looked := (opened{nil, atDHT}).of(ada)["volume"]; looked {
		t.Error("how much a DHT's node is sent is taken for the meeting's")
	}
}

// TestLeaks: whatever a sight gives away is found in it, so that a lie of Exposure about it is.
func TestLeaks(t *testing.T) {
	ada, _, _ := two(t)
	for name, s := range map[string]sight{"wire": wire{}, "relay": opened{nil, atRelay}, "DHT": opened{nil, atDHT}, "invite": invite{}, "proxy": carried{}} {
		leaks := s.leaks(ada)
		if len(leaks) < 2 {
			t.Errorf("%s: %d leaks", name, len(leaks))
		}
		for datum, leaky := range leaks {
			p := exposedTo{Observations: []observed{{datum, "no", "sealed"}}}
			found := leaky.of(ada)
			if !found[datum] || len(p.contradictions("Ada", found, s.clear())) != 1 {
				t.Errorf("%s: %s isn't found out", name, datum)
			}
			if said := p.contradictions("Ada", s.of(ada), s.clear()); len(said) != 0 {
				t.Errorf("%s shows nothing: %v", name, said)
			}
		}
	}
}

// TestCarried: a proxy knows for which relay it was asked if it was, and by whom.
func TestCarried(t *testing.T) {
	ada, ben, _ := two(t)
	relay := wan4(9).Addr()
	ask := func(from netip.Addr, what string) kept {
		return kept{data: ip4(from.String()+":1", "192.168.1.31:3128", protoTCP, []byte(what))}
	}
	for name, tt := range map[string]struct {
		packets []kept
		address bool
		asked   bool
	}{
		"nothing":          {nil, false, false},
		"a connection":     {[]kept{ask(ada.addresses[0], "")}, true, false},
		"asked":            {[]kept{ask(ada.addresses[0], "CONNECT 5.109.100.1:443 HTTP/1.1\r\n")}, true, true},
		"asked by another": {[]kept{ask(ben.addresses[0], "CONNECT 5.109.100.1:443 HTTP/1.1\r\n")}, false, false},
		"for another":      {[]kept{ask(ada.addresses[0], "CONNECT 5.8.0.1:443 HTTP/1.1\r\n")}, true, false},
		"named besides":    {[]kept{ask(ada.addresses[0], "GET / CONNECT 5.109.100.1:443 ")}, true, false},
	} {
		if found := (carried{tt.packets, []netip.Addr{relay}}).of(ada); found["counterpart"] != tt.asked || found["address"] != tt.address {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestUnnamed: an address that packets went to, of which nothing is said, is found out.
func TestUnnamed(t *testing.T) {
	own, other, node := wan4(1).Addr(), wan4(2).Addr(), wan4(3).Addr()
	flows := map[flowAt]counts{}
	for _, to := range []netip.Addr{other, node} {
		flows[flowAt{flow{netip.AddrPortFrom(own, 1), netip.AddrPortFrom(to, 2), classTCP}, true}] = counts{packets: 1}
	}
	flows[flowAt{flow{netip.AddrPortFrom(own, 1), netip.AddrPortFrom(mdnsGroups[0], mdnsPort), classDatagram}, true}] = counts{packets: 1}
	var member, dht exposedTo
	member.Party.Kind, member.Party.Addresses, dht.Party.Kind = "member", []netip.Addr{other}, "dht"
	for n, parties := range map[int][]exposedTo{2: nil, 1: {member}, 0: {member, dht}} {
		if said := (exposure{parties}).unnamed("Ada", flows, []netip.Addr{own}, []netip.Addr{node}); len(said) != n {
			t.Errorf("%q, want %d", said, n)
		}
	}
}

// TestBlinded: what says more on a local network than it should is found out.
func TestBlinded(t *testing.T) {
	name := func(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }
	hash := strings.Repeat("q3k7", 6) + "ab.local."
	txt := func(name dnsmessage.Name, size int) dnsmessage.Resource {
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.TXTResource{}}
		for ; size > 0; size -= 255 {
			r.Body.(*dnsmessage.TXTResource).TXT = append(r.Body.(*dnsmessage.TXTResource).TXT, strings.Repeat("x", min(size, 255)))
		}
		return r
	}
	ask := func(s string, kind dnsmessage.Type) []dnsmessage.Question {
		return []dnsmessage.Question{{Name: name(s), Type: kind, Class: dnsmessage.ClassINET}}
	}
	address := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name(hash), Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: wan4(1).Addr().As4()}}
	for what, tt := range map[string]struct {
		message dnsmessage.Message
		ok      bool
	}{
		"question":           {dnsmessage.Message{Questions: ask(hash, dnsmessage.TypeTXT)}, true},
		"answer":             {dnsmessage.Message{Answers: []dnsmessage.Resource{txt(name(hash), sealedSize)}}, true},
		"a machine's name":   {dnsmessage.Message{Questions: ask("adas-laptop.local.", dnsmessage.TypeTXT)}, false},
		"a service":          {dnsmessage.Message{Questions: ask("_huisclos._udp.local.", dnsmessage.TypeTXT)}, false},
		"another type":       {dnsmessage.Message{Questions: ask(hash, dnsmessage.TypeA)}, false},
		"an address":         {dnsmessage.Message{Answers: []dnsmessage.Resource{address}}, false},
		"an address besides": {dnsmessage.Message{Answers: []dnsmessage.Resource{txt(name(hash), sealedSize)}, Additionals: []dnsmessage.Resource{address}}, false},
		"a telling length":   {dnsmessage.Message{Answers: []dnsmessage.Resource{txt(name(hash), sealedSize-1)}}, false},
	} {
		raw, err := tt.message.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if names, err := blinded(raw); (err == nil) != tt.ok || tt.ok && len(names) != 1 {
			t.Errorf("%s: %q, %v", what, names, err)
		}
	}
	if _, err := blinded([]byte("hello")); err == nil {
		t.Error("no DNS at all is taken")
	}
}

// TestTapFile: what is written down is read again, with who was at the other end, and what is being written is left out.
func TestTapFile(t *testing.T) {
	_, _, id := two(t)
	path := filepath.Join(t.TempDir(), "tap")
	f, err := tap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.Stream(id, ma.StringCast("/ip4/5.1.0.1/tcp/7/tls/ws")), f.Stream(id, ma.StringCast("/ip6/2a05:1::1/udp/8/quic-v1"))
	a.Note(false, []byte("in"))
	b.Note(true, []byte("out"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := tap.Read(path)
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	if r := all[0]; r.Out || string(r.Data) != "in" || r.Address.String() != "5.1.0.1:7" || len(r.Peer) != 32 {
		t.Errorf("%+v", r)
	}
	if r := all[1]; !r.Out || string(r.Data) != "out" || r.Address.String() != "[2a05:1::1]:8" || r.Stream == all[0].Stream {
		t.Errorf("%+v", r)
	}
	if a.Note(true, []byte("late")); f.Close() == nil {
		t.Error("a record that isn't written goes unsaid")
	}
}
