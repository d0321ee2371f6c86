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
// member are remembered. Twin: they aren't, where strangers are held as members are.
//
// Checks: EXP-4.
func TestContactsFlood(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { contactsFlood(t, protected) })
		})
	}
}

func contactsFlood(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	config := transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{OneCrowd: !protected})
	a, b := simNodeConfig(t, w, "a", config, public), simNode(t, w, "b", testKey(2), public)
	for i := range uint32(20_000) {
		var key transport.PeerKey
		binary.BigEndian.PutUint32(key[:], i)
		a.NoteContact(key, netip.AddrFrom4([4]byte{5, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	befriend(a, b)
	many := transport.PeerKey{1, 2, 3, 4, 5}
	a.Allow(many)
	for i := range uint32(20_000) {
		a.NoteContact(many, netip.AddrFrom4([4]byte{6, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	a.connect(b)
	all := a.Contacts()
	if slices.ContainsFunc(all, func(c transport.Contact) bool { return c.Peer == b.Key() }) != protected {
		t.Errorf("packets to a member are remembered: %v", !protected)
	}
	of := 0
	for _, c := range all {
		if c.Peer == many {
			of++
		}
	}
	if of > 64 || protected && of < 64 {
		t.Errorf("%d contacts of one member are held", of)
	}
	if len(all) > 4096 {
		t.Errorf("%d contacts are held", len(all))
	}
}
