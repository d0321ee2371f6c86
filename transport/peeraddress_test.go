package transport_test

import (
	"testing"

	"github.com/huisclos/huisclos/transport"
	ma "github.com/multiformats/go-multiaddr"
)

// TestPeerAddress: an address says whose it is, and only that is taken off again.
func TestPeerAddress(t *testing.T) {
	key := transport.PeerKey(testKey(1)[32:])
	for _, text := range []string{"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA/p2p-circuit"} {
		a := ma.StringCast(text)
		whole, err := transport.WithPeer(a, key)
		if err != nil {
			t.Fatal(err)
		}
		if rest, k, ok := transport.SplitPeer(whole); !ok || k != key || !rest.Equal(a) {
			t.Errorf("%v: %v %v %v", whole, rest, k, ok)
		}
		if rest, _, ok := transport.SplitPeer(a); ok || !rest.Equal(a) {
			t.Errorf("%v says whose it is: %v", a, rest)
		}
	}
	rsa := ma.StringCast("/ip4/8.8.8.8/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	if _, _, ok := transport.SplitPeer(rsa); ok {
		t.Error("a key of another kind")
	}
	if _, _, ok := transport.SplitPeer(nil); ok {
		t.Error("nothing says whose it is")
	}
}
