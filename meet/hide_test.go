package meet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/relay"
	"github.com/huisclos/huisclos/transport/relayauth"
)

// realRelay runs a relay on an address of this machine's own, reached in these ways, or all.
func realRelay(t *testing.T, ip string, kinds ...relayauth.AddressKind) meet.Relay {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux, where all of 127.0.0.0/8 is this machine's")
	}
	_, key, _ := ed25519.GenerateKey(nil)
	token := relayauth.NewToken()
	r, err := relay.Listen(relay.Config{Key: key, Listen: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(ip), 0)}, Tokens: relayauth.NewTokens(token)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	u := relayauth.URI{Relay: relayauth.Key(key.Public().(ed25519.PublicKey)), Token: token, Addresses: relayauth.Addresses(r.Addresses()[0], kinds...)}
	return must[meet.Relay](t)(meet.ParseRelay(u.String()))
}

// TestHidden: of a member who hides, another receives nothing that holds the address: in the link, in records, in anything
// that comes in a meeting with chat and media. The twin's is found.
//
// Checks: MOD-3.
func TestHidden(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { hidden(t, hide) })
	}
}

func hidden(t *testing.T, hide bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	r := realRelay(t, "127.0.0.9")
	ip := netip.MustParseAddr("127.0.0.2")
	c := open()
	c.Relays, c.RelayOnly, c.Listen = []meet.Relay{r}, hide, []netip.AddrPort{netip.AddrPortFrom(ip, 0)}
	a := must[*meet.Meeting](t)(meet.Create(ctx, c))
	defer a.Close()
	link := must[meet.Invite](t)(a.Invite(ctx, meet.InviteOptions{}))
	var mu sync.Mutex
	received := []byte(fmt.Sprint(link.Addresses(), link.Reaches()))
	b := must[*meet.Meeting](t)(meet.Join(ctx, link, meet.Config{
		Relays: []meet.Relay{r}, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:0")},
		Tap: func(_ transport.TapPoint, _ transport.PeerKey, data []byte) {
			mu.Lock()
			defer mu.Unlock()
			received = append(received, data...)
		}}))
	defer b.Close()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		reached := false
		for e := range b.Events() {
			var tracks []*meet.RemoteTrack
			switch e := e.(type) {
			case meet.Snapshot: // it may have begun before
				tracks = e.Tracks
			case meet.TrackAdded:
				tracks = []*meet.RemoteTrack{e.Track}
			case meet.MemberChanged:
				if reached && !e.Member.Self && e.Member.Path.Kind == meet.PathNone {
					t.Error("the connection broke and came back") // as when the relay is given up for a moment
				}
				reached = reached || !e.Member.Self && e.Member.Path.Kind != meet.PathNone
			}
			if len(tracks) == 0 {
				continue
			}
			for range 20 {
				if _, err := tracks[0].ReadRTPContext(ctx); err != nil {
					t.Error(err)
					return
				}
			}
			return
		}
	}()
	member := &meettest.Member{Meeting: a, Host: "a"}
	tone := must[*meettest.Tone](t)(member.PublishTone(ctx, 80))
	defer tone.Stop()
	tellEachOther(t, ctx, a, b)
	select {
	case <-heard:
	case <-ctx.Done():
		t.Fatal("no media came")
	}
	mu.Lock()
	defer mu.Unlock()
	raw, mapped := ip.As4(), ip.String()
	records := must[[][]byte](t)(b.RecordsHeld(ctx))
	everything := append(bytes.Join(records, nil), received...)
	if found := bytes.Contains(everything, raw[:]) || bytes.Contains(everything, []byte(mapped)); found == hide {
		t.Errorf("the address was found: %v", found)
	}
}

// TestHiddenSettings: each mistake gives its sentence, and no packet.
//
// Checks: MOD-3.
func TestHiddenSettings(t *testing.T) {
	if _, err := meet.Create(t.Context(), meet.Config{RelayOnly: true}); !errors.Is(err, meet.ErrNoRelay) {
		t.Errorf("without a relay: %v", err)
	}
	r := parseRelay(t, relayURI(t, 1))
	c := meet.Config{RelayOnly: true, Relays: []meet.Relay{r}, Rendezvous: []meet.Rendezvous{newBoard()}}
	if _, err := meet.Create(t.Context(), c); !errors.Is(err, meet.ErrRendezvousShows) {
		t.Errorf("with a way to be found: %v", err)
	}
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		if _, err := w.Create(ctx, "hidden", meet.Config{RelayOnly: true, Relays: []meet.Relay{r}}); !errors.Is(err, meet.ErrRelayAway) {
			t.Errorf("with a relay that isn't there: %v", err)
		}
	})
}
