package dht

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/rendezvous/internal/sealed"
)

const prefix = "/huisclos-test"

var addresses = []ma.Multiaddr{ma.StringCast("/ip4/8.8.4.4/udp/4001/quic-v1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA")}

var _ meet.Rendezvous = (*Rendezvous)(nil)

// table is a DHT on this machine, whose nodes keep what they are told.
type table struct {
	hosts []host.Host
	mu    sync.Mutex
	heard []heard
}

// heard is what a node saw of a request.
type heard struct {
	from peer.ID
	key  []byte
	raw  []byte
	kind pb.Message_MessageType
}

func newTable(t *testing.T, n int) *table {
	t.Helper()
	d := &table{}
	for range n {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		options := []kad.Option{kad.Mode(kad.ModeServer), kad.ProtocolPrefix(prefix),
			kad.OnRequestHook(func(_ context.Context, s network.Stream, req *pb.Message) {
				raw, _ := proto.Marshal(req)
				d.mu.Lock()
				defer d.mu.Unlock()
				d.heard = append(d.heard, heard{s.Conn().RemotePeer(), bytes.Clone(req.GetKey()), raw, req.GetType()})
			})}
		if len(d.hosts) > 0 {
			options = append(options, kad.BootstrapPeers(peer.AddrInfo{ID: d.hosts[0].ID(), Addrs: d.hosts[0].Addrs()}))
		}
		k, err := kad.New(h, options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = k.Close() })
		if err := k.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.hosts = append(d.hosts, h)
	}
	return d
}

// nodes are the addresses of some of its nodes.
func (d *table) nodes(n int) (all []string) {
	for _, h := range d.hosts[:n] {
		all = append(all, h.Addrs()[0].String()+"/p2p/"+h.ID().String())
	}
	return all
}

func (d *table) requests() []heard {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.heard)
}

func (d *table) client(t *testing.T) *Rendezvous {
	t.Helper()
	r, err := New(Options{Bootstrap: d.nodes(2), Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// announce announces until the test ends, and waits until a node has it.
func (d *table) announce(t *testing.T, topic [32]byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.client(t).Announce(ctx, topic, addresses) }()
	t.Cleanup(func() { cancel(); <-done })
	key := newSubject(topic).key
	for limit := time.Now().Add(20 * time.Second); ; {
		if slices.ContainsFunc(d.requests(), func(h heard) bool {
			return h.kind == pb.Message_ADD_PROVIDER && bytes.Contains(h.key, key)
		}) {
			return
		}
		select {
		case err := <-done:
			t.Fatalf("the announcement ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatal("nobody has the announcement")
		}
	}
}

func find(t *testing.T, r *Rendezvous, topic [32]byte, wait time.Duration) []ma.Multiaddr {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	found := r.Find(ctx, topic)
	got := <-found
	cancel()
	for range found { // it ends
	}
	return got
}

// TestAnnounceAndFind: what one client announces another finds, by the topic alone.
func TestAnnounceAndFind(t *testing.T) {
	d := newTable(t, 8)
	d.announce(t, [32]byte{1})
	if got := find(t, d.client(t), [32]byte{1}, 20*time.Second); !slices.EqualFunc(got, addresses, ma.Multiaddr.Equal) {
		t.Errorf("found %v", got)
	}
	if got := find(t, d.client(t), [32]byte{2}, time.Second); got != nil {
		t.Errorf("found %v, which nobody announced", got)
	}
}

// TestSlotsCannotBeLinked: nodes that together keep everything they are told find nothing in common between the
// announcements and searches of two hours (but the network address of who asks), and no address or peer ID of the meeting.
//
// Checks: RDV-1.
func TestSlotsCannotBeLinked(t *testing.T) {
	d := newTable(t, 8)
	topics := [][32]byte{{1}, {2}}
	for _, topic := range topics {
		d.announce(t, topic)
		find(t, d.client(t), topic, 20*time.Second)
	}
	own := map[peer.ID]bool{}
	for _, h := range d.hosts {
		own[h.ID()] = true
	}
	id, _ := addresses[0].ValueForProtocol(ma.P_P2P)
	whose, _ := peer.Decode(id)
	slots, clients := map[peer.ID]int{}, map[string]map[peer.ID]bool{}
	records := 0
	for _, h := range d.requests() {
		for _, secret := range [][]byte{addresses[0].Bytes()[:5], []byte(id), []byte(whose)} {
			if bytes.Contains(h.raw, secret) {
				t.Errorf("a node was shown %x", secret)
			}
		}
		if own[h.from] || own[peer.ID(h.key)] { // looking for a node that everybody knows says nothing
			continue
		}
		if h.kind == pb.Message_ADD_PROVIDER {
			records++
		}
		if clients[string(h.key)] == nil {
			clients[string(h.key)] = map[peer.ID]bool{}
		}
		clients[string(h.key)][h.from] = true
		for slot, topic := range topics {
			if bytes.Contains(h.key, newSubject(topic).key) {
				if was, ok := slots[h.from]; ok && was != slot {
					t.Error("one client has to do with both")
				}
				slots[h.from] = slot
			}
		}
	}
	for key, who := range clients {
		in := map[int]bool{}
		for c := range who {
			if slot, ok := slots[c]; ok {
				in[slot] = true
			}
		}
		if len(in) > 1 {
			t.Errorf("the key %x has to do with both", key)
		}
	}
	if records == 0 || len(slots) < 4 {
		t.Errorf("%d records by %d clients: two announce, two search", records, len(slots))
	}
}

// TestLyingNodes: nodes that answer with garbage, and providers that can't have the topic, cost time, less than a joiner has (RDV-3); what
// is found is what was announced, and no address that they name is dialled.
//
// Checks: RDV-4, RDV-6.
func TestLyingNodes(t *testing.T) {
	d := newTable(t, 8)
	d.announce(t, [32]byte{1})
	for _, h := range d.hosts[2:5] {
		h.SetStreamHandler(prefix+"/kad/1.0.0", func(s network.Stream) {
			_, _ = s.Write(bytes.Repeat([]byte{0x7f}, 1000))
			_ = s.Close()
		})
	}
	liar, err := d.client(t).join(t.Context(), []ma.Multiaddr{ma.StringCast("/ip4/9.9.9.9/udp/53/quic-v1"), ma.StringCast("/dns/aaaa.alt")})
	if err != nil {
		t.Fatal(err)
	}
	defer liar.close()
	key, err := newSubject([32]byte{1}).cid()
	if err != nil {
		t.Fatal(err)
	}
	_ = liar.provide(t.Context(), key)
	r := d.client(t)
	var made dials
	made.watch(r)
	if got := find(t, r, [32]byte{1}, 30*time.Second); !slices.EqualFunc(got, addresses, ma.Multiaddr.Equal) {
		t.Errorf("found %v", got)
	}
	made.onlyNodes(t, d)
}

// TestUnreachable: where no node answers, the announcement says so in one sentence, and a search ends when it is told to.
func TestUnreachable(t *testing.T) {
	r, err := New(Options{Bootstrap: []string{"/ip4/127.0.0.1/tcp/1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA"}, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	r.wait = 200 * time.Millisecond
	if err := r.Announce(t.Context(), [32]byte{1}, addresses); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

// TestOptions: each mistake gives a sentence; the public network needs its name.
func TestOptions(t *testing.T) {
	node := "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA"
	for _, o := range []Options{{}, {Prefix: prefix}, {Bootstrap: []string{node}}, {Prefix: "x", Bootstrap: []string{node}},
		{Prefix: prefix, Bootstrap: []string{"/ip4/127.0.0.1/tcp/1"}}, {Prefix: prefix, Bootstrap: []string{"example.org"}},
		{Prefix: prefix, Bootstrap: slices.Repeat([]string{node}, 33)}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if r, err := New(Options{Bootstrap: PublicNodes(), Prefix: PublicPrefix}); err != nil || r.reach.private {
		t.Errorf("the public network: %v", err)
	}
}

// TestGate: what nodes say is at private addresses isn't dialled, unless the user's own are there; nor is a relay, and
// nobody dials us.
//
// Checks: RDV-6.
func TestGate(t *testing.T) {
	for text, want := range map[string][3]bool{
		"/ip4/8.8.8.8/tcp/1": {true, true, true}, "/ip4/10.0.0.1/tcp/1": {false, true, true}, "/ip4/127.0.0.1/tcp/1": {false, false, true},
		"/ip4/8.8.8.8/tcp/1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA/p2p-circuit": {false, false, false},
		"/dns/aaaa.alt": {false, false, false}, "/ip4/169.254.169.254/tcp/80": {false, false, false}, "/ip6/fd00::1/tcp/1": {false, true, true},
		"/ip4/224.0.0.251/udp/5353/quic-v1": {false, false, false}, "/ip4/255.255.255.255/udp/9/quic-v1": {false, false, false},
		"/ip6/::1/tcp/1": {false, false, true}, "/ip6/ff02::1/udp/9/quic-v1": {false, false, false}, "/ip4/0.0.0.0/tcp/1": {false, false, false},
	} {
		for i, node := range []string{"/ip4/8.8.8.8/tcp/1", "/ip4/10.1.1.1/tcp/1", "/ip4/127.0.0.1/tcp/1"} {
			var g gate
			g.named([]ma.Multiaddr{ma.StringCast(node)})
			if got := g.InterceptAddrDial("", ma.StringCast(text)); got != want[i] {
				t.Errorf("%s, with a node at %s: %v", text, node, got)
			}
		}
	}
	if (gate{private: true}).InterceptAccept(nil) {
		t.Error("it is dialled")
	}
}

func FuzzRecord(f *testing.F) {
	s := newSubject([32]byte{1})
	record, err := s.record(addresses)
	if err != nil || len(record) != parts {
		f.Fatal(len(record), err)
	}
	for _, a := range record {
		f.Add(a.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return
		}
		slices.Reverse(record)
		got, err := s.open(append([]ma.Multiaddr{a}, record...)) // a part that came before is replaced by the true one
		if err != nil || len(got) != 1 || len(got) > sealed.MaxAddresses {
			t.Errorf("%v: %v, %v", a, got, err)
		}
	})
}

// TestRepeat: the first searches follow each other quickly, for a link that is being made; then they are seldom.
func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 500 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second) // as long as a joiner looks (RDV-3)
		defer cancel()
		began := time.Now()
		var at []time.Duration
		repeat(ctx, func() {
			at = append(at, time.Since(began).Round(time.Millisecond))
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
		})
		want := []time.Duration{0, 800 * time.Millisecond, 1900 * time.Millisecond, 3600 * time.Millisecond, 6500 * time.Millisecond, 10 * time.Second}
		if len(at) < len(want) || !slices.Equal(at[:len(want)], want) || len(at) > 16 {
			t.Errorf("%d searches, at %v", len(at), at)
		}
		if left := time.Since(began); left != 45*time.Second {
			t.Errorf("ended after %v", left)
		}
	})
}
