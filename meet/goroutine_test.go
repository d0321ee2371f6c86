package meet_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"go.uber.org/goleak"
)

// TestLoopback is a meeting of two on real sockets, which leaves no goroutine behind.
func TestLoopback(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	config := open()
	config.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	a, err := meet.Create(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	invite, err := a.Invite(ctx, meet.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := meet.ParseInvite(invite.String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := meet.Join(ctx, parsed, meet.Config{Name: "b", Listen: config.Listen})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	heard := make(chan string, 1)
	connected := make(chan struct{}, 1)
	events := make(chan struct{})
	go func() {
		defer close(events)
		for e := range b.Events() {
			switch e := e.(type) {
			case meet.Chat:
				heard <- e.Text
			case meet.Snapshot, meet.MemberChanged:
				if members, err := b.Members(ctx); err == nil && len(members) == 2 && (members[0].Connected || members[1].Connected) {
					select {
					case connected <- struct{}{}:
					default:
					}
				}
			}
		}
	}()
	<-connected
	if err := a.Say(ctx, "salut"); err != nil {
		t.Fatal(err)
	}
	if text := <-heard; text != "salut" {
		t.Errorf("heard %q", text)
	}
	if err := b.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	<-events
	<-events
}
