package meet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
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

// TestHidden: of a member who hides, others receive nothing that holds the address: in the link, in records, in anything that
// comes in a meeting with chat and media, as it is after decryption; nor does a member who doesn't hide pass it on to
// a third, who came by that one's link. What the two are shown, and log, doesn't hold it either. The twin's is found in each of
// these.
//
// Checks: MOD-3.
func TestHidden(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { hidden(t, hide) })
	}
}

// seenOfHidden is what a member received, by how it came: after decryption, and its bytes before that.
type seenOfHidden struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (s *seenOfHidden) add(kind string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string][]byte)
	}
	s.all[kind] = append(append(s.all[kind], data...), '\n')
}

// Write is for a log.
func (s *seenOfHidden) Write(b []byte) (int, error) { s.add("log", b); return len(b), nil }

// watch has a member's configuration note all that comes. by is who passes on, once known.
func (s *seenOfHidden) watch(c meet.Config, by *atomic.Pointer[crypto.MeetingKey]) meet.Config {
	c.Tap = func(at transport.TapPoint, _ transport.PeerKey, data []byte) { s.add("transport's "+string(at), data) }
	c.Logger = slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c = meet.OnOpened(c, func(where string, what []byte) { s.add(where, what) })
	return meet.OnPair(c, func(from crypto.MeetingKey, msg meet.PairMessage) {
		kind := "from others"
		if k := by.Load(); k != nil && *k == from {
			kind = "passed on"
		}
		s.add(kind, meet.Encode(msg))
	})
}

// shown adds what the program itself can ask for.
func (s *seenOfHidden) shown(t *testing.T, ctx context.Context, m *meet.Meeting) {
	t.Helper()
	s.add("records", bytes.Join(must[[][]byte](t)(m.RecordsHeld(ctx)), nil))
	s.add("operations", bytes.Join(must[[][]byte](t)(m.Operations(ctx)), nil))
	for _, v := range []any{must[[]meet.Member](t)(m.Members(ctx)), must[meet.Stats](t)(m.Stats(ctx)), must[meet.Exposure](t)(m.Exposure(ctx))} {
		s.add("shown", []byte(fmt.Sprintf("%+v", v)))
	}
}

// with says in which kinds an address is: its four bytes, or text.
func (s *seenOfHidden) with(ip netip.Addr) (kinds []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := ip.As4()
	for kind, data := range s.all {
		if bytes.Contains(data, raw[:]) || bytes.Contains(data, []byte(ip.String())) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func hidden(t *testing.T, hide bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	r := realRelay(t, "127.0.0.9")
	// No other address here has this one's bytes or text in it.
	ip := netip.MustParseAddr("127.201.202.203")
	c := open()
	c.Relays, c.RelayOnly, c.Listen = []meet.Relay{r}, hide, []netip.AddrPort{netip.AddrPortFrom(ip, 0)}
	a := must[*meet.Meeting](t)(meet.Create(ctx, c))
	defer a.Close()
	link := must[meet.Invite](t)(a.Invite(ctx, meet.InviteOptions{}))
	var second, third seenOfHidden
	var passes atomic.Pointer[crypto.MeetingKey]
	second.add("link", []byte(fmt.Sprint(link.Addresses(), link.Reaches(), link)))
	b := must[*meet.Meeting](t)(meet.Join(ctx, link, second.watch(meet.Config{
		Relays: []meet.Relay{r}, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:0")}}, &passes)))
	defer b.Close()
	key := b.Incarnation().Key()
	passes.Store(&key)
	self := must[meet.Member](t)(b.Self(ctx))
	ok(t, a.SetRole(ctx, self.Identity, meet.Host))
	for must[meet.Member](t)(b.Self(ctx)).Role != meet.Host {
		time.Sleep(5 * time.Millisecond) // until ctx is over, which is an error
	}
	tellEachOther(t, ctx, a, b)
	// By the second's link, so its welcome is the first that the third hears of the hidden one.
	onward := must[meet.Invite](t)(b.Invite(ctx, meet.InviteOptions{}))
	third.add("link", []byte(fmt.Sprint(onward.Addresses(), onward.Reaches(), onward)))
	d := must[*meet.Meeting](t)(meet.Join(ctx, onward, third.watch(meet.Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.4:0")}}, &passes)))
	defer d.Close()
	member := &meettest.Member{Meeting: a, Host: "a"}
	tone := must[*meettest.Tone](t)(member.PublishTone(ctx, 80))
	defer tone.Stop()
	heard := make(chan error, 2)
	for _, m := range []*meet.Meeting{b, d} {
		go func() { heard <- hears(ctx, m) }()
	}
	for range 2 {
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
	}
	tellEachOther(t, ctx, a, d)
	tellEachOther(t, ctx, b, d)
	second.shown(t, ctx, b)
	third.shown(t, ctx, d)
	seconds, thirds := second.with(ip), third.with(ip)
	if hide {
		if len(seconds)+len(thirds) > 0 {
			t.Errorf("the address is in what the second has by %v, the third by %v", seconds, thirds)
		}
		return
	}
	for _, want := range []string{"early", "from others", "link", "records"} {
		if !slices.Contains(seconds, want) {
			t.Errorf("the twin's isn't found in what the second has by %s, but by %v", want, seconds)
		}
	}
	for _, want := range []string{"early", "welcome", "passed on", "records"} {
		if !slices.Contains(thirds, want) {
			t.Errorf("the twin's isn't found in what the third has by %s, but by %v", want, thirds)
		}
	}
}

// hears waits until media comes, by a connection that doesn't break meanwhile, as when a relay is given up for a moment.
func hears(ctx context.Context, m *meet.Meeting) error {
	reached := make(map[crypto.IdentityKey]bool)
	for e := range m.Events() {
		var tracks []*meet.RemoteTrack
		switch e := e.(type) {
		case meet.Snapshot: // it may have begun before
			tracks = e.Tracks
		case meet.TrackAdded:
			tracks = []*meet.RemoteTrack{e.Track}
		case meet.MemberChanged:
			there := e.Member.Path.Kind != meet.PathNone
			if who := e.Member.Identity; !e.Member.Self {
				if reached[who] && !there {
					return errors.New("a connection broke")
				}
				reached[who] = reached[who] || there
			}
		}
		if len(tracks) == 0 {
			continue
		}
		for range 20 {
			if _, err := tracks[0].ReadRTPContext(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("no media came")
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
