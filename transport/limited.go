package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	identify "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
)

// A limited relay is a node of a DHT that the user chose, which passes on some bytes for anybody, for some minutes. A host
// that can't be reached reserves at two of them, so that whoever finds it can have the NATs on the way opened (punch.go):
//
//	host that can't be reached ══ limited relay ══ who found it     in Noise: where the relay sees each, and now
//	        └─────────────────── QUIC ─────────────────┘            everything else
//
// It sees both addresses and meeting keys, and when, and nothing else: a circuit through it never becomes a connection, so
// there is nothing that could run over one (TRA-26).

const (
	// MaxLimited is at how many limited relays a host reserves.
	MaxLimited = 2
	// limitedTries is how many nodes are asked in one search, and limitedTimeout how long each may take.
	limitedTries   = 16
	limitedTimeout = 5 * time.Second
	// Searches begin so far apart: twice as long each time, but once all were there for limitedSettled.
	limitedPauseMin = 10 * time.Second
	limitedPauseMax = 10 * time.Minute
	limitedSettled  = 10 * time.Minute
	// limitedWatch is how often it is looked at whether they are there; nothing is sent for it.
	limitedWatch = time.Second
	// limitedSoonest is when a reservation is renewed at the soonest, whatever it is said to last.
	limitedSoonest = time.Minute
)

var errNotSeen = errors.New("transport: the node doesn't say where it sees us")

// limitedRelay is one that is reserved at, or about to be.
type limitedRelay struct {
	id   peer.ID
	at   ma.Multiaddr
	sees netip.AddrPort // where it sees our UDP socket

	// Under Host.mu:
	reserved bool
	punches  int // under way
	rate     bucket
}

// HoldLimited keeps reservations at up to MaxLimited limited relays, of those that find returns, until ctx is done:
// find's channel is read until there are enough, then its ctx is done. What it sends are addresses over QUIC that end in
// /p2p/ and the node's ID. Nothing is sent where this host hides its address or stays in its network.
func (h *Host) HoldLimited(ctx context.Context, find func(context.Context) <-chan ma.Multiaddr) {
	if h.hidden() || h.config.LANOnly {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	for pause := limitedPauseMin; ctx.Err() == nil; pause = min(2*pause, limitedPauseMax) {
		begun := time.Now()
		h.searchLimited(ctx, find, func(r *limitedRelay, until time.Time) {
			group.Go(func() { h.keepLimited(ctx, r, until) })
		})
		for h.limitedHeld() == MaxLimited && sleepFor(ctx, limitedWatch) {
			if time.Since(begun) > limitedSettled {
				pause = limitedPauseMin
			}
		}
		sleepFor(ctx, pause)
	}
}

// sleepFor waits, and tells whether it needn't end sooner.
func sleepFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// searchLimited reserves at nodes until there are enough.
func (h *Host) searchLimited(ctx context.Context, find func(context.Context) <-chan ma.Multiaddr, keep func(*limitedRelay, time.Time)) {
	if h.limitedHeld() == MaxLimited {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := find(ctx)
	tried := 0
	for a := range found {
		if tried++; tried > limitedTries && !h.config.unsafe.anyPunch {
			return
		}
		r, until, err := h.reserveLimited(ctx, a)
		if err != nil {
			h.log.Debug("a limited relay doesn't serve", "error", err)
			continue
		}
		keep(r, until)
		if h.limitedHeld() == MaxLimited {
			return
		}
	}
}

// limitedHeld counts those that are reserved at.
func (h *Host) limitedHeld() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.limited {
		if r.reserved {
			n++
		}
	}
	return n
}

// isLimited tells whether a peer is a limited relay of ours: it brings circuits for signals alone.
func (h *Host) isLimited(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.limited[id] != nil
}

// limitedAddress takes a limited relay's address apart: an IP address that can be reached from everywhere, QUIC, and an
// Ed25519 peer ID (TRA-27).
func (h *Host) limitedAddress(a ma.Multiaddr) (peer.ID, ma.Multiaddr, bool) {
	id, at, ok := relayAddress(a)
	if !ok || id == h.libp2p.ID() || h.allowed(id) || len(at) != 3 || at[1].Code() != ma.P_UDP || !h.filter.dialable(at) {
		return "", nil, false
	}
	ap, ok := addrPortOf(at)
	return id, at, ok && h.punchable(ap)
}

// punchable tells whether an address that a NAT is said to have can be one.
func (h *Host) punchable(a netip.AddrPort) bool {
	ip := a.Addr().Unmap()
	return a.IsValid() && a.Port() != 0 && h.filter.allow(ip) && ip.IsGlobalUnicast() && !private(netip.AddrPortFrom(ip, 1))
}

// reserveLimited connects to a node, is told where it sees us, and reserves. Without error the node is held: see
// keepLimited.
func (h *Host) reserveLimited(ctx context.Context, a ma.Multiaddr) (_ *limitedRelay, until time.Time, err error) {
	id, at, ok := h.limitedAddress(a)
	if !ok || h.isRelay(id) {
		return nil, until, fmt.Errorf("%w: %v", ErrRelayAddress, a)
	}
	ctx, cancel := context.WithTimeout(ctx, limitedTimeout)
	defer cancel()
	r := &limitedRelay{id: id, at: at}
	h.mu.Lock()
	if h.limited[id] != nil || h.closed {
		h.mu.Unlock()
		return nil, until, ErrRelayAddress
	}
	h.limited[id] = r
	h.mu.Unlock()
	h.holdHop(id, 1)
	defer func() {
		if err != nil {
			h.dropLimited(r)
		}
	}()
	if r.sees, err = h.meetLimited(ctx, id, at); err != nil {
		return nil, until, err
	}
	if until, err = h.askLimited(ctx, r); err != nil {
		return nil, until, err
	}
	h.mu.Lock()
	r.reserved = true
	h.mu.Unlock()
	return r, until, nil
}

func (h *Host) dropLimited(r *limitedRelay) {
	h.mu.Lock()
	delete(h.limited, r.id)
	h.mu.Unlock()
	h.holdHop(r.id, -1)
}

// meetLimited connects to a limited relay, which may be dialled by now, and returns where that says it sees us: its word
// decides over where others send some packets, so it must be an address that can be reached from everywhere.
func (h *Host) meetLimited(ctx context.Context, id peer.ID, at ma.Multiaddr) (netip.AddrPort, error) {
	if !h.libp2p.direct(id) {
		if err := h.libp2p.dialDirect(ctx, id, []ma.Multiaddr{at}); err != nil {
			return noAddr, err
		}
	}
	s, err := h.libp2p.openStream(ctx, id, protocolIdentify)
	if err != nil {
		return noAddr, err
	}
	defer func() { _ = s.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	var said identify.Identify
	if err := util.NewDelimitedReader(io.LimitReader(s, maxIdentify), maxIdentify).ReadMsg(&said); err != nil {
		return noAddr, fmt.Errorf("%w: %w", errNotSeen, err)
	}
	a, err := ma.NewMultiaddrBytes(said.GetObservedAddr())
	if err != nil || len(a) < 2 || a[1].Code() != ma.P_UDP {
		return noAddr, errNotSeen
	}
	sees, ok := addrPortOf(a)
	if !ok || !h.punchable(sees) {
		return noAddr, errNotSeen
	}
	return sees, nil
}

// askLimited reserves, or prolongs.
func (h *Host) askLimited(ctx context.Context, r *limitedRelay) (until time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, hopTimeout)
	defer cancel()
	granted, err := client.Reserve(ctx, h.libp2p, peer.AddrInfo{ID: r.id})
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrRelayRefused, err)
	}
	key, _ := keyOfID(r.id)
	h.contacts.know(key)
	return granted.Expiration, nil
}

// keepLimited renews a reservation as long as its connection lasts (TRA-27).
func (h *Host) keepLimited(ctx context.Context, r *limitedRelay, until time.Time) {
	defer h.dropLimited(r)
	renew := time.Now().Add(h.renewLimited(time.Until(until)))
	for sleepFor(ctx, limitedWatch) && h.libp2p.direct(r.id) {
		if time.Now().Before(renew) {
			continue
		}
		until, err := h.askLimited(ctx, r)
		if err != nil {
			return
		}
		renew = time.Now().Add(h.renewLimited(time.Until(until)))
	}
}

func (h *Host) renewLimited(lasts time.Duration) time.Duration {
	if h.config.unsafe.anyPunch {
		return lasts
	}
	return max(renewAfter(lasts), limitedSoonest)
}

// PunchAddresses are those by which who finds them can have the NATs on the way to this host opened (Punch), at most
// MaxLimited.
func (h *Host) PunchAddresses() (all []ma.Multiaddr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, r := range h.limited {
		if r.reserved {
			all = append(all, punchAddress(id, r.at))
		}
	}
	slices.SortFunc(all, func(a, b ma.Multiaddr) int { return slices.Compare(a.Bytes(), b.Bytes()) })
	return all
}
