package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

var loopback = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// startRelay runs a relay on loopback until the test ends.
func startRelay(t testing.TB, c Config) *Relay {
	t.Helper()
	if c.Key == nil {
		c.Key = newKey(t)
	}
	if c.Listen == nil {
		c.Listen = []netip.AddrPort{loopback}
	}
	r, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// testPeer is a libp2p peer with every transport and the circuit client, as a member's host is one.
type testPeer struct {
	host.Host
	t     testing.TB
	swarm *swarm.Swarm
	// observed is where the relay said it sees the peer.
	observed []byte
	// clock is the relay's, where it said so.
	clock time.Time
}

func newPeer(t testing.TB) *testPeer {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := crypto.UnmarshalEd25519PrivateKey(newKey(t))
	must(err)
	id, err := peer.IDFromPrivateKey(private)
	must(err)
	book, err := pstoremem.NewPeerstore()
	must(err)
	must(book.AddPrivKey(id, private))
	must(book.AddPubKey(id, private.GetPublic()))
	bus := eventbus.NewBus()
	s, err := swarm.NewSwarm(id, book, bus, swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithDialTimeout(10*time.Second))
	must(err)
	reuse, err := quicreuse.NewConnManager([32]byte{}, [32]byte{})
	must(err)
	q, err := quic.NewTransport(private, reuse, nil, nil, nil)
	must(err)
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	security, err := noise.New(noise.ID, private, muxers)
	must(err)
	up, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, nil, nil)
	must(err)
	tr, err := tcp.NewTCPTransport(up, nil, nil)
	must(err)
	w, err := websocket.New(up, nil, nil, websocket.WithTLSClientConfig(&tls.Config{InsecureSkipVerify: true}))
	must(err)
	must(s.AddTransport(q))
	must(s.AddTransport(tr))
	must(s.AddTransport(w))
	h := blankhost.NewBlankHost(s, blankhost.WithEventBus(bus))
	must(client.AddTransport(h, up))
	t.Cleanup(func() {
		_ = h.Close()
		_ = s.Close()
		_ = reuse.Close()
		_ = book.Close()
	})
	return &testPeer{Host: h, t: t, swarm: s}
}

func ctxFor(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// remembered counts the peers that something is kept of: by the relay, and by libp2p, the relay itself among them.
func (r *Relay) remembered() (relay, libp2p int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.peers), len(r.host.book.Peers())
}

// address returns an address of the relay; kind is what follows IP and port.
func address(r *Relay, kind relayauth.AddressKind) ma.Multiaddr {
	return relayauth.Addresses(r.Addresses()[0], kind)[0]
}

func (r *Relay) info(kind relayauth.AddressKind) peer.AddrInfo {
	return peer.AddrInfo{ID: r.host.ID(), Addrs: []ma.Multiaddr{address(r, kind)}}
}

// dial connects a peer to a relay.
func (p *testPeer) dial(r *Relay, kind relayauth.AddressKind) {
	p.t.Helper()
	p.Peerstore().ClearAddrs(r.host.ID())
	if err := p.Connect(ctxFor(p.t, 10*time.Second), r.info(kind)); err != nil {
		p.t.Fatal(err)
	}
}

// present shows a ticket.
func (p *testPeer) present(r *Relay, ticket []byte) error { return p.presentTo(r.host.ID(), ticket) }

func (p *testPeer) presentTo(id peer.ID, ticket []byte) error {
	p.t.Helper()
	s, err := p.NewStream(ctxFor(p.t, 10*time.Second), id, relayauth.Protocol)
	if err != nil {
		return err
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := s.Write(binary.BigEndian.AppendUint16(nil, uint16(len(ticket)))); err != nil {
		return err
	}
	if _, err := s.Write(ticket); err != nil {
		return err
	}
	var head [3]byte // length and verdict
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return err
	}
	rest := make([]byte, binary.BigEndian.Uint16(head[:])-1)
	if _, err := io.ReadFull(s, rest); err != nil {
		return err
	}
	if head[2] != 0 {
		if head[2] == 2 {
			p.clock = time.Unix(int64(binary.BigEndian.Uint64(rest)), 0)
		}
		return refusedError(rest)
	}
	p.observed = rest
	return nil
}

// refusedError is the relay's reason.
type refusedError string

func (e refusedError) Error() string { return string(e) }

func (p *testPeer) reserve(r *Relay) error { return p.reserveAt(r.host.ID()) }

func (p *testPeer) reserveAt(id peer.ID) error {
	p.t.Helper()
	_, err := client.Reserve(ctxFor(p.t, 10*time.Second), p, peer.AddrInfo{ID: id})
	return err
}

// enter shows a good ticket and reserves.
func (p *testPeer) enter(r *Relay, kind relayauth.AddressKind, token relayauth.Token) {
	p.t.Helper()
	p.dial(r, kind)
	if err := p.present(r, token.Ticket(time.Now().Add(time.Hour))); err != nil {
		p.t.Fatal(err)
	}
	if err := p.reserve(r); err != nil {
		p.t.Fatal(err)
	}
}

// circuit connects to another peer through the relay.
func (p *testPeer) circuit(r *Relay, to *testPeer) error {
	p.t.Helper()
	via := ma.StringCast("/p2p/" + r.host.ID().String() + "/p2p-circuit")
	p.Peerstore().ClearAddrs(to.ID())
	p.Peerstore().AddAddrs(to.ID(), []ma.Multiaddr{via}, peerstore.TempAddrTTL)
	p.swarm.Backoff().Clear(to.ID())
	_, err := p.swarm.DialPeer(ctxFor(p.t, 10*time.Second), to.ID())
	return err
}

const testProtocol = "/test/1"

// echo has a peer send back what it gets.
func (p *testPeer) echo() {
	p.SetStreamHandler(testProtocol, func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
}

// say sends text to a peer that echoes and returns what comes back.
func (p *testPeer) say(to *testPeer, text string) (string, error) {
	s, err := p.NewStream(ctxFor(p.t, 10*time.Second), to.ID(), testProtocol)
	if err != nil {
		return "", err
	}
	defer s.Reset()
	_ = s.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := s.Write([]byte(text)); err != nil {
		return "", err
	}
	back := make([]byte, len(text))
	_, err = io.ReadFull(s, back)
	return string(back), err
}

// eventually waits until a condition holds that another process brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
