package sealed

import (
	"errors"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

var addresses = []ma.Multiaddr{ma.StringCast("/ip4/192.168.7.9/udp/4001/quic-v1"), ma.StringCast("/ip4/192.168.7.9/tcp/4001")}

// TestSeal: what fits comes back, for who has the topic, the purpose and the name alone, and its length says nothing.
func TestSeal(t *testing.T) {
	var many []ma.Multiaddr
	for range 20 {
		many = append(many, addresses...)
	}
	b := NewBox([32]byte{1}, "a")
	for want, addrs := range map[int][]ma.Multiaddr{1: addresses[:1], 2: addresses, MaxAddresses: many} {
		s, err := b.Seal(addrs, []byte("name"))
		if err != nil || len(s) != Size {
			t.Fatalf("%d bytes, %v", len(s), err)
		}
		if got, err := b.Open(s, []byte("name")); err != nil || len(got) != want || !got[0].Equal(addrs[0]) {
			t.Errorf("%v, %v", got, err)
		}
		for _, other := range []Box{NewBox([32]byte{2}, "a"), NewBox([32]byte{1}, "b")} {
			if _, err := other.Open(s, []byte("name")); !errors.Is(err, ErrNotOurs) {
				t.Error("opened by another")
			}
		}
		if _, err := b.Open(s, []byte("eman")); !errors.Is(err, ErrNotOurs) {
			t.Error("opened as another")
		}
	}
	if _, err := b.Seal(nil, nil); !errors.Is(err, ErrNoAddress) {
		t.Error("nothing was sealed")
	}
}

func FuzzContent(f *testing.F) {
	plain, _ := encode(addresses)
	f.Add(plain)
	f.Fuzz(func(t *testing.T, b []byte) {
		addrs, err := decode(b)
		if err != nil || len(addrs) == 0 {
			return
		}
		again, err := encode(addrs)
		if errors.Is(err, ErrNoAddress) {
			return
		}
		if got, err := decode(again); err != nil || len(b) <= ContentSize && !slices.EqualFunc(got, addrs, ma.Multiaddr.Equal) {
			t.Errorf("%v became %v", addrs, got)
		}
	})
}
