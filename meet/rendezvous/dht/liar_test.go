package dht

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"
)

// misleads has a node answer every question with a peer that it says is at an address.
func misleads(t *testing.T, d *table, at ma.Multiaddr) {
	t.Helper()
	d.hosts[0].SetStreamHandler(prefix+"/kad/1.0.0", func(s network.Stream) {
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
			id, err := test.RandPeerID()
			if err != nil {
				return
			}
			answer := &pb.Message{Type: m.Type, Key: m.Key,
				CloserPeers: pb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: id, Addrs: []ma.Multiaddr{at}}})}
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
