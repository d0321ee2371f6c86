package dht

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"
)

// somebody is a peer that nobody is, said to be at these addresses.
func somebody(t *testing.T, addrs ...ma.Multiaddr) []*pb.Message_Peer {
	t.Helper()
	id, err := test.RandPeerID()
	if err != nil {
		t.Error(err)
	}
	return pb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: id, Addrs: addrs}})
}

// misleads has a node answer every question with a peer that it says is at an address.
func misleads(t *testing.T, d *table, at ma.Multiaddr) {
	t.Helper()
	lies(d.hosts[0], func(m *pb.Message) *pb.Message {
		return &pb.Message{Type: m.Type, Key: m.Key, CloserPeers: somebody(t, at)}
	})
}

// lies has a node answer every question with what lie says.
func lies(h host.Host, lie func(*pb.Message) *pb.Message) {
	h.SetStreamHandler(prefix+"/kad/1.0.0", func(s network.Stream) {
		defer s.Close()
		r := bufio.NewReader(s)
		for {
			size, err := binary.ReadUvarint(r)
			if err != nil || size > 1<<16 {
				return
			}
			b := make([]byte, size)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			var m pb.Message
			if proto.Unmarshal(b, &m) != nil {
				return
			}
			answer := lie(&m)
			out, err := proto.Marshal(answer)
			if err != nil {
				return
			}
			if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(out))), out...)); err != nil {
				return
			}
		}
	})
}

// questions counts what the system's name servers are asked, and answers nothing.
func questions(t *testing.T) (asked func() int64) {
	t.Helper()
	goOnly, dial := net.DefaultResolver.PreferGo, net.DefaultResolver.Dial
	t.Cleanup(func() { net.DefaultResolver.PreferGo, net.DefaultResolver.Dial = goOnly, dial })
	var count atomic.Int64
	net.DefaultResolver.PreferGo = true
	net.DefaultResolver.Dial = func(context.Context, string, string) (net.Conn, error) {
		count.Add(1)
		return nil, errors.New("no network")
	}
	return count.Load
}

// TestNamesOfNodes: names that nodes say others are at aren't looked up. The user's own are.
//
// Checks: RDV-6.
func TestNamesOfNodes(t *testing.T) {
	asked := questions(t)
	d := newTable(t, 1)
	misleads(t, d, ma.StringCast("/dns4/who-asks.example.org/tcp/4001"))
	for _, c := range []struct {
		also   string
		unsafe bool
		want   bool
	}{
		{"", false, false},
		{"", true, true}, // without the protection
		{"/dns4/named.example.org/tcp/4001/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA", false, true},
	} {
		nodes := d.nodes(1)
		if c.also != "" {
			nodes = append(nodes, c.also)
		}
		r, err := New(Options{Bootstrap: nodes, Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		r.anyName = c.unsafe
		before := asked()
		find(t, r, [32]byte{1}, time.Second)
		if got := asked() > before; got != c.want {
			t.Errorf("%+v: name servers were asked: %v", c, got)
		}
	}
}

// dials counts what clients dial, by address.
type dials struct {
	mu  sync.Mutex
	all map[string]int
}

func (d *dials) watch(r *Rendezvous) {
	d.all = map[string]int{}
	r.reach.dialled = func(a ma.Multiaddr) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all[a.String()]++
	}
}

// TestRecordedRecords: nodes answer with yesterday's record of the meeting, and with one of this hour that they kept, each
// under another's key and with a victim's address beside it. Nothing comes of yesterday's; this hour's is found as it was
// announced, and so is the newest, which is what meet tries in time (TestRecordedAnnouncement). No address in any of them is
// dialled.
//
// Checks: RDV-4, RDV-6.
func TestRecordedRecords(t *testing.T) {
	d := newTable(t, 8)
	d.announce(t, [32]byte{1})
	victim, before, yesterday := ma.StringCast("/ip4/127.0.0.99/tcp/9"), ma.StringCast("/ip4/8.8.8.8/udp/4001/quic-v1"), ma.StringCast("/ip4/9.9.9.9/udp/4001/quic-v1")
	recorded := func(topic [32]byte, at ma.Multiaddr) []ma.Multiaddr {
		record, err := newSubject(topic).record([]ma.Multiaddr{at})
		if err != nil {
			t.Fatal(err)
		}
		return append(record, victim)
	}
	records := [][]ma.Multiaddr{recorded([32]byte{0}, yesterday), recorded([32]byte{1}, before)}
	var asked atomic.Int64
	for _, h := range d.hosts[:4] {
		lies(h, func(m *pb.Message) *pb.Message {
			answer := &pb.Message{Type: m.Type, Key: m.Key}
			for _, o := range d.hosts { // else nobody would ask the others
				answer.CloserPeers = append(answer.CloserPeers, pb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: o.ID(), Addrs: o.Addrs()}})...)
			}
			if m.Type == pb.Message_GET_PROVIDERS {
				asked.Add(1)
				for _, record := range records {
					answer.ProviderPeers = append(answer.ProviderPeers, somebody(t, record...)...)
				}
			}
			return answer
		})
	}
	r := d.client(t)
	var made dials
	made.watch(r)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lists := r.Find(ctx, [32]byte{1})
	found := map[string]bool{}
	for !found[addresses[0].String()] || !found[before.String()] {
		addrs, more := <-lists
		if !more {
			t.Fatalf("only %v was found", found)
		}
		if len(addrs) != 1 {
			t.Errorf("found %v", addrs)
		}
		found[addrs[0].String()] = true
	}
	cancel()
	for range lists { // it ends
	}
	if len(found) != 2 {
		t.Errorf("found %v", found)
	}
	if asked.Load() == 0 {
		t.Error("no liar was asked: the test shows nothing")
	}
	made.onlyNodes(t, d)
}

// onlyNodes checks that nothing but the DHT's nodes was dialled.
func (d *dials) onlyNodes(t *testing.T, of *table) {
	t.Helper()
	nodes := map[string]bool{}
	for _, h := range of.hosts {
		for _, a := range h.Addrs() {
			nodes[a.String()] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t.Logf("dialled %v", d.all)
	if len(d.all) == 0 {
		t.Error("nothing was dialled: the test shows nothing")
	}
	for a := range d.all {
		if !nodes[a] {
			t.Errorf("%s was dialled, which is no node's", a)
		}
	}
}
