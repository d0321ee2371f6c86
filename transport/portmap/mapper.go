package portmap

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// client speaks one protocol to one gateway.
type client interface {
	protocol() Protocol
	mapPort(ctx context.Context, w wanted) (Mapping, error)
	unmap(ctx context.Context, m Mapping)
	changed(ctx context.Context) bool
}

// gatewayEvery is how often the machine's own routing table is looked at.
const gatewayEvery = 15 * time.Second

// run asks the gateways there are, and anew where there are others.
func (m *Mapper) run() {
	for first := true; m.ctx.Err() == nil; first = false {
		ctx, cancel := context.WithCancel(m.ctx)
		gateways := m.config.Network.Gateways()
		var asked, all sync.WaitGroup
		var sites []*site
		for _, p := range m.config.Listen {
			for _, g := range gateways {
				if !p.serves(g) || !g.worthAsking() {
					continue
				}
				s := &site{gateway: g, nonces: newNonces(), renew: make(chan struct{}, 1)}
				sites = append(sites, s)
				asked.Add(1)
				all.Go(func() { m.serve(ctx, s, p, sync.OnceFunc(asked.Done)) })
			}
		}
		m.mu.Lock()
		m.sites = sites
		m.mu.Unlock()
		if first {
			all.Go(func() {
				asked.Wait()
				m.learned()
				m.tell()
			})
		} else {
			m.tell()
		}
		m.awaitGateways(gateways, sites)
		cancel()
		all.Wait()
	}
}

// awaitGateways returns when there are others. Refresh has it look at once, and the mappings renewed.
func (m *Mapper) awaitGateways(now []Gateway, sites []*site) {
	look := time.NewTicker(gatewayEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-m.refresh:
			for _, s := range sites {
				select {
				case s.renew <- struct{}{}:
				default:
				}
			}
		case <-m.ctx.Done():
			return
		}
		if !slices.Equal(m.config.Network.Gateways(), now) {
			return
		}
	}
}

// serves says whether sockets bound to p are reached through g.
func (p Ports) serves(g Gateway) bool {
	return p.Local.Is4() == g.Local.Is4() && (p.Local.IsUnspecified() || p.Local == g.Local)
}

func (m *Mapper) tell() {
	if m.config.Changed != nil && m.ctx.Err() == nil {
		m.config.Changed()
	}
}

func (m *Mapper) set(s *site, o Outcome, mappings []Mapping, err error) {
	m.mu.Lock()
	changed := s.outcome != o || !slices.EqualFunc(s.mappings, mappings, func(a, b Mapping) bool {
		return a.External == b.External && a.Network == b.Network && a.Protocol == b.Protocol
	})
	s.outcome, s.mappings, s.err = o, mappings, err
	m.mu.Unlock()
	select {
	case <-m.known:
		if changed {
			m.tell()
		}
	default: // told when all are known
	}
}

// serve keeps the ports mapped at one gateway until ctx is done.
func (m *Mapper) serve(ctx context.Context, s *site, p Ports, asked func()) {
	defer asked()
	var c client
	var held []Mapping
	defer func() { m.release(c, held) }()
	pause := lifetime / 2
	for ctx.Err() == nil {
		var err error
		had := c != nil
		if c == nil {
			c, held, err = m.establish(ctx, s, p)
		} else {
			held, err = renew(ctx, c, p, held)
		}
		if ctx.Err() != nil {
			return
		}
		m.set(s, outcomeOf(held, err), held, err)
		asked()
		switch {
		case len(held) > 0:
		case had: // it may be starting anew
			c, pause = nil, againSoon
		default:
			c, pause = nil, min(2*pause, lifetime/2)
		}
		if !s.wait(ctx, c, held, pause) {
			return
		}
	}
}

// release deletes what is held (MAP-3).
func (m *Mapper) release(c client, held []Mapping) {
	if c == nil || len(held) == 0 || m.config.unsafe.keepOpen {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, h := range held {
		c.unmap(ctx, h)
	}
}

func outcomeOf(held []Mapping, err error) Outcome {
	var refused *RefusedError
	switch {
	case slices.ContainsFunc(held, Mapping.Public):
		return Mapped
	case len(held) > 0:
		return DoubleNAT
	case errors.As(err, &refused):
		return Refused
	}
	return NoAnswer
}

// againSoon is how long a router that stopped answering is left alone at first, and then up to lifetime/2.
const againSoon = 15 * time.Second

// wait waits until the mappings are to be renewed: at half their life, or when the router began anew. Where there are
// none, for the pause.
func (s *site) wait(ctx context.Context, c client, held []Mapping, pause time.Duration) bool {
	if len(held) > 0 {
		pause = lifetime / 2
	}
	for _, h := range held {
		if !h.Expires.IsZero() {
			pause = min(pause, time.Until(h.Expires)/2)
		}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-s.renew:
			return true
		case <-watch.C:
			if c != nil && c.changed(ctx) {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// establish finds a protocol that the router speaks and maps the ports. The protocols never hold mappings of the same
// port side by side: a router may keep one list for all of them.
func (m *Mapper) establish(ctx context.Context, s *site, p Ports) (client, []Mapping, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	w := p.wanted(nil)
	if len(w) == 0 {
		return nil, nil, ErrNoRouter
	}
	ctrl := &control{network: m.config.Network, gateway: s.gateway, nonces: s.nonces, unsafe: m.config.unsafe}
	first, err := m.choose(ctx, ctrl, s.gateway, w[0])
	var c client = ctrl
	if u := first.upnp; u != nil {
		c = u
		first.mapping, err = u.mapPort(ctx, w[0])
	}
	if err != nil {
		return nil, nil, err
	}
	held := []Mapping{first.mapping}
	for _, more := range w[1:] {
		more.external = netip.AddrPortFrom(netip.Addr{}, first.mapping.External.Port())
		if mapped, err := c.mapPort(ctx, more); err == nil {
			held = append(held, mapped) // TCP is the second best: if it can't be had, UDP alone will do
		}
	}
	return c, held, nil
}

// chosen is a first mapping, by PCP or NAT-PMP, or a UPnP device.
type chosen struct {
	mapping Mapping
	upnp    *upnp
}

// choose has PCP and NAT-PMP tried, and, a moment later or when they fail, a UPnP device looked for. The first counts.
func (m *Mapper) choose(ctx context.Context, c *control, g Gateway, w wanted) (chosen, error) {
	type result struct {
		mapping Mapping
		err     error
	}
	attempt, stop := context.WithCancel(ctx)
	defer stop()
	mapped := make(chan result, 1)
	go func() {
		mapping, err := c.first(attempt, w)
		mapped <- result{mapping, err}
	}()
	var early *result
	select {
	case r := <-mapped:
		if r.err == nil || g.Local.Is6() {
			return chosen{mapping: r.mapping}, r.err
		}
		early = &r
	case <-time.After(upnpDelay):
	}
	if g.Local.Is6() { // UPnP is for IPv4
		r := <-mapped
		return chosen{mapping: r.mapping}, r.err
	}
	u := &upnp{network: m.config.Network, gateway: g, trusted: g.Address, unsafe: m.config.unsafe, permanent: m.config.unsafe.permanent}
	if m.config.unsafe.anyURL {
		u.trusted = netip.Addr{}
	}
	found := make(chan error, 1)
	search, giveUp := context.WithCancel(ctx)
	defer giveUp()
	go func() { found <- u.discover(search) }()
	if early == nil {
		select {
		case r := <-mapped:
			if r.err == nil {
				giveUp()
				<-found
				return chosen{mapping: r.mapping}, nil
			}
			early = &r
		case err := <-found:
			found <- err
			if err == nil {
				stop()
			}
			r := <-mapped
			if r.err == nil { // just in time
				return chosen{mapping: r.mapping}, nil
			}
			early = &r
		}
	}
	if err := <-found; err != nil {
		return chosen{}, worse(early.err, err)
	}
	return chosen{upnp: u}, nil
}

// worse is the error that tells more: a refusal.
func worse(a, b error) error {
	var refused *RefusedError
	if errors.As(a, &refused) || !errors.As(b, &refused) && errors.Is(b, ErrNoAnswer) {
		return a
	}
	return b
}

// renew asks for the same again. What can't be renewed is over.
func renew(ctx context.Context, c client, p Ports, held []Mapping) (now []Mapping, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	for i, w := range p.wanted(held) {
		mapping, failed := c.mapPort(ctx, w)
		switch {
		case failed == nil:
			now = append(now, mapping)
		case i == 0:
			return nil, failed
		}
	}
	return now, nil
}

// wanted are the ports to map, UDP first, where they were mapped before if they were.
func (p Ports) wanted(held []Mapping) (all []wanted) {
	for _, w := range []wanted{{protocol: protocolUDP, port: p.UDP}, {protocol: protocolTCP, port: p.TCP}} {
		if w.port == 0 {
			continue
		}
		w.external = netip.AddrPortFrom(netip.Addr{}, w.port)
		for _, h := range held {
			if h.number() == w.protocol {
				w.external = h.External
			}
		}
		all = append(all, w)
	}
	return all
}
