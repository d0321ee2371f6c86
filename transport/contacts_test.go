package transport_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestContactsFlood: however many strangers connect, and however many addresses one member names, packets to another
// member are remembered.
//
// Checks: EXP-4.
func TestContactsFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := simNode(t, w, "a", testKey(1), public), simNode(t, w, "b", testKey(2), public)
		for i := range uint32(20_000) {
			var key transport.PeerKey
			binary.BigEndian.PutUint32(key[:], i)
			a.NoteContact(key, netip.AddrFrom4([4]byte{5, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		befriend(a, b)
		for i := range uint32(20_000) {
			a.NoteContact(transport.PeerKey{1, 2, 3, 4, 5}, netip.AddrFrom4([4]byte{6, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		a.connect(b)
		all := a.Contacts()
		if !slices.ContainsFunc(all, func(c transport.Contact) bool { return c.Peer == b.Key() }) {
			t.Error("packets to a member are forgotten")
		}
		if len(all) > 4096 {
			t.Errorf("%d contacts are held", len(all))
		}
	})
}
