package main

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// TestMeeting: a meeting whose creator named the relay that the program printed: both it and the guest, who knows no
// token, can be reached through it.
func TestMeeting(t *testing.T) {
	p := start(t, t.TempDir())
	r, err := meet.ParseRelay(uriText.FindString(p.out.wait(t, "huisclos-relay:")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	listen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	policy := meet.DefaultPolicy()
	policy.Entry = meet.EntryOpen
	host, err := meet.Create(ctx, meet.Config{Listen: listen, Policy: policy, Relays: []meet.Relay{r}})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	reserved := func(m *meet.Meeting) {
		t.Helper()
		for ctx.Err() == nil {
			status, err := m.Relays(ctx)
			if err == nil && len(status) == 1 && status[0].Reserved && status[0].Fingerprint == r.Fingerprint() {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		status, err := m.Relays(context.Background())
		t.Fatalf("%+v, %v", status, err)
	}
	reserved(host)
	invite, err := host.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := meet.Join(ctx, invite, meet.Config{Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	reserved(guest)
}
