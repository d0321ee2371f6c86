package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/logging"
)

// Timing of a link. Checks are paced for a first answer within a round trip; a path
// silent for disconnected+failed is over.
const (
	iceCheckInterval  = 100 * time.Millisecond
	iceMaxChecks      = 100 // per pair: hole punching may take a while
	iceKeepalive      = 2 * time.Second
	iceDisconnected   = 3 * time.Second
	iceFailed         = 3 * time.Second
	dtlsFlight        = 400 * time.Millisecond
	mediaSetupTimeout = 15 * time.Second
	dtlsQueue         = 32
)

var (
	errPathLost   = errors.New("transport: no packet from peer on any path")
	errPeerClosed = errors.New("transport: peer closed the media link")
)

// mediaConfig is what all links of a host share.
type mediaConfig struct {
	certificate tls.Certificate
	fingerprint [32]byte
	loggers     logging.LoggerFactory

	mu    sync.RWMutex
	links map[PeerKey]*Link
}

// newMediaConfig makes the DTLS certificate: self-signed, with nothing in it.
func newMediaConfig() (*mediaConfig, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial,
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(30 * 24 * time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &mediaConfig{
		certificate: tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key},
		fingerprint: sha256.Sum256(raw),
		loggers:     quietLoggers{},
		links:       make(map[PeerKey]*Link),
	}, nil
}

func (m *mediaConfig) add(l *Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links[l.key] = l
}

func (m *mediaConfig) remove(l *Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.links[l.key] == l {
		delete(m.links, l.key)
	}
}

func (m *mediaConfig) all() []*Link {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make([]*Link, 0, len(m.links))
	for _, l := range m.links {
		all = append(all, l)
	}
	return all
}

func (m *mediaConfig) get(key PeerKey) *Link {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.links[key]
}

// session is one generation of a link: an ICE agent, DTLS over it for keys, and SRTP.
//
//	ICE agent ──▶ read ──┬─▶ DTLS ──▶ keys
//	                     ├─▶ SRTP ──▶ interceptors ──▶ OnPacket
//	                     └─▶ SRTCP ─▶ interceptors, retransmission
type session struct {
	link       *Link
	host       *Host
	generation uint32
	offerer    bool
	fragment   string
	password   string

	agent   *ice.Agent
	source  atomic.Pointer[netip.Addr] // from which its packets leave, once ICE has chosen
	conn    *ice.Conn
	path    chan struct{} // a check was answered
	failed  chan struct{} // ICE has given up
	ctx     context.Context
	cancel  context.CancelCauseFunc
	done    chan struct{}
	wire    chan struct{} // closed when nothing more can be read
	dtlsIn  chan []byte
	remote  [fingerprintSize]byte
	running sync.WaitGroup

	chain     interceptor.Interceptor
	estimator cc.BandwidthEstimator
	out       [2]outStream
	tx        transmitter
	rx        receiver
	twcc      atomic.Uint32

	unanswered atomic.Int64 // when the first packet was sent since something came, in Unix nanoseconds; 0: none was
	silent     atomic.Bool  // for iceSilence
}

// newSession makes the agent and gathers; nothing is sent yet.
func newSession(l *Link, generation uint32, offerer bool) (*session, error) {
	if l.host.hidden() { // MOD-3: neither candidates nor checks
		return nil, ErrRelayOnly
	}
	s := &session{link: l, host: l.host, generation: generation, offerer: offerer,
		fragment: randomText(fragmentLength), password: randomText(passwordLength),
		path: make(chan struct{}, 1), failed: make(chan struct{}), done: make(chan struct{}),
		wire: make(chan struct{}), dtlsIn: make(chan []byte, dtlsQueue)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if err := s.makeAgent(); err != nil {
		s.host.mux.RemoveConnByUfrag(s.fragment)
		s.cancel(err)
		return nil, fmt.Errorf("transport: media link: %w", err)
	}
	return s, nil
}

func (s *session) makeAgent() error {
	filter := s.host.filter
	interval, checks := iceCheckInterval, uint16(iceMaxChecks) // per pair: what somebody may name a victim for (TRA-1)
	if s.host.config.unsafe.anyChecks {
		interval, checks = interval/10, math.MaxUint16
	}
	options := []ice.AgentOption{
		ice.WithUDPMux(s.host.mux), ice.WithNet(s.host.config.Network.ICE()),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithDisableActiveTCP(),
		ice.WithLocalCredentials(s.fragment, s.password),
		ice.WithRemoteIPFilter(func(ip net.IP) bool {
			addr, ok := netip.AddrFromSlice(ip)
			return ok && filter.allow(addr)
		}),
		ice.WithCheckInterval(interval), ice.WithMaxBindingRequests(checks),
		ice.WithKeepaliveInterval(iceKeepalive),
		ice.WithDisconnectedTimeout(iceDisconnected), ice.WithFailedTimeout(iceFailed),
		// The first checked path is taken: waiting for a better kind costs the start.
		ice.WithHostAcceptanceMinWait(0), ice.WithSrflxAcceptanceMinWait(0), ice.WithPrflxAcceptanceMinWait(0),
		ice.WithLoggerFactory(s.host.media.loggers),
	}
	if filter.loopback {
		options = append(options, ice.WithIncludeLoopback())
	}
	agent, err := ice.NewAgentWithOptions(options...)
	if err != nil {
		return err
	}
	s.agent = agent
	s.host.mux.expect(s.fragment, s.path) // not before: a new agent clears its fragment
	gathered := make(chan struct{})
	err = agent.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			close(gathered)
		}
	})
	if err == nil {
		err = agent.OnConnectionStateChange(s.iceState)
	}
	if err == nil {
		err = agent.OnSelectedCandidatePairChange(s.chosen)
	}
	if err == nil {
		err = agent.GatherCandidates()
	}
	if err != nil {
		_ = agent.Close()
		return err
	}
	<-gathered // sends nothing and so does not wait for anyone
	return nil
}

func (s *session) iceState(state ice.ConnectionState) {
	if state == ice.ConnectionStateFailed {
		close(s.failed) // terminal without a restart, which we do not use
	}
}

// chosen follows the path that ICE uses. The first is often chosen after the keys are agreed, over whatever works.
func (s *session) chosen(_, remote ice.Candidate) {
	ip, err := netip.ParseAddr(remote.Address())
	if err != nil {
		return
	}
	s.host.contacts.note(s.link.key, ip)
	source := s.host.routes.source(ip)
	s.source.Store(&source)
}

// left tells whether packets to the peer would leave by another way than before.
func (s *session) left(own []netip.Prefix) bool {
	remote, ok := s.remoteAddress()
	source := s.source.Load()
	return ok && source != nil && s.host.routes.moved(*source, remote.Addr(), own)
}

// signal is what the other side must know of us. Candidates: where our sockets can be
// reached, and where others have seen them or the router lets in.
func (s *session) signal(kind uint64) *mediaSignal {
	m := &mediaSignal{Kind: kind, Generation: uint64(s.generation), Fragment: s.fragment,
		Password: s.password, Fingerprint: s.host.media.fingerprint[:]}
	observed := s.host.Observed()
	for _, a := range s.host.mapped("udp") {
		if !slices.Contains(observed, a) && !s.host.filter.isOwn(a.Addr()) && len(observed) < MaxAddresses/2 {
			observed = append(observed, a)
		}
	}
	for _, bound := range s.host.mux.bound() {
		for _, a := range s.host.filter.reachable(bound) {
			if len(m.Candidates) < MaxAddresses-len(observed) {
				m.add(candidateHost, a)
			}
		}
	}
	for _, a := range observed {
		m.add(candidateServerReflexive, a)
	}
	return m
}

// discard ends a session that was never started.
func (s *session) discard() {
	s.cancel(ErrStale)
	_ = s.agent.GracefulClose()
	s.host.mux.RemoveConnByUfrag(s.fragment)
	if s.chain != nil {
		_ = s.chain.Close()
	}
}

// start begins to connect. The answerer controls ICE and is the DTLS client: it knows
// both sides first, and so has a checked path half a round trip before the offerer.
func (s *session) start(remote *mediaSignal, candidates []iceCandidate) error {
	s.remote = [fingerprintSize]byte(remote.Fingerprint)
	if err := s.bindInterceptors(); err != nil {
		return err
	}
	for _, c := range candidates {
		if !s.host.filter.allow(c.addr.Addr()) {
			continue
		}
		s.host.contacts.note(s.link.key, c.addr.Addr())
		candidate, err := newCandidate(c)
		if err == nil {
			err = s.agent.AddRemoteCandidate(candidate)
		}
		if err != nil {
			return err
		}
	}
	var err error
	if s.offerer {
		s.conn, err = s.agent.StartAccept(remote.Fragment, remote.Password)
	} else {
		s.conn, err = s.agent.StartDial(remote.Fragment, remote.Password)
	}
	if err != nil {
		return err
	}
	if !s.host.spawn(s.run) {
		return ErrClosed
	}
	return nil
}

func newCandidate(c iceCandidate) (ice.Candidate, error) {
	ip, port := c.addr.Addr().String(), int(c.addr.Port())
	if c.kind == candidateServerReflexive {
		return ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{
			Network: "udp", Address: ip, Port: port, Component: ice.ComponentRTP})
	}
	return ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: ip, Port: port, Component: ice.ComponentRTP})
}

// stop asks the session to end; done is closed when it has.
func (s *session) stop(reason error) { s.cancel(reason) }

// run is the life of the session.
func (s *session) run() {
	defer close(s.done)
	s.running.Add(1)
	go s.read()
	d, err := s.handshake()
	if err == nil {
		closed := make(chan struct{})
		s.running.Add(1)
		go func() { // the peer's goodbye, or garbage
			defer s.running.Done()
			defer close(closed)
			_, _ = d.Read(make([]byte, 64))
		}()
		s.link.up(s)
		select {
		case <-closed:
			err = errPeerClosed
		case <-s.failed:
			err = errPathLost
		case <-s.ctx.Done():
			err = context.Cause(s.ctx)
		}
	}
	s.cancel(err)
	s.tx.close()
	if d != nil {
		_ = d.Close() // says goodbye
	}
	_ = s.agent.GracefulClose()
	s.host.mux.RemoveConnByUfrag(s.fragment)
	_ = s.chain.Close()
	s.running.Wait()
	s.releaseSent()
	s.link.down(s, err)
}

// answered tells whether the path is alive as far as can be seen: something has come since packets began to go out
// unanswered, or that was a moment ago.
func (s *session) answered(now time.Time) bool {
	since := s.unanswered.Load()
	switch {
	case since == 0:
		s.unanswered.Store(now.UnixNano())
		return true
	case now.UnixNano()-since < int64(iceSilence):
		return true
	}
	if s.silent.CompareAndSwap(false, true) {
		s.link.nudge()
	}
	return false
}

// doubted stands in session.unanswered for a path that wasn't found silent.
const doubted = 1

// doubt takes the path for silent until something comes.
func (s *session) doubt() {
	s.unanswered.Store(doubted)
	if s.silent.CompareAndSwap(false, true) {
		s.link.nudge()
	}
}

// heard notes that something has come over the path.
func (s *session) heard() {
	if s.unanswered.Load() != 0 {
		s.unanswered.Store(0)
	}
	if s.silent.Load() {
		s.silent.Store(false)
		s.link.nudge()
	}
}

// remoteAddress is the peer's end of the path in use.
func (s *session) remoteAddress() (netip.AddrPort, bool) {
	pair, err := s.agent.GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return netip.AddrPort{}, false
	}
	ip, err := netip.ParseAddr(pair.Remote.Address())
	return netip.AddrPortFrom(ip, uint16(pair.Remote.Port())), err == nil
}

// rtt is the round-trip time of ICE's checks on the path in use.
func (s *session) rtt() time.Duration {
	stats, ok := s.agent.GetSelectedCandidatePairStats()
	if !ok {
		return 0
	}
	return time.Duration(stats.CurrentRoundTripTime * float64(time.Second))
}

const textAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// randomText returns n random letters and digits, about 5.9 bits each.
func randomText(n int) string {
	out := make([]byte, 0, n)
	var b [64]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		for _, c := range b {
			if c >= 248 { // 248 = 4 × 62: no letter is likelier
				continue
			}
			if out = append(out, textAlphabet[c%62]); len(out) == n {
				return string(out)
			}
		}
	}
}

// quietLoggers keeps pion silent: its messages name addresses.
type quietLoggers struct{}

func (quietLoggers) NewLogger(string) logging.LeveledLogger { return quietLogger{} }

type quietLogger struct{}

func (quietLogger) Trace(string)          {}
func (quietLogger) Tracef(string, ...any) {}
func (quietLogger) Debug(string)          {}
func (quietLogger) Debugf(string, ...any) {}
func (quietLogger) Info(string)           {}
func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Warn(string)           {}
func (quietLogger) Warnf(string, ...any)  {}
func (quietLogger) Error(string)          {}
func (quietLogger) Errorf(string, ...any) {}
