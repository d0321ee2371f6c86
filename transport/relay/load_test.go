package relay

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	audioPacket   = 150 // bytes: Opus at 32 kbit/s, sealed, with its header
	audioInterval = 20 * time.Millisecond
	// audioQueue is how many packets a sender has under way to its stream at most: 200 ms. The next is dropped.
	audioQueue = 10
)

// audioEnd is one direction of a circuit: what was sent and dropped at this end, and what arrived, with its delays.
type audioEnd struct {
	room                    int // in the queue; 0 is audioQueue
	sent, dropped, received int
	delays                  []time.Duration
}

// talk sends n packets, one every 20 ms, as media streams do: what the stream doesn't take in time is dropped.
func (e *audioEnd) talk(s io.Writer, n int, start time.Duration) {
	queue := make(chan []byte, cmp.Or(e.room, audioQueue))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := range queue {
			if _, err := s.Write(b); err != nil {
				for range queue {
				}
				return
			}
		}
	}()
	time.Sleep(start)
	tick := time.NewTicker(audioInterval)
	defer tick.Stop()
	for range n {
		<-tick.C
		b := make([]byte, audioPacket)
		binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
		select {
		case queue <- b:
			e.sent++
		default:
			e.dropped++
		}
	}
	close(queue)
	<-done
}

func (e *audioEnd) listen(s io.Reader) {
	r := bufio.NewReader(s)
	b := make([]byte, audioPacket)
	for {
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		e.received++
		e.delays = append(e.delays, time.Duration(time.Now().UnixNano()-int64(binary.BigEndian.Uint64(b))))
	}
}

// call is audio both ways over one circuit.
type call struct {
	a, b         *testPeer
	stream, back network.Stream
	ab, ba       audioEnd
}

// relayAt is a relay that may be another process.
type relayAt struct{ uri relayauth.URI }

func (r relayAt) id(t testing.TB) peer.ID {
	id, err := r.uri.Relay.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// dialRelay connects by one address, shows a ticket and, if it shall be reached, reserves.
func (p *testPeer) join(r relayAt, at ma.Multiaddr, reserve bool) {
	p.t.Helper()
	id := r.id(p.t)
	if err := p.Connect(ctxFor(p.t, 20*time.Second), peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{at}}); err != nil {
		p.t.Fatal(err)
	}
	if err := p.presentTo(id, r.uri.Token.Ticket(time.Now().Add(time.Hour))); err != nil {
		p.t.Fatal(err)
	}
	if reserve {
		if err := p.reserveAt(id); err != nil {
			p.t.Fatal(err)
		}
	}
}

// pair connects two new peers through the relay and opens a stream.
func pair(t testing.TB, r relayAt, at ma.Multiaddr) *call {
	t.Helper()
	c := &call{a: newPeer(t), b: newPeer(t)}
	c.a.join(r, at, false)
	c.b.join(r, at, true)
	c.open(t, ma.StringCast("/p2p/"+r.id(t).String()+"/p2p-circuit"))
	return c
}

// directPair connects two new peers without a relay: the baseline.
func directPair(t testing.TB, kind relayauth.AddressKind) *call {
	t.Helper()
	c := &call{a: newPeer(t), b: newPeer(t)}
	if err := c.b.swarm.AddListenAddr(relayauth.Addresses(loopback, kind)[0]); err != nil {
		t.Fatal(err)
	}
	for _, a := range c.b.swarm.ListenAddresses() {
		if relayauth.Kind(a) == kind {
			c.open(t, a)
		}
	}
	return c
}

// open opens the stream of a call.
func (c *call) open(t testing.TB, at ma.Multiaddr) {
	t.Helper()
	incoming := make(chan network.Stream, 1)
	c.b.SetStreamHandler(testProtocol, func(s network.Stream) { incoming <- s })
	c.a.Peerstore().AddAddrs(c.b.ID(), []ma.Multiaddr{at}, peerstore.TempAddrTTL)
	var err error
	if c.stream, err = c.a.NewStream(ctxFor(t, 20*time.Second), c.b.ID(), testProtocol); err != nil {
		t.Fatal(err)
	}
	if _, err := c.stream.Write([]byte{0}); err != nil { // negotiates
		t.Fatal(err)
	}
	select {
	case c.back = <-incoming:
	case <-time.After(20 * time.Second):
		t.Fatal("the stream didn't arrive")
	}
	if _, err := io.ReadFull(c.back, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// talkAll has all calls send n packets both ways at once, evenly staggered, and waits until all has arrived.
func talkAll(calls []*call, n int) {
	var senders, readers sync.WaitGroup
	for i, c := range calls {
		start := audioInterval * time.Duration(i) / time.Duration(len(calls))
		readers.Go(func() { c.ab.listen(c.back) })
		readers.Go(func() { c.ba.listen(c.stream) })
		senders.Go(func() { c.ab.talk(c.stream, n, start); _ = c.stream.CloseWrite() })
		senders.Go(func() { c.ba.talk(c.back, n, start); _ = c.back.CloseWrite() })
	}
	senders.Wait()
	readers.Wait()
}

type audioSum struct {
	sent, dropped, received int
	p50, p99, worst         time.Duration
}

func sum(calls []*call) (s audioSum) {
	var delays []time.Duration
	for _, c := range calls {
		for _, e := range []*audioEnd{&c.ab, &c.ba} {
			s.sent, s.dropped, s.received = s.sent+e.sent, s.dropped+e.dropped, s.received+e.received
			delays = append(delays, e.delays...)
		}
	}
	slices.Sort(delays)
	if n := len(delays); n > 0 {
		s.p50, s.p99, s.worst = delays[n/2], delays[n*99/100], delays[n-1]
	}
	return s
}

func (s audioSum) String() string {
	return fmt.Sprintf("%d packets, %d dropped, %d lost, one way p50 %.2f ms, p99 %.1f ms, worst %.0f ms", s.sent+s.dropped, s.dropped,
		s.sent-s.received, ms(s.p50), ms(s.p99), ms(s.worst))
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// flood sends as fast as the stream takes it until ctx is done; what arrived is what the relay let through.
func (c *call) flood(ctx context.Context) (arrived int64) {
	var n atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 64<<10)
		for {
			k, err := c.back.Read(b)
			n.Add(int64(k))
			if err != nil {
				return
			}
		}
	})
	wg.Go(func() {
		b := make([]byte, 64<<10)
		for ctx.Err() == nil {
			_ = c.stream.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := c.stream.Write(b); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !timeout(err) {
				return
			}
		}
	})
	<-ctx.Done()
	arrived = n.Load()
	_, _ = c.stream.Reset(), c.back.Reset()
	wg.Wait()
	return arrived
}

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// TestLoad: circuits of audio at once, with nothing dropped and nothing lost, by each
// transport; and one that floods its own circuit is held to its rate meanwhile (RLY-6). The
// twin isn't. FIGURES=1: 50 circuits for 20 s, by each transport, with the relay in a process
// of its own, and figures, which are judged: see figures.
//
// Checks: RLY-6.
func TestLoad(t *testing.T) {
	if os.Getenv("FIGURES") != "" {
		figures(t)
		return
	}
	const rate, burst = 256 << 10, 64 << 10
	for _, twin := range []bool{false, true} {
		token := relayauth.NewToken()
		r := startRelay(t, Config{Tokens: relayauth.NewTokens(token), BytesPerSecond: rate, Burst: burst, unsafe: unsafeSwitches{noThrottle: twin}})
		at := relayAt{r.URI(token, nil)}
		var calls []*call
		for i := range 8 {
			calls = append(calls, pair(t, at, address(r, relayauth.AddressKind(i%4+1))))
		}
		flooding := pair(t, at, address(r, relayauth.KindTCP))
		ctx, cancel := context.WithCancel(context.Background())
		var arrived int64
		var took time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { start := time.Now(); arrived = flooding.flood(ctx); took = time.Since(start) })
		talkAll(calls, 50)
		cancel()
		wg.Wait()
		// What lies in a bucket, and one read beyond it.
		most := int64(float64(rate)*took.Seconds()) + burst + copyBuffer
		if !twin && (arrived > most || arrived == 0) {
			t.Errorf("%d bytes came through in %v, at most %d may", arrived, took, most)
		}
		if twin {
			if arrived <= most {
				t.Errorf("the twin lets only %d bytes through: the test shows nothing", arrived)
			}
			continue
		}
		if s := sum(calls); s.received != s.sent || s.dropped != 0 {
			t.Errorf("%v", s)
		}
		if r.Stats().Throttled == 0 {
			t.Error("nobody was throttled")
		}
	}
}

// TestFifty: a relay with default limits carries 50 circuits of audio at once, with nothing dropped, lost or slowed down. It
// counts, with ample room for a machine that has other work: a sender drops what waits for 2 s, and the median is judged, at
// thousands of times what it is (FIGURES.md). The twin is one that slows a peer down to less than audio takes.
//
// Checks: RLY-6.
func TestFifty(t *testing.T) {
	if testing.Short() {
		t.Skip("takes several seconds")
	}
	const circuits, packets, late = 50, 200, 2 * time.Second
	token := relayauth.NewToken()
	var relays [2]*Relay
	var calls [2][]*call
	for i, c := range []Config{{}, {BytesPerSecond: 2500, Burst: 1000}} {
		c.Tokens = relayauth.NewTokens(token)
		relays[i] = startRelay(t, c)
		n := circuits
		if i == 1 {
			n = 1
		}
		for range n {
			c := pair(t, relayAt{relays[i].URI(token, nil)}, address(relays[i], relayauth.KindTCP))
			c.ab.room, c.ba.room = 100, 100
			calls[i] = append(calls[i], c)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { talkAll(calls[0], packets) })
	wg.Go(func() { talkAll(calls[1], packets/2) })
	wg.Wait()
	s := sum(calls[0])
	t.Log(s, sum(calls[1]))
	if s.sent != 2*circuits*packets || s.received != s.sent || s.dropped != 0 || s.p50 > late {
		t.Errorf("%v", s)
	}
	if stats := relays[0].Stats(); stats.Throttled != 0 || stats.CircuitsAccepted != circuits {
		t.Errorf("%+v", stats)
	}
	if s, stats := sum(calls[1]), relays[1].Stats(); s.worst <= late || stats.Throttled == 0 {
		t.Errorf("the twin slows nobody down, so the test shows nothing: %v, %+v", s, stats)
	}
}

// TestBucket: over any time a peer sends its rate and one burst; who sends less never waits.
func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, burst = 1000.0, 500.0
		var b bucket
		start, sent := time.Now(), 0
		for time.Since(start) < 10*time.Second {
			time.Sleep(b.take(100, time.Now(), rate, burst))
			sent += 100
		}
		if sent < 10400 || sent > 10700 {
			t.Errorf("%d bytes in 10 s", sent)
		}
		time.Sleep(time.Hour)
		for range 1000 {
			if w := b.take(20, time.Now(), rate, burst); w != 0 {
				t.Fatalf("who is within the rate waits %v", w)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// figures prints the figures of FIGURES.md: delays with and without one that floods, and the
// relay's own processor time. By a relay nothing may be dropped, lost, or late, and nobody floods at more than its rate.
func figures(t *testing.T) {
	const n, circuits, latest = 1000, 50, 150 * time.Millisecond
	limits, err := Config{Key: newKey(t), Listen: []netip.AddrPort{loopback}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]relayauth.AddressKind{"QUIC": relayauth.KindQUIC, "TCP": relayauth.KindTCP, "WebSocket over TLS": relayauth.KindWebSocketTLS} {
		if kind != relayauth.KindWebSocketTLS {
			var calls []*call
			for range circuits {
				calls = append(calls, directPair(t, kind))
			}
			talkAll(calls, n)
			t.Logf("%s, %d direct connections: %v", name, circuits, sum(calls))
			closeAll(calls)
		}
		for _, floods := range []bool{false, true} {
			r, at, stop := spawnRelay(t)
			address := relayauth.Addresses(at, kind)[0]
			var calls []*call
			for range circuits {
				calls = append(calls, pair(t, r, address))
			}
			ctx, cancel := context.WithCancel(context.Background())
			var arrived int64
			var flooded time.Duration
			var wg sync.WaitGroup
			if floods {
				flooding := pair(t, r, address)
				wg.Go(func() { start := time.Now(); arrived = flooding.flood(ctx); flooded = time.Since(start) })
			}
			start := time.Now()
			talkAll(calls, n)
			took := time.Since(start)
			cancel()
			wg.Wait()
			cpu := stop()
			t.Logf("%s, %d circuits of audio: %v; relay %.0f %% of a core", name, circuits, sum(calls), 100*cpu.Seconds()/took.Seconds())
			closeAll(calls)
			if s := sum(calls); s.dropped != 0 || s.received != s.sent || s.p99 > latest {
				t.Errorf("%s, beside a flood %v: more than nothing dropped or lost, or p99 above %v: %v", name, floods, latest, s)
			}
			// A bucket is full when it begins, and one read may go beyond it.
			if most := int(float64(limits.BytesPerSecond)*flooded.Seconds()) + limits.Burst + copyBuffer; arrived > int64(most) || floods && arrived == 0 {
				t.Errorf("%s: a peer that floods got %d bytes through in %v, at most %d may", name, arrived, flooded, most)
			}
			if floods {
				t.Logf("  beside them one peer flooded: %.2f MB/s came through", float64(arrived)/took.Seconds()/1e6)
			}
		}
	}
}

// closeAll ends the calls, so that they cost the next nothing.
func closeAll(calls []*call) {
	for _, c := range calls {
		_, _ = c.a.swarm.Close(), c.b.swarm.Close()
	}
}

const childEnv = "HUISCLOS_TEST_RELAY"

// spawnRelay runs a relay with default limits in a process of its own. stop returns its processor time.
func spawnRelay(t *testing.T) (relayAt, netip.AddrPort, func() time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	uri, err := relayauth.ParseURI(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	at, _ := addrPortOf(uri.Addresses[0])
	return relayAt{uri}, at, func() time.Duration {
		_ = in.Close()
		_ = cmd.Wait()
		u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
}

// child is the process that spawnRelay starts: it ends with its standard input.
func child() error {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	token := relayauth.NewToken()
	r, err := Listen(Config{Key: key, Listen: []netip.AddrPort{loopback}, Tokens: relayauth.NewTokens(token)})
	if err != nil {
		return err
	}
	fmt.Println(r.URI(token, relayauth.Addresses(r.Addresses()[0])))
	_, _ = io.Copy(io.Discard, os.Stdin)
	return r.Close()
}
