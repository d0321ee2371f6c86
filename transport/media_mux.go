package transport

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// mediaMux shares the sockets among the ICE agents of all links; it implements
// pion's ice.UDPMux.
//
// Which agent a datagram is for is decided so that no member can draw another's
// packets to itself by naming the other's address as its own candidate (meet/SPEC.md TRA-2):
//
//	STUN request          the user fragment in it (ours, told to one peer only)
//	STUN response         the transaction it answers
//	DTLS, SRTP, SRTCP     the agent that has sent data to that address, which agents
//	                      do only on a checked path; before that, those agents that
//	                      have answered an authenticated check from there
type mediaMux struct {
	claimOnCheck bool // tests only

	mu      sync.RWMutex
	closed  bool
	sockets [2]*demuxConn // [0] IPv4, [1] IPv6
	byUser  map[muxUser]*muxConn
	byTx    map[stunTx]*muxConn
	claims  map[netip.AddrPort]*muxClaim
	watches map[string]chan struct{}   // by user fragment: told when a check is answered
	primary func(ipv6 bool) netip.Addr // the address to call the socket by
}

type muxUser struct {
	fragment string
	ipv6     bool
}

type stunTx [12]byte

// muxClaim is who may receive from one remote address.
type muxClaim struct {
	owner  *muxConn   // has sent data there
	guests []*muxConn // have answered a check from there; at most muxGuests
}

const (
	muxGuests    = 4
	muxClaims    = 32   // addresses one link may claim by checks alone
	muxQueue     = 512  // datagrams waiting for one link's reader; then the newest is dropped
	muxTxPerConn = 256  // STUN transactions remembered per link
	muxDatagram  = 1500 // longer datagrams are no media
)

var muxBuffers = sync.Pool{New: func() any { b := make([]byte, 0, muxDatagram); return &b }}

func newMediaMux(primary func(ipv6 bool) netip.Addr) *mediaMux {
	return &mediaMux{
		byUser:  make(map[muxUser]*muxConn),
		byTx:    make(map[stunTx]*muxConn),
		claims:  make(map[netip.AddrPort]*muxClaim),
		watches: make(map[string]chan struct{}),
		primary: primary,
	}
}

func family(ipv6 bool) int {
	if ipv6 {
		return 1
	}
	return 0
}

func (m *mediaMux) addSocket(c *demuxConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sockets[family(c.localAddrPort().Addr().Is6())] = c
}

// dispatch hands a datagram to the agents it is for. It copies b and never blocks.
func (m *mediaMux) dispatch(b []byte, from netip.AddrPort) {
	if len(b) > muxDatagram {
		return
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !isSTUN(b) {
		claim := m.claims[from]
		switch {
		case claim == nil:
		case claim.owner != nil:
			claim.owner.push(b, from)
		default:
			for _, c := range claim.guests {
				c.push(b, from)
			}
		}
		return
	}
	if b[0]&1 == 0 && b[1]&0x10 == 0 { // request: both class bits are zero
		if fragment, ok := stunUser(b); ok {
			if c := m.byUser[muxUser{string(fragment), from.Addr().Is6()}]; c != nil {
				c.push(b, from)
			}
		}
		return
	}
	if c := m.byTx[stunTx(b[8:20])]; c != nil {
		c.push(b, from)
	}
}

// stunUser finds the part of the USERNAME attribute before the colon, which is the
// receiver's fragment (RFC 8445 §7.2.2).
func stunUser(b []byte) ([]byte, bool) {
	for rest := b[20:]; len(rest) >= 4; {
		kind, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if size > len(rest)-4 {
			return nil, false
		}
		if kind == 0x0006 {
			value := rest[4 : 4+size]
			i := slices.Index(value, ':')
			return value[:max(i, 0)], i > 0
		}
		rest = rest[min(len(rest), 4+(size+3)&^3):]
	}
	return nil, false
}

// bound lists the addresses the sockets are bound to.
func (m *mediaMux) bound() []netip.AddrPort {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []netip.AddrPort
	for _, s := range m.sockets {
		if s != nil {
			out = append(out, s.localAddrPort())
		}
	}
	return out
}

// GetListenAddresses returns one address per socket: what peers are told to send to
// is ours to choose (see media_signal.go), and one candidate per family keeps the
// number of checked pairs small.
func (m *mediaMux) GetListenAddresses() []net.Addr {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []net.Addr
	for i, s := range m.sockets {
		if s == nil {
			continue
		}
		local := s.localAddrPort()
		ip := local.Addr()
		if ip.IsUnspecified() {
			ip = m.primary(i == 1)
		}
		if ip.IsValid() {
			out = append(out, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, local.Port())))
		}
	}
	return out
}

// GetConn returns the connection of the agent with this user fragment.
func (m *mediaMux) GetConn(fragment string, addr net.Addr) (net.PacketConn, error) {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return nil, net.ErrClosed
	}
	ipv6 := udp.IP.To4() == nil
	m.mu.Lock()
	defer m.mu.Unlock()
	socket := m.sockets[family(ipv6)]
	user := muxUser{fragment, ipv6}
	if m.closed || socket == nil || m.byUser[user] != nil {
		return nil, net.ErrClosed
	}
	c := &muxConn{mux: m, socket: socket, user: user, local: addr,
		queue: make(chan muxPacket, muxQueue), done: make(chan struct{}), watch: m.watches[fragment]}
	m.byUser[user] = c
	return c, nil
}

// expect has ch told whenever a check of the agent with this user fragment was
// answered, so that there is a path to write to. RemoveConnByUfrag ends it.
func (m *mediaMux) expect(fragment string, ch chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches[fragment] = ch
}

// RemoveConnByUfrag closes the connections of one agent.
func (m *mediaMux) RemoveConnByUfrag(fragment string) {
	for _, ipv6 := range []bool{false, true} {
		m.mu.RLock()
		c := m.byUser[muxUser{fragment, ipv6}]
		m.mu.RUnlock()
		if c != nil {
			_ = c.Close()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watches, fragment)
}

// Close closes every connection; the sockets are QUIC's to close.
func (m *mediaMux) Close() error {
	m.mu.Lock()
	m.closed = true
	var all []*muxConn
	for _, c := range m.byUser {
		all = append(all, c)
	}
	m.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	return nil
}

type muxPacket struct {
	data *[]byte
	from netip.AddrPort
}

// muxConn is the socket as one ICE agent sees it.
type muxConn struct {
	mux    *mediaMux
	socket *demuxConn
	user   muxUser
	local  net.Addr
	queue  chan muxPacket
	done   chan struct{}
	watch  chan struct{}
	tell   bool // the last datagram read answers a check (reader only)

	// Under mux.mu:
	txs     [muxTxPerConn]stunTx // ring of transactions, for removal
	nextTx  int
	claimed []netip.AddrPort
	closed  bool

	// owned is the address this link last sent data to: the fast path.
	ownedMu sync.Mutex
	owned   netip.AddrPort
}

func (c *muxConn) push(b []byte, from netip.AddrPort) {
	buf := muxBuffers.Get().(*[]byte)
	*buf = append((*buf)[:0], b...)
	select {
	case c.queue <- muxPacket{buf, from}:
	default:
		muxBuffers.Put(buf) // its reader is behind; as on any network, the packet is lost
	}
}

// ReadFromAddrPort returns the next datagram for this agent; io.EOF once closed.
func (c *muxConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	if c.tell { // the agent has dealt with it, since it reads on
		c.tell = false
		select {
		case c.watch <- struct{}{}:
		default:
		}
	}
	select {
	case <-c.done:
		return 0, netip.AddrPort{}, io.EOF
	case p := <-c.queue:
		n := copy(b, *p.data)
		c.tell = c.watch != nil && isSTUN(b[:n]) && b[0] == 1 && b[1] == 1
		muxBuffers.Put(p.data)
		return n, p.from, nil
	}
}

// WriteToAddrPort sends a datagram and remembers what may come back.
func (c *muxConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	select {
	case <-c.done:
		return 0, io.ErrClosedPipe
	default:
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	switch {
	case !isSTUN(b):
		c.ownedMu.Lock()
		known := c.owned == to
		c.owned = to
		c.ownedMu.Unlock()
		if !known {
			c.claim(to, true)
		}
	case b[0] == 0 && b[1] == 1: // binding request
		c.remember(stunTx(b[8:20]))
		if c.mux.claimOnCheck {
			c.claim(to, true)
		}
	case b[0] == 1 && b[1] == 1: // binding success: the agent has authenticated a check
		c.claim(to, false)
	}
	return c.socket.write(b, to)
}

func (c *muxConn) remember(tx stunTx) {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return
	}
	if old := c.txs[c.nextTx]; m.byTx[old] == c {
		delete(m.byTx, old)
	}
	c.txs[c.nextTx] = tx
	c.nextTx = (c.nextTx + 1) % muxTxPerConn
	m.byTx[tx] = c
}

func (c *muxConn) claim(addr netip.AddrPort, data bool) {
	m := c.mux
	if !data { // most answers are to keepalives on a claimed path: look before locking
		m.mu.RLock()
		claim := m.claims[addr]
		known := claim != nil && (claim.owner != nil || slices.Contains(claim.guests, c))
		m.mu.RUnlock()
		if known {
			return
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return
	}
	if !slices.Contains(c.claimed, addr) {
		if len(c.claimed) == muxClaims && !data {
			return
		}
		c.claimed = append(c.claimed, addr)
	}
	claim := m.claims[addr]
	if claim == nil {
		claim = &muxClaim{}
		m.claims[addr] = claim
	}
	if data {
		claim.owner = c
	} else if claim.owner == nil && len(claim.guests) < muxGuests && !slices.Contains(claim.guests, c) {
		claim.guests = append(claim.guests, c)
	}
}

// Close ends reads and gives up every claim.
func (c *muxConn) Close() error {
	m := c.mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	close(c.done)
	delete(m.byUser, c.user)
	for _, tx := range c.txs {
		if m.byTx[tx] == c {
			delete(m.byTx, tx)
		}
	}
	for _, addr := range c.claimed {
		claim := m.claims[addr]
		if claim == nil {
			continue
		}
		if claim.owner == c {
			claim.owner = nil
		}
		claim.guests = slices.DeleteFunc(claim.guests, func(g *muxConn) bool { return g == c })
		if claim.owner == nil && len(claim.guests) == 0 {
			delete(m.claims, addr)
		}
	}
	return nil
}

// ReadFrom is ReadFromAddrPort for callers that know only net.PacketConn.
func (c *muxConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo is WriteToAddrPort for callers that know only net.PacketConn.
func (c *muxConn) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.ErrClosed
	}
	return c.WriteToAddrPort(b, udp.AddrPort())
}

// LocalAddr is the address the agent asked for.
func (c *muxConn) LocalAddr() net.Addr { return c.local }

// SetDeadline does nothing: the agent unblocks a read by Close.
func (c *muxConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing; see SetDeadline.
func (c *muxConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: writes do not block.
func (c *muxConn) SetWriteDeadline(time.Time) error { return nil }
