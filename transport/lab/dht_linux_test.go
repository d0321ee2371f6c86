package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"

	"github.com/huisclos/huisclos/transport/internal/tap"
)

// TestLeakyClient has a client of the DHT announce what nobody may see, and ask for it: what the node writes down shows
// each. Exposure's statements about a DHT are held to this.
func TestLeakyClient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dht.tap")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command(self, "/ip4/127.0.0.1/tcp/0")
	node.Env = append(os.Environ(), asNodes+"="+file)
	stdin, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	first, err := peer.AddrInfoFromString(lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	record := ma.StringCast("/dns/adas-laptop.alt")
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return []ma.Multiaddr{record} }))
	if err != nil {
		t.Fatal(err)
	}
	d, err := kad.New(h, kad.Mode(kad.ModeClient), kad.ProtocolPrefix(dhtPrefix), kad.BootstrapPeers(*first),
		kad.AddressFilter(func(a []ma.Multiaddr) []ma.Multiaddr { return a }))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	limit := time.After(20 * time.Second)
	for d.RoutingTable().Size() == 0 {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-limit:
			t.Fatal("the client doesn't know the node")
		}
	}
	topic := []byte("the meeting of Thursday, 9 o'clock")
	hash, err := mh.Encode(topic[:32], mh.SHA2_256)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Provide(t.Context(), cid.NewCidV1(cid.Raw, hash), true); err != nil {
		t.Fatal(err)
	}
	key, err := h.Peerstore().PubKey(h.ID()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
	_ = h.Close()
	_ = stdin.Close()
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	records, err := tap.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	s := subject{key: key, needles: map[string][]needle{"meeting": forms("topic", topic[:32]), "name": forms("record", []byte("adas-laptop"))}}
	for _, r := range records {
		s.addresses = append(s.addresses[:0], r.Address.Addr())
	}
	for datum, is := range (opened{records, atDHT}).of(s) {
		if !is && datum != "counterpart" {
			t.Errorf("%s isn't found, in %d records", datum, len(records))
		}
	}
}
