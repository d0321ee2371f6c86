package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/huisclos/huisclos/transport/internal/tap"
)

// nodes are those of a DHT, all in one program on one host, which writes down all that they could read after their own
// decryption. They are reached by TCP alone.
type nodes struct {
	host  *host
	flags []string // of headless, to use it
	tap   string   // file
	relay string   // file: what passes those that relay for anybody; "": none does
	cmd   *exec.Cmd
}

// asNodes is the environment variable that makes this program the nodes of a DHT: the file for what they read.
const asNodes = "HUISCLOS_LAB_DHT"

// asRelays names the file for what passes them as relays: they are reached by QUIC too, and relay for anybody with libp2p's
// usual limits.
const asRelays = "HUISCLOS_LAB_RELAYS"

// dhtPrefix is what headless uses unless it is told otherwise.
const dhtPrefix = "/huisclos"

const dhtTimeout = 10 * time.Second

func init() {
	file := os.Getenv(asNodes)
	if file == "" {
		return
	}
	if err := beNodes(file, os.Getenv(asRelays), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// startDHT runs nodes at some ports of a public host, the n-th of the world.
func (c *call) startDHT(ctx context.Context, n int, relays bool, ports ...int) (*nodes, error) {
	s, err := c.world.public("dht", n)
	if err != nil {
		return nil, err
	}
	d := &nodes{host: s.hosts[0], tap: filepath.Join(c.world.dir, "dht.tap")}
	if relays {
		d.relay = filepath.Join(c.world.dir, "dht-relay.tap")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var args []string
	for _, port := range ports {
		args = append(args, fmt.Sprintf("/ip4/%v/tcp/%d", d.host.own[0], port))
	}
	d.cmd = exec.Command(self, args...)
	d.cmd.Env = append(os.Environ(), asNodes+"="+d.tap, asRelays+"="+d.relay)
	var said strings.Builder
	d.cmd.Stderr = &said
	stdin, err := d.cmd.StdinPipe() // it ends when that is closed
	if err != nil {
		return nil, err
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.host.ns.start(d.cmd); err != nil {
		return nil, fmt.Errorf("start DHT: %w", err)
	}
	c.ends = append(c.ends, func() { _ = stdin.Close(); _ = d.cmd.Wait() })
	kill := time.AfterFunc(dhtTimeout, func() { _ = d.cmd.Process.Kill() })
	defer kill.Stop()
	lines := bufio.NewScanner(stdout)
	for range ports {
		if !lines.Scan() {
			return nil, fmt.Errorf("start DHT: %w: %s", errors.Join(lines.Err(), ctx.Err()), said.String())
		}
		if len(d.flags) == 0 {
			d.flags = []string{"--dht-bootstrap", lines.Text()}
		}
	}
	c.allowed = append(c.allowed, d.host.own...)
	return d, nil
}

// beNodes is the program that startDHT runs: a node at each address, of which it says the whole, until stdin is closed.
func beNodes(file, relays string, addresses []string) (err error) {
	out, err := tap.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var passed *tap.File
	if relays != "" {
		if passed, err = tap.Open(relays); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, passed.Close()) }()
	}
	var first []peer.AddrInfo
	for _, address := range addresses {
		options := []libp2p.Option{libp2p.ListenAddrStrings(address), libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
			libp2p.Muxer(yamux.ID, tappedMuxer{out}), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{})}
		if passed != nil {
			options = append(options, libp2p.Transport(quic.NewTransport), libp2p.ListenAddrStrings(strings.Replace(address, "/tcp/", "/udp/", 1)+"/quic-v1"))
		}
		h, err := libp2p.New(options...)
		if err != nil {
			return err
		}
		defer func() { _ = h.Close() }()
		if passed != nil {
			r, err := relayv2.New(tappedRelay{h, passed})
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
		}
		d, err := kad.New(h, kad.Mode(kad.ModeServer), kad.ProtocolPrefix(dhtPrefix), kad.BootstrapPeers(first...))
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		if err := d.Bootstrap(context.Background()); err != nil {
			return err
		}
		if first == nil {
			first = []peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}}
		}
		listens := slices.IndexFunc(h.Addrs(), func(a ma.Multiaddr) bool { return strings.Contains(a.String(), "/tcp/") })
		fmt.Printf("%s/p2p/%s\n", h.Addrs()[max(listens, 0)], h.ID())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// tappedMuxer has each stream written down from its first byte: what is negotiated, what identify says, and what is asked
// and answered.
type tappedMuxer struct{ out *tap.File }

// NewConn is yamux's.
func (t tappedMuxer) NewConn(c net.Conn, server bool, scope network.PeerScope) (network.MuxedConn, error) {
	secure, ok := c.(sec.SecureConn)
	if !ok {
		return nil, errors.New("the connection isn't secured")
	}
	remote, err := manet.FromNetAddr(c.RemoteAddr())
	if err != nil {
		return nil, err
	}
	m, err := yamux.DefaultTransport.NewConn(c, server, scope)
	if err != nil {
		return nil, err
	}
	return &tappedConn{m, func(s network.MuxedStream, err error) (network.MuxedStream, error) {
		if err != nil {
			return nil, err
		}
		return &tappedStream{s, t.out.Stream(secure.RemotePeer(), remote)}, nil
	}}, nil
}

type tappedConn struct {
	network.MuxedConn
	wrap func(network.MuxedStream, error) (network.MuxedStream, error)
}

// OpenStream opens one that is written down.
func (c *tappedConn) OpenStream(ctx context.Context) (network.MuxedStream, error) {
	return c.wrap(c.MuxedConn.OpenStream(ctx))
}

// AcceptStream accepts one that is written down.
func (c *tappedConn) AcceptStream() (network.MuxedStream, error) {
	return c.wrap(c.MuxedConn.AcceptStream())
}

type tappedStream struct {
	network.MuxedStream
	tap *tap.Stream
}

// Read notes what was read.
func (s *tappedStream) Read(b []byte) (int, error) { return s.tap.Read(s.MuxedStream, b) }

// Write notes what was written.
func (s *tappedStream) Write(b []byte) (int, error) { return s.tap.Write(s.MuxedStream, b) }

// tappedRelay has each stream of a relay's written down, with what passes it.
type tappedRelay struct {
	libp2phost.Host
	out *tap.File
}

// SetStreamHandler registers a protocol whose streams are written down.
func (t tappedRelay) SetStreamHandler(id protocol.ID, f network.StreamHandler) {
	t.Host.SetStreamHandler(id, func(s network.Stream) { f(t.out.Wrap(s)) })
}

// NewStream opens one that is written down.
func (t tappedRelay) NewStream(ctx context.Context, id peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := t.Host.NewStream(ctx, id, protocols...)
	if err != nil {
		return nil, err
	}
	return t.out.Wrap(s), nil
}
