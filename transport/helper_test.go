package transport_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

var room = [32]byte{1, 2, 3}

// node is a host with an owner that reads its events and carries media signals in
// pair messages, as a meeting would.
type node struct {
	t    testing.TB
	name string
	*transport.Host
	stop chan struct{}
	done chan struct{}

	mu         sync.Mutex
	changed    chan struct{}
	up         map[transport.PeerKey]int // PeerConnected minus PeerDisconnected... last state
	connects   int
	messages   []transport.Message
	gossip     []transport.Gossip
	media      map[transport.PeerKey]transport.MediaState
	packets    []packet
	tapped     map[transport.TapPoint][]byte
	closed     bool
	network    *transporttest.Host
	signals    bool // carry media signals
	lastOffer  []byte
	generation uint32
	roamed     int
}

func (n *node) networkChanges() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.roamed
}

type packet struct {
	at      time.Time
	from    transport.PeerKey
	kind    transport.Kind
	payload []byte
}

func testKey(seed int64) ed25519.PrivateKey {
	s := make([]byte, 32)
	rand.New(rand.NewSource(seed)).Read(s)
	return ed25519.NewKeyFromSeed(s)
}

// sortedKeys returns n keys, smallest first.
func sortedKeys(n int) []ed25519.PrivateKey {
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		keys[i] = testKey(int64(i + 1))
	}
	for i := range keys {
		for j := i + 1; j < n; j++ {
			if bytes.Compare(keys[j].Public().(ed25519.PublicKey), keys[i].Public().(ed25519.PublicKey)) < 0 {
				keys[i], keys[j] = keys[j], keys[i]
			}
		}
	}
	return keys
}

func newNode(t testing.TB, name string, c transport.Config) *node {
	t.Helper()
	n := &node{t: t, name: name, stop: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
		up: make(map[transport.PeerKey]int), media: make(map[transport.PeerKey]transport.MediaState),
		tapped: make(map[transport.TapPoint][]byte), signals: true}
	if c.RoomID == ([32]byte{}) {
		c.RoomID = room
	}
	if c.OnPacket == nil {
		c.OnPacket = func(from transport.PeerKey, kind transport.Kind, payload []byte) {
			n.update(func() {
				n.packets = append(n.packets, packet{time.Now(), from, kind, bytes.Clone(payload)})
			})
		}
	}
	c.Tap = func(at transport.TapPoint, _ transport.PeerKey, data []byte) {
		n.update(func() { n.tapped[at] = append(n.tapped[at], data...) })
	}
	h, err := transport.Listen(context.Background(), c)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	n.Host = h
	go n.run()
	t.Cleanup(n.close)
	return n
}

func (n *node) update(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) run() {
	defer close(n.done)
	for {
		select {
		case <-n.stop:
			return
		case ev := <-n.Events():
			n.handle(ev)
		}
	}
}

var (
	offerPrefix  = []byte("offer:")
	answerPrefix = []byte("answer:")
)

func (n *node) handle(ev transport.Event) {
	if m, ok := ev.(transport.Message); ok && n.signals {
		if offer, ok := bytes.CutPrefix(m.Data, offerPrefix); ok {
			answer, err := n.MediaAnswer(m.Peer, offer)
			if err == nil {
				err = n.Send(m.Peer, append(bytes.Clone(answerPrefix), answer...))
			}
			if err != nil {
				n.t.Logf("%s: answer: %v", n.name, err)
			}
			return
		}
		if answer, ok := bytes.CutPrefix(m.Data, answerPrefix); ok {
			if err := n.MediaAccept(m.Peer, answer); err != nil {
				n.t.Logf("%s: accept: %v", n.name, err)
			}
			return
		}
	}
	n.update(func() {
		switch ev := ev.(type) {
		case transport.PeerConnected:
			n.up[ev.Peer] = 1
			n.connects++
		case transport.PeerDisconnected:
			n.up[ev.Peer] = 0
		case transport.Message:
			n.messages = append(n.messages, ev)
		case transport.Gossip:
			n.gossip = append(n.gossip, ev)
		case transport.MediaState:
			n.media[ev.Peer] = ev
		case transport.NetworkChanged:
			n.roamed++
		}
	})
}

// wait waits until ok, with the node locked, is true.
func (n *node) wait(what string, limit time.Duration, ok func() bool) {
	n.t.Helper()
	timeout := time.After(limit)
	for {
		n.mu.Lock()
		good, changed := ok(), n.changed
		n.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			n.t.Fatalf("%s: no %s within %v", n.name, what, limit)
		}
	}
}

func (n *node) waitUp(peer *node) {
	n.t.Helper()
	n.wait("connection to "+peer.name, 5*time.Second, func() bool { return n.up[peer.Key()] == 1 })
}

// waitMedia waits for ICE's path, or for its end.
func (n *node) waitMedia(peer *node, up bool, limit time.Duration) {
	n.t.Helper()
	n.wait(fmt.Sprintf("media %v with %s", up, peer.name), limit, func() bool {
		st, ok := n.media[peer.Key()]
		return ok && (st.Up && !st.Stream) == up
	})
}

func (n *node) got(data string) func() bool {
	return func() bool {
		for _, m := range n.messages {
			if string(m.Data) == data {
				return true
			}
		}
		return false
	}
}

func (n *node) gossiped(data string) func() bool {
	return func() bool {
		for _, m := range n.gossip {
			if string(m.Data) == data {
				return true
			}
		}
		return false
	}
}

func (n *node) offer(peer *node) {
	n.t.Helper()
	offer, err := n.MediaOffer(peer.Key())
	if err != nil {
		n.t.Fatal(err)
	}
	n.lastOffer = offer
	if err := n.Send(peer.Key(), append(bytes.Clone(offerPrefix), offer...)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) close() {
	if n.closed {
		return
	}
	n.closed = true
	if err := n.Host.Close(); err != nil {
		n.t.Errorf("%s: close: %v", n.name, err)
	}
	close(n.stop)
	<-n.done
}

func (n *node) connect(peer *node) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Connect(ctx, peer.Key(), peer.Addresses()); err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
}

func befriend(nodes ...*node) {
	for _, a := range nodes {
		for _, b := range nodes {
			a.Allow(b.Key())
		}
	}
}

// twins runs a test in virtual time as it is, and without these protections: what it is about must then fail.
func twins(t *testing.T, off transport.Unsafe, f func(t *testing.T, u transport.Unsafe)) {
	for name, u := range map[string]transport.Unsafe{"protected": {}, "twin": off} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, u) })
		})
	}
}

func newWorld(t testing.TB, o transporttest.Options) *transporttest.World {
	t.Helper()
	w, err := transporttest.NewWorld(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func simNode(t testing.TB, w *transporttest.World, name string, key ed25519.PrivateKey, o transporttest.HostOptions) *node {
	t.Helper()
	return simNodeConfig(t, w, name, transport.Config{Key: key}, o)
}

func simNodeConfig(t testing.TB, w *transporttest.World, name string, c transport.Config, o transporttest.HostOptions) *node {
	t.Helper()
	network, err := w.Host(name, o)
	if err != nil {
		t.Fatal(err)
	}
	c.Network = network
	n := newNode(t, name, c)
	n.network = network
	return n
}

// sinceReal is the real time since a moment outside the bubble.
func sinceReal(t time.Time) time.Duration {
	var now unixTime
	now.read()
	return now.sub(t)
}

// linked tells whether media goes over ICE's path.
func (n *node) linked(peer *node) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.media[peer.Key()].Up && !n.media[peer.Key()].Stream
}

// received returns copies of what the node has got so far.
func (n *node) received() (packets []packet, messages []transport.Message, gossip []transport.Gossip) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.packets), slices.Clone(n.messages), slices.Clone(n.gossip)
}

// count is how many packets, messages and gossip messages it has got so far.
func (n *node) count() (packets, messages, gossip int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.packets), len(n.messages), len(n.gossip)
}

func (n *node) total() int {
	p, m, g := n.count()
	return p + m + g
}

// has is wait with no waiting.
func (n *node) has(ok func() bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return ok()
}

func (n *node) tapOf(at transport.TapPoint) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Clone(n.tapped[at])
}
