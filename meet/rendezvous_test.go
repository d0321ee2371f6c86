package meet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
	ma "github.com/multiformats/go-multiaddr"
)

// board is an honest rendezvous that all who are given it share.
type board struct {
	mu    sync.Mutex
	next  int
	now   map[[32]byte]map[int][]ma.Multiaddr
	ever  map[[32]byte]bool
	asked map[[32]byte]bool
}

func newBoard() *board {
	return &board{now: map[[32]byte]map[int][]ma.Multiaddr{}, ever: map[[32]byte]bool{}, asked: map[[32]byte]bool{}}
}

func (b *board) LocalNetwork() {}

// questions is how many topics were asked for.
func (b *board) questions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.asked)
}

func (b *board) Announce(ctx context.Context, topic [32]byte, addrs []ma.Multiaddr) error {
	b.mu.Lock()
	b.next++
	n := b.next
	if b.now[topic] == nil {
		b.now[topic] = map[int][]ma.Multiaddr{}
	}
	b.now[topic][n], b.ever[topic] = addrs, true
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	if delete(b.now[topic], n); len(b.now[topic]) == 0 {
		delete(b.now, topic)
	}
	return ctx.Err()
}

func (b *board) Find(ctx context.Context, topic [32]byte) <-chan []ma.Multiaddr {
	b.mu.Lock()
	b.asked[topic] = true
	b.mu.Unlock()
	return poll(ctx, func() (all [][]ma.Multiaddr) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, addrs := range b.now[topic] {
			all = append(all, addrs)
		}
		return all
	})
}

// poll sends what f returns, each fifth of a second.
func poll(ctx context.Context, f func() [][]ma.Multiaddr) <-chan []ma.Multiaddr {
	ch := make(chan []ma.Multiaddr)
	go func() {
		defer close(ch)
		for {
			for _, addrs := range f() {
				select {
				case ch <- addrs:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// topics are those announced at present.
func (b *board) topics() (all [][32]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for topic := range b.now {
		all = append(all, topic)
	}
	return all
}

func found(r ...meet.Rendezvous) meet.Config {
	c := open()
	c.Rendezvous = r
	return c
}

// TestRendezvous: a link without addresses works, and so does one whose addresses don't answer, soon after the second
// that these have. Without the way to look it says what is missing.
//
// Checks: RDV-1, RDV-4.
func TestRendezvous(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		b := newBoard()
		creator := must[*meettest.Member](t)(w.Create(ctx, "creator", found(b)))
		bare := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
		if len(bare.Addresses()) > 0 || bare.Reach() != meet.ReachNowhere {
			t.Errorf("the link shows %v", bare.Addresses())
		}
		begun := time.Now()
		must[*meettest.Member](t)(w.JoinBy(ctx, "bare", bare, found(b)))
		if d := time.Since(begun); d > time.Second {
			t.Errorf("a link without addresses took %v", d)
		}
		moved := meet.Moved(bare, ma.StringCast("/ip4/5.77.7.7/udp/4001/quic-v1"))
		begun = time.Now()
		must[*meettest.Member](t)(w.JoinBy(ctx, "moved", moved, found(b)))
		if d := time.Since(begun); d < time.Second || d > 2*time.Second {
			t.Errorf("a link whose addresses don't answer took %v", d)
		}
		begun = time.Now()
		_, err := w.JoinBy(ctx, "blind", bare, meet.Config{})
		if !errors.Is(err, meet.ErrNoRendezvous) || err.Error() != meet.ErrNoRendezvous.Error() || time.Since(begun) > time.Second {
			t.Errorf("without a way to look: %v", err)
		}
		if _, err := w.JoinBy(ctx, "elsewhere", bare, found(newBoard())); !errors.Is(err, meet.ErrNotFound) || err.Error() != meet.ErrNotFound.Error() {
			t.Errorf("with another way: %v", err)
		}
		plain := must[*meettest.Member](t)(w.Create(ctx, "plain", open()))
		if _, err := plain.Invite(ctx, meet.InviteOptions{NoAddresses: true}); !errors.Is(err, meet.ErrNoRendezvous) {
			t.Errorf("a link that nobody could find: %v", err)
		}
	})
}

// TestRendezvousUnused: where the link's addresses answer, nobody is asked, however long the host takes to decide.
//
// Checks: RDV-3.
func TestRendezvousUnused(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		b := newBoard()
		creator := must[*meettest.Member](t)(w.Create(ctx, "creator", meet.Config{Rendezvous: []meet.Rendezvous{b}}))
		link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
		id := crypto.GenerateIdentity()
		k := knock(ctx, w, "guest", link, meet.Config{Identity: id, Rendezvous: []meet.Rendezvous{b}})
		w.Advance(time.Minute)
		ok(t, creator.Admit(ctx, id.Public()))
		if <-k.done; k.err != nil {
			t.Fatal(k.err)
		}
		if b.questions() > 0 {
			t.Error("the rendezvous was asked")
		}
	})
}

// TestRendezvousWaits: who was found while looking goes on waiting at the door when the search is over.
//
// Checks: RDV-3, RDV-4.
func TestRendezvousWaits(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		b := newBoard()
		creator := must[*meettest.Member](t)(w.Create(ctx, "creator", meet.Config{Rendezvous: []meet.Rendezvous{b}}))
		link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
		id := crypto.GenerateIdentity()
		k := knock(ctx, w, "guest", link, meet.Config{Identity: id, Rendezvous: []meet.Rendezvous{b}})
		w.Advance(3 * time.Minute)
		if n := len(must[[]meet.Knock](t)(creator.Knocks(ctx))); n != 1 {
			t.Errorf("%d knock", n)
		}
		ok(t, creator.Admit(ctx, id.Public()))
		if <-k.done; k.err != nil {
			t.Fatal(k.err)
		}
	})
}

// TestTopicsChange: each hour has its own topic, two of them are announced around the full hour, and what was announced in
// one is never seen in the next. The twin announces one for ever.
//
// Checks: RDV-1.
func TestTopicsChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]meet.Config{"protected": {}, "twin": meet.With(meet.Config{}, "oneTopic")} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(_ context.Context, w *meettest.World) {
				ctx := context.Background() // the world's lasts an hour
				b := newBoard()
				c.Rendezvous, c.Policy = []meet.Rendezvous{b}, open().Policy
				creator := must[*meettest.Member](t)(w.Create(ctx, "creator", c))
				link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
				seen := map[[32]byte]int{}
				for hour := range 2 {
					next := time.Now().Truncate(time.Hour)
					time.Sleep(time.Until(next.Add(30 * time.Minute)))
					middle := b.topics()
					time.Sleep(time.Until(next.Add(55 * time.Minute)))
					end := b.topics()
					time.Sleep(time.Until(next.Add(65 * time.Minute)))
					after := b.topics()
					if name == "protected" && (len(middle) != 1 || len(end) != 2 || len(after) != 2 || middle[0] != meet.TopicAt(link, next)) {
						t.Errorf("hour %d: %d, %d and %d topics", hour, len(middle), len(end), len(after))
					}
					seen[middle[0]]++
				}
				if linked := len(seen) < 2; linked != (name == "twin") {
					t.Errorf("%d different topics in 2 hours", len(seen))
				}
				// A joiner whose clock is wrong looks under the neighbour's name.
				if _, err := w.JoinBy(ctx, "guest", link, meet.Config{Rendezvous: c.Rendezvous}); (err == nil) != (name == "protected") {
					t.Errorf("joined: %v", err)
				}
			})
		})
	}
}

// TestAnnouncementEnds: a removal kills the link, and with it its announcement, by whoever made it; the twin goes on. The
// next link is announced; expiry ends it too, and so does the end of the meeting.
//
// Checks: RDV-2.
func TestAnnouncementEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]meet.Config{"protected": {}, "twin": meet.With(meet.Config{}, "keepTopics")} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				b := newBoard()
				c.Rendezvous, c.Policy = []meet.Rendezvous{b}, open().Policy
				creator := must[*meettest.Member](t)(w.Create(ctx, "creator", c))
				link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
				other := must[*meettest.Member](t)(w.JoinBy(ctx, "host", link, meet.Config{Rendezvous: c.Rendezvous}))
				guest := must[*meettest.Member](t)(w.JoinBy(ctx, "guest", link, meet.Config{Rendezvous: c.Rendezvous}))
				if n := announcers(b, link); n != 1 {
					t.Errorf("%d announce it, of whom one made it", n)
				}
				ok(t, creator.SetRole(ctx, self(t, ctx, other).Identity, meet.Host))
				w.Advance(5 * time.Second)
				if n := announcers(b, link); n != 2 {
					t.Errorf("%d announce it, of two hosts", n)
				}
				ok(t, creator.Remove(ctx, self(t, ctx, guest).Identity, false))
				w.Advance(2 * time.Second)
				if n := announcers(b, link); n > 0 != (name == "twin") {
					t.Errorf("%d announce the dead link", n)
				}
				brief := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{Expiry: time.Now().Add(time.Minute)}))
				w.Advance(time.Second)
				if announcers(b, brief) != 2 {
					t.Error("the new link isn't announced by both")
				}
				w.Advance(time.Minute)
				if n := announcers(b, brief); n > 0 != (name == "twin") {
					t.Errorf("%d announce the expired link", n)
				}
				must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
				ok(t, creator.End(ctx))
				w.Advance(time.Second)
				if len(b.topics()) > 0 {
					t.Error("announced after the end")
				}
			})
		})
	}
}

func announcers(b *board, link meet.Invite) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.now[meet.TopicAt(link, time.Now())])
}

// liar is a rendezvous that says what it likes.
type liar struct {
	lies func() [][]ma.Multiaddr
}

func (l *liar) Announce(context.Context, [32]byte, []ma.Multiaddr) error { return errors.New("no") }
func (l *liar) Find(ctx context.Context, _ [32]byte) <-chan []ma.Multiaddr {
	return poll(ctx, func() [][]ma.Multiaddr { return l.lies() })
}

// impostor is a host that answers doors with what f sends, and keeps what it is sent.
type impostor struct {
	*transport.Host
	key   ed25519.PrivateKey
	mu    sync.Mutex
	heard []byte
	doors int
}

func newImpostor(t *testing.T, ctx context.Context, w *meettest.World, name string, f func(*transport.DoorStream)) *impostor {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	n := must[*transporttest.Host](t)(w.Network.Host(name, transporttest.HostOptions{}))
	i := &impostor{key: key}
	i.Host = must[*transport.Host](t)(transport.Listen(ctx, transport.Config{Key: key, RoomID: [32]byte{1}, Network: n,
		Tap: func(_ transport.TapPoint, _ transport.PeerKey, data []byte) {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.heard = append(i.heard, data...)
		}}))
	i.SetDoorOpen(true)
	go func() {
		for {
			select {
			case d := <-i.Doors():
				i.mu.Lock()
				i.doors++
				i.mu.Unlock()
				go func() { defer d.Close(); f(d) }()
			case <-ctx.Done():
				return
			}
		}
	}()
	return i
}

// addresses are an impostor's as a rendezvous says them: under its own key or nobody's.
func (i *impostor) addresses(t *testing.T, named bool) (all []ma.Multiaddr) {
	for _, a := range i.Addresses() {
		if named {
			a = must[ma.Multiaddr](t)(transport.WithPeer(a, i.Key()))
		}
		all = append(all, a)
	}
	return all
}

// TestLyingRendezvous: whatever a rendezvous lies, who has the link gets in by an honest one, and whoever it names learns
// neither who knocks nor anything else. The twin, which believes it, gets no further than the impostor.
//
// Checks: RDV-3, RDV-4.
func TestLyingRendezvous(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(*transport.DoorStream)
		named  bool
	}{
		"answers wrongly": {func(d *transport.DoorStream) {
			_, _ = d.Receive(context.Background())
			_ = d.Send(context.Background(), bytes.Repeat([]byte{7}, 120))
			_, _ = d.Receive(context.Background())
		}, true},
		"says nothing": {func(d *transport.DoorStream) {
			_, _ = d.Receive(context.Background())
			_, _ = d.Receive(context.Background())
		}, true},
		"hangs up": {func(d *transport.DoorStream) {}, true},
		"nobody's": {func(d *transport.DoorStream) {}, false},
	} {
		for _, twin := range []bool{false, true} {
			if twin && name != "answers wrongly" {
				continue
			}
			t.Run(fmt.Sprint(name, " twin:", twin), func(t *testing.T) {
				world(t, ms20, func(ctx context.Context, w *meettest.World) {
					ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
					defer cancel()
					honest := newBoard()
					creator := must[*meettest.Member](t)(w.Create(ctx, "creator", found(honest)))
					link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
					evil := newImpostor(t, ctx, w, "evil", tt.answer)
					defer evil.Close()
					garbage := []ma.Multiaddr{ma.StringCast("/dns4/example.org/tcp/443"), ma.StringCast("/ip4/10.1.2.3/udp/1/quic-v1"), nil, ma.StringCast("/p2p-circuit")}
					lies := [][]ma.Multiaddr{nil, garbage, evil.addresses(t, tt.named)}
					c := found(&liar{lies: func() [][]ma.Multiaddr { return lies }})
					if !twin { // else the liar has all the time in the world
						c.Rendezvous = append(c.Rendezvous, honest)
					} else {
						c = meet.With(c, "trustFound")
					}
					c.Name = "Madame Dupont"
					_, err := w.JoinBy(ctx, "guest", link, c)
					var impostor *meet.ImpostorError
					if twin != errors.As(err, &impostor) || !twin && err != nil {
						t.Errorf("joined: %v", err)
					}
					evil.mu.Lock()
					defer evil.mu.Unlock()
					if tt.named && evil.doors == 0 {
						t.Error("the lie was never tried")
					}
					id := must[meet.Member](t)(creator.Self(ctx)).Identity
					for what, secret := range map[string][]byte{"name": []byte("Dupont"), "meeting": meetingBytes(link), "creator": id[:]} {
						if bytes.Contains(evil.heard, secret) {
							t.Errorf("an impostor heard the %s", what)
						}
					}
				})
			})
		}
	}
}

func meetingBytes(i meet.Invite) []byte { id := i.Meeting(); return id[:] }

// TestRendezvousFlood: of a rendezvous that names 150 only 64 are tried, and the honest one beside it still
// works; the twin without the limit tries them all.
//
// Checks: RDV-3.
func TestRendezvousFlood(t *testing.T) {
	t.Parallel()
	for name, twin := range map[string]bool{"protected": false, "twin": true} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				creator := must[*meettest.Member](t)(w.Create(ctx, "creator", found(newBoard())))
				link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
				var victims []*impostor
				for i := range 30 { // each takes 16 dials of one address at a time
					victims = append(victims, newImpostor(t, ctx, w, fmt.Sprint("victim", i), func(d *transport.DoorStream) {}))
					defer victims[i].Close()
				}
				var lies [][]ma.Multiaddr
				for i := range 150 {
					victim := victims[i%len(victims)]
					public, _, _ := ed25519.GenerateKey(nil)
					lies = append(lies, []ma.Multiaddr{must[ma.Multiaddr](t)(transport.WithPeer(victim.Addresses()[0], transport.PeerKey(public)))})
				}
				c := found(&liar{lies: func() [][]ma.Multiaddr { return lies }})
				if twin {
					c = meet.With(c, "noLimits")
				}
				dials := dialsTo(t, w, victims)
				_, err := w.JoinBy(ctx, "guest", link, c)
				if !errors.Is(err, meet.ErrNotFound) {
					t.Errorf("joined: %v", err)
				}
				if n := dials(); n > 64*3 != twin {
					t.Errorf("%d dials", n)
				}
				honest := newBoard()
				c.Rendezvous = append(c.Rendezvous, honest)
				other := must[*meettest.Member](t)(w.Create(ctx, "other", found(honest)))
				link = must[meet.Invite](t)(other.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
				begun := time.Now()
				must[*meettest.Member](t)(w.JoinBy(ctx, "second", link, c))
				if d := time.Since(begun); d > time.Second {
					t.Errorf("the flood held the honest one up for %v", d)
				}
			})
		})
	}
}

// dialsTo counts the connections that are begun to hosts: datagrams with a QUIC Initial of 1,200 bytes or more.
func dialsTo(t *testing.T, w *meettest.World, to []*impostor) func() int {
	t.Helper()
	where := map[string]bool{}
	for _, i := range to {
		ip, _ := i.Addresses()[0].ValueForProtocol(ma.P_IP4)
		where[ip] = true
	}
	var mu sync.Mutex
	begun := map[string]bool{}
	w.Network.SetTap(func(d transporttest.Datagram) {
		if len(d.Data) < 1200 || d.Data[0]&0xf0 != 0xc0 || !where[d.To.Addr().String()] {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		source := d.Data[6+d.Data[5]:] // its connection ID, the same for all of a dial
		begun[string(source[1:1+source[0]])] = true
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		w.Network.SetTap(nil)
		return len(begun)
	}
}

// TestRendezvousSettings: only ways that stay on the local network go with LANOnly.
//
// Checks: MOD-2.
func TestRendezvousSettings(t *testing.T) {
	c := found(&liar{})
	c.LANOnly = true
	if _, err := meet.Create(t.Context(), c); !errors.Is(err, meet.ErrRendezvousOutside) {
		t.Errorf("created: %v", err)
	}
	if _, err := meet.Create(t.Context(), found(nil)); err == nil {
		t.Error("a nil way to be found")
	}
}
