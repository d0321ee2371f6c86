package transport

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// TestConnectionRate: of one address 256 connections are taken at once, and then 16 a second, whoever else connects. The
// twin takes all.
//
// Checks: TRA-5.
func TestConnectionRate(t *testing.T) {
	for _, protected := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r, err := newResources(Config{unsafe: unsafeSwitches{anyRate: !protected}}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			connect := func(n int, from ...string) (taken int) {
				for i := range n {
					scope, err := r.OpenConnection(network.DirInbound, false, ma.StringCast(from[i%len(from)]+"/udp/4001/quic-v1"))
					if err == nil {
						scope.Done()
						taken++
					}
				}
				return taken
			}
			for _, tt := range []struct {
				name string
				from []string
			}{{"IPv4", []string{"/ip4/5.0.0.1"}}, {"IPv6", []string{"/ip6/2a01:1::1", "/ip6/2a01:1::2"}}} { // one subscriber's
				for _, step := range []struct {
					wait time.Duration
					want int
				}{{0, 256}, {time.Second, 16}, {2 * time.Second, 32}} {
					time.Sleep(step.wait)
					want := step.want
					if !protected {
						want = 600
					}
					if got := connect(600, tt.from...); got != want {
						t.Errorf("protected %v, %s: after %v %d of 600 connections are taken, want %d", protected, tt.name, step.wait, got, want)
					}
				}
			}
			if connect(1, "/ip4/5.0.0.2") != 1 || connect(1, "/ip6/2a01:1:0:1::1") != 1 {
				t.Error("another's connection isn't taken")
			}
		})
	}
}

// TestDoorRateOf: who has a whole /64 has the rate of one address; all together have another; and when more addresses are
// remembered than may be, who is new waits. Whoever is another has its own: that is the control.
//
// Checks: TRA-5.
func TestDoorRateOf(t *testing.T) {
	now := time.Unix(1000, 0)
	take := func(r *rateLimiter, n int, ip func(int) string) (taken int) {
		for i := range n {
			if r.allow(netip.MustParseAddr(ip(i)), now) {
				taken++
			}
		}
		return taken
	}
	r := newRateLimiter()
	mine := func(i int) string { return netip.AddrFrom16([16]byte{0x2a, 1, 15: byte(i)}).String() }
	if got := take(r, 100, mine); got != doorBurst {
		t.Errorf("%d door streams of one /64", got)
	}
	if got := take(r, 1, func(int) string { return "2a01:0:0:1::1" }); got != 1 {
		t.Error("the next /64 waits")
	}
	now = now.Add(time.Second)
	if got := take(r, 100, mine); got != doorRate {
		t.Errorf("%d a second of one /64", got)
	}
	many := func(i int) string { return netip.AddrFrom4([4]byte{5, 0, byte(i >> 8), byte(i)}).String() }
	now = now.Add(time.Minute)
	if got := take(r, 500, many); got != doorBurstAll {
		t.Errorf("%d door streams at once in all", got)
	}
	take(r, 2*maxBuckets, many)
	now = now.Add(time.Second)
	if take(r, 1, func(int) string { return "5.1.0.1" }) != 0 || len(r.of.of) > maxBuckets {
		t.Errorf("%d addresses are remembered", len(r.of.of))
	}
	now = now.Add(time.Minute)
	if take(r, 1, func(int) string { return "5.1.0.1" }) != 1 {
		t.Error("no room is made")
	}
}

// TestGossipRate: of one peer's messages so much is taken, and of all together so much. Each bound lets more pass where only
// the other is reached: that is the control.
//
// Checks: TRA-23.
func TestGossipRate(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newRoomLimit()
	take := func(from peer.ID) (taken int) {
		for l.take(from, 1<<10, now) {
			taken++
		}
		return taken
	}
	if got := take("flood"); got != 512 {
		t.Errorf("%d KiB of one peer", got)
	}
	for _, id := range []peer.ID{"a", "b", "c"} {
		if got := take(id); got != 512 {
			t.Errorf("%d KiB of another", got)
		}
	}
	if got := take("d"); got != 0 {
		t.Errorf("%d KiB beyond those of all", got)
	}
	now = now.Add(time.Second)
	if got := take("flood"); got != 64 {
		t.Errorf("%d KiB a second of one peer", got)
	}
	if got := take("e") + take("f"); got != 256-64 {
		t.Errorf("%d KiB a second besides", got)
	}
}

// TestPairQueueBytes: what waits for a peer that lets nothing in is bounded in bytes. The twin's isn't.
//
// Checks: TRA-13.
func TestPairQueueBytes(t *testing.T) {
	for _, protected := range []bool{true, false} {
		c := Config{PairQueue: 100_000, unsafe: unsafeSwitches{anyQueue: !protected}}
		s := &pairSender{host: &Host{config: c}, wake: make(chan struct{}, 1)}
		taken := 0
		for range 10 {
			if s.push(make([]byte, 30_000)) == nil {
				taken++
			}
		}
		if want := map[bool]int{true: 3, false: 10}[protected]; taken != want {
			t.Errorf("protected %v: %d messages of 30 KB are queued, want %d", protected, taken, want)
		}
	}
}

// TestTopicName: the room's name can't be read from the topic's. SPEC §10.2 says how it is made.
//
// Checks: TRA-4.
func TestTopicName(t *testing.T) {
	room := [32]byte{1, 2, 3}
	sum := sha256.Sum256(append([]byte("huisclos transport topic v1\x00"), room[:]...))
	if got := topicName(room); got != hex.EncodeToString(sum[:16]) {
		t.Errorf("the topic is %s", got)
	}
}

// TestMuxClaims: a datagram that is neither QUIC's nor STUN reaches the agent that has sent data to where it comes from,
// whoever else has answered a check from there; before that those few who have; and STUN reaches the agent it names, or that
// asked.
//
// Checks: TRA-2.
func TestMuxClaims(t *testing.T) {
	m := newMediaMux(nil)
	socket := newDemuxConn(&wire{}, m, &choke{open: true})
	agent := func(name string) *muxConn {
		c := &muxConn{mux: m, socket: socket, user: muxUser{name, false}, queue: make(chan muxPacket, muxQueue), done: make(chan struct{})}
		m.byUser[c.user] = c
		return c
	}
	const request, success = 0, 1 // the first byte
	stun := func(kind byte, tx string) []byte {
		return append([]byte{kind, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42}, tx+"\x00\x06\x00\x0cowner:others"...)
	}
	const asked, answered = "transaction1", "transaction2"
	owner, thief := agent("owner"), agent("thief")
	at, elsewhere := netip.MustParseAddrPort("5.0.0.1:4000"), netip.MustParseAddrPort("5.0.0.9:4000")
	media, answer := []byte{128, 96, 1, 2}, stun(success, answered)
	got := func(c *muxConn) (n int) {
		for ; len(c.queue) > 0; n++ {
			<-c.queue
		}
		return n
	}
	expect := func(what string, b []byte, from netip.AddrPort, wantOwner, wantThief int) {
		t.Helper()
		m.dispatch(b, from)
		if o, th := got(owner), got(thief); o != wantOwner || th != wantThief {
			t.Errorf("%s: the owner has %d, the other %d", what, o, th)
		}
	}
	expect("from nowhere", media, at, 0, 0)
	_, _ = thief.WriteToAddrPort(answer, at)
	expect("after one has answered a check", media, at, 0, 1)
	_, _ = owner.WriteToAddrPort(answer, at)
	expect("after both have", media, at, 1, 1)
	_, _ = owner.WriteToAddrPort(media, at)
	expect("after one has sent data", media, at, 1, 0)
	_, _ = thief.WriteToAddrPort(answer, at)
	expect("after the other has answered again", media, at, 1, 0)
	_, _ = thief.WriteToAddrPort(stun(request, asked), at)
	expect("after the other has asked", media, at, 1, 0)
	expect("an answer", stun(success, asked), at, 0, 1)
	expect("an answer to nothing", stun(success, "transaction3"), at, 0, 0)
	expect("a check", stun(request, answered), elsewhere, 1, 0)

	var guests []*muxConn
	for i := range 2 * muxGuests {
		g := agent(string(rune('a' + i)))
		_, _ = g.WriteToAddrPort(answer, elsewhere)
		guests = append(guests, g)
	}
	m.dispatch(media, elsewhere)
	n := 0
	for _, g := range guests {
		n += got(g)
	}
	if n != muxGuests {
		t.Errorf("%d copies of what is nobody's yet", n)
	}
	for i := range uint16(1000) {
		_, _ = thief.WriteToAddrPort(answer, netip.AddrPortFrom(elsewhere.Addr(), 1+i))
	}
	if len(thief.claimed) > muxClaims {
		t.Errorf("by answers alone one has a claim to %d addresses", len(thief.claimed))
	}
	_ = owner.Close()
	expect("after its end", media, at, 0, 1)
}

// TestObservedLies: what a peer says it sees us at counts only where packets may go.
//
// Checks: TRA-1.
func TestObservedLies(t *testing.T) {
	key := PeerKey(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	id, err := idOfKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"10.9.9.9:53": false, "224.0.0.251:5353": false, "127.0.0.1:80": false, "5.0.0.7:4000": true} {
		h := &Host{filter: &addressFilter{network: &subnets{"192.168.7.5/24"}}, peers: map[peer.ID]*peerState{id: {key: key, id: id}}}
		h.noteObserved(id, netip.MustParseAddrPort(text))
		if got := len(h.Observed()) == 1; got != want {
			t.Errorf("%s counts: %v", text, got)
		}
	}
}

// TestHiddenReach: who hides its address says none, wherever it listens. The twin says it.
//
// Checks: MOD-3.
func TestHiddenReach(t *testing.T) {
	for _, hide := range []bool{true, false} {
		f := &addressFilter{network: &subnets{"5.0.0.7/24"}, hide: hide}
		for _, bound := range []string{"0.0.0.0:4001", "5.0.0.7:4001"} {
			if got := f.reachable(netip.MustParseAddrPort(bound)); (len(got) == 0) != hide {
				t.Errorf("bound to %s, hidden %v: %v", bound, hide, got)
			}
		}
	}
}

// TestLANReach: a host that stays on its subnets, and has private addresses, doesn't say its public ones. Another does.
//
// Checks: MOD-2.
func TestLANReach(t *testing.T) {
	for lan, want := range map[bool]int{true: 1, false: 2} {
		f := &addressFilter{network: &subnets{"5.0.0.7/24", "192.168.7.5/24"}, lan: lan}
		if got := f.reachable(netip.MustParseAddrPort("0.0.0.0:4001")); len(got) != want || !slices.Contains(got, netip.MustParseAddrPort("192.168.7.5:4001")) {
			t.Errorf("LAN only %v: %v", lan, got)
		}
	}
}
