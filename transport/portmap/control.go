package portmap

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Timing of PCP and NAT-PMP.
const (
	firstRetry = 250 * time.Millisecond // and twice as long each time
	tries      = 4
	// pcpGrace is how long an answer by NAT-PMP waits for one by PCP: most routers speak both.
	pcpGrace = 100 * time.Millisecond
)

// control speaks PCP or NAT-PMP to one gateway, whichever it answers. One goroutine uses it.
type control struct {
	network Network
	gateway Gateway
	pcp     bool // else NAT-PMP
	epoch   epoch
	nonces  map[uint8]nonce // by protocol: it owns the mapping
	address netip.Addr      // external, of NAT-PMP
	unsafe  unsafeSwitches
}

// newNonces makes those of one gateway. They outlive a router's silence: it may remember them, and nobody with others may
// touch the mapping.
func newNonces() map[uint8]nonce {
	all := map[uint8]nonce{}
	for _, p := range []uint8{protocolUDP, protocolTCP} {
		var fresh nonce
		_, _ = rand.Read(fresh[:]) // never fails
		all[p] = fresh
	}
	return all
}

func (c *control) protocol() Protocol {
	if c.pcp {
		return PCP
	}
	return NATPMP
}

// exchange sends, and again after a while, until take has had enough. take is shown every datagram of the gateway's, and
// returns until when to wait on (zero: as long as there are tries) and whether it is done.
func (c *control) exchange(ctx context.Context, packets [][]byte, take func(b []byte) (until time.Time, done bool)) error {
	pc, err := c.network.ListenPacket(c.gateway.Local)
	if err != nil {
		return err
	}
	defer func() { _ = pc.Close() }()
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.gateway.Address, controlPort))
	socket := &conn{PacketConn: pc, from: c.gateway.Address, port: controlPort, any: c.unsafe.anySource}
	buffer := make([]byte, maxControl+1)
	for try, wait := 0, firstRetry; try < tries; try, wait = try+1, 2*wait {
		for _, p := range packets {
			if _, err := pc.WriteTo(p, to); err != nil {
				return err
			}
		}
		for until := time.Now().Add(wait); ; {
			n, err := socket.read(ctx, until, buffer)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if refused(err) { // an ICMP message: nothing listens there
				return ErrNoAnswer
			}
			if err != nil {
				break
			}
			sooner, done := take(buffer[:n])
			if done {
				return nil
			}
			if !sooner.IsZero() && sooner.Before(until) {
				until = sooner
			}
		}
		if _, done := take(nil); done {
			return nil
		}
	}
	return ErrNoAnswer
}

func refused(err error) bool {
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

// first maps the first port, and learns on the way which protocol the router speaks.
func (c *control) first(ctx context.Context, w wanted) (Mapping, error) {
	request := c.request(w)
	packets := [][]byte{request.encode()}
	if c.gateway.Local.Is4() {
		packets = append(packets, encodeAddressRequest())
	}
	var mapped, failed *mapAnswer
	var older *addressAnswer
	var unsupported bool
	err := c.exchange(ctx, packets, func(b []byte) (time.Time, bool) {
		if a, err := decodeMap(b); err == nil && c.mine(a, w) {
			if a.result == resultOK {
				mapped = &a
				return time.Time{}, true
			}
			failed = &a
		} else if a, err := decodeAddress(b); err == nil && (a.result != resultUnsupported || older == nil) {
			if a.result == resultUnsupported { // may be the answer of a NAT-PMP router to PCP
				unsupported = true
			} else {
				older = &a
			}
		}
		if older != nil && (failed != nil || unsupported || b == nil) {
			return time.Time{}, true
		}
		if failed != nil && c.gateway.Local.Is6() {
			return time.Time{}, true
		}
		if older != nil || failed != nil {
			return time.Now().Add(pcpGrace), false
		}
		return time.Time{}, b == nil && failed != nil
	})
	switch {
	case mapped != nil:
		c.pcp = true
		return c.fromPCP(*mapped, w)
	case older != nil && older.result == resultOK:
		c.address = older.address
		c.epoch.note(older.epoch, time.Now())
		return c.mapPort(ctx, w)
	case failed != nil:
		return Mapping{}, &RefusedError{PCP, int(failed.result)}
	case older != nil:
		return Mapping{}, &RefusedError{NATPMP, int(older.result)}
	}
	return Mapping{}, err
}

func (c *control) request(w wanted) mapRequest {
	return mapRequest{nonce: c.nonces[w.protocol], protocol: w.protocol, lifetime: uint32(lifetime / time.Second),
		client: c.gateway.Local, internal: w.port, external: w.external}
}

// mine says whether an answer is to what was asked: the nonce is what nobody else knows (RFC 6887 §11.4, MAP-2).
func (c *control) mine(a mapAnswer, w wanted) bool {
	return (a.nonce == c.nonces[w.protocol] || c.unsafe.anyNonce) && a.protocol == w.protocol && a.internal == w.port
}

func (c *control) fromPCP(a mapAnswer, w wanted) (Mapping, error) {
	c.epoch.note(a.epoch, time.Now())
	external := a.external.Addr()
	if a.lifetime == 0 || a.external.Port() == 0 || external.Is4() != c.gateway.Local.Is4() || !plausible(external) {
		return Mapping{}, errMalformed
	}
	return w.mapping(PCP, c.gateway, a.external, time.Duration(a.lifetime)*time.Second), nil
}

// mapPort maps a port, or renews it.
func (c *control) mapPort(ctx context.Context, w wanted) (m Mapping, err error) {
	var answered error
	if c.pcp {
		err = c.exchange(ctx, [][]byte{c.request(w).encode()}, func(b []byte) (time.Time, bool) {
			a, err := decodeMap(b)
			if err != nil || !c.mine(a, w) {
				return time.Time{}, false
			}
			if a.result != resultOK {
				answered = &RefusedError{PCP, int(a.result)}
			} else {
				m, answered = c.fromPCP(a, w)
			}
			return time.Time{}, true
		})
		return m, errors.Join(err, answered)
	}
	request := portRequest{protocol: w.protocol, internal: w.port, external: w.external.Port(), lifetime: uint32(lifetime / time.Second)}
	err = c.exchange(ctx, [][]byte{request.encode()}, func(b []byte) (time.Time, bool) {
		a, err := decodePort(b)
		if err != nil || a.protocol != w.protocol || a.internal != w.port {
			return time.Time{}, false
		}
		switch {
		case a.result != resultOK:
			answered = &RefusedError{NATPMP, int(a.result)}
		case a.external == 0 || a.lifetime == 0 || !plausible(c.address):
			answered = errMalformed
		default:
			c.epoch.note(a.epoch, time.Now())
			m = w.mapping(NATPMP, c.gateway, netip.AddrPortFrom(c.address, a.external), time.Duration(a.lifetime)*time.Second)
		}
		return time.Time{}, true
	})
	return m, errors.Join(err, answered)
}

// unmap deletes a mapping.
func (c *control) unmap(ctx context.Context, m Mapping) {
	w := wanted{protocol: m.number(), port: m.Internal.Port()}
	if c.pcp {
		request := c.request(w)
		request.lifetime = 0
		_ = c.exchange(ctx, [][]byte{request.encode()}, func(b []byte) (time.Time, bool) {
			a, err := decodeMap(b)
			return time.Time{}, err == nil && c.mine(a, w)
		})
		return
	}
	request := portRequest{protocol: w.protocol, internal: w.port} // RFC 6886 §3.4: external port and lifetime 0
	_ = c.exchange(ctx, [][]byte{request.encode()}, func(b []byte) (time.Time, bool) {
		a, err := decodePort(b)
		return time.Time{}, err == nil && a.protocol == w.protocol && a.internal == w.port
	})
}

// changed asks whether the router has lost its mappings, or has another external address. No answer is no change.
func (c *control) changed(ctx context.Context) (lost bool) {
	packet := encodeAddressRequest()
	if c.pcp {
		packet = encodeAnnounce(c.gateway.Local)
	}
	_ = c.exchange(ctx, [][]byte{packet}, func(b []byte) (time.Time, bool) {
		if c.pcp {
			number, err := decodeAnnounce(b)
			if err == nil {
				lost = c.epoch.note(number, time.Now())
			}
			return time.Time{}, isAnnounce(b)
		}
		a, err := decodeAddress(b)
		if err != nil || a.result != resultOK {
			return time.Time{}, err == nil
		}
		lost = c.epoch.note(a.epoch, time.Now()) || a.address != c.address
		c.address = a.address
		return time.Time{}, true
	})
	return lost
}

// epoch is a router's clock, which begins anew when it loses its mappings (RFC 6887 §8.5).
type epoch struct {
	number uint32
	at     time.Time
}

// note says whether the clock has begun anew since the last answer.
func (e *epoch) note(number uint32, now time.Time) (lost bool) {
	if !e.at.IsZero() {
		client, server := int64(now.Sub(e.at)/time.Second), int64(number)-int64(e.number)
		lost = server < -1 || client+2 < server-server/16 || server+2 < client-client/16
	}
	e.number, e.at = number, now
	return lost
}

// plausible says whether an external address can be one at all.
func plausible(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !reserved.Contains(a) && !thisNetwork.Contains(a)
}
