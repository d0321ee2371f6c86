package transport

import (
	"context"
	"net/netip"
	"slices"

	"github.com/huisclos/huisclos/transport/portmap"
	ma "github.com/multiformats/go-multiaddr"
)

// Router is what became of asking the user's own router to let peers in.
type Router struct {
	// Outcome says it in a word; portmap.NotAsked while it isn't known.
	Outcome portmap.Outcome
	// Mappings are the ports mapped, UDP first.
	Mappings []portmap.Mapping
	// Err is why the outcome isn't portmap.Mapped, if that is known.
	Err error
}

// RouterAsked tells whether the user's router was asked, whatever it answered.
func (h *Host) RouterAsked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mapper != nil
}

// MapPorts has the user's own router let this host's port in, and keeps it so until Close, as Config.MapPorts does from
// the start. It asks the default gateway and nobody else, and returns at once; Mapped waits. It does nothing the second
// time, nor where the network has no router to ask (simulated ones without).
func (h *Host) MapPorts() {
	network, ok := h.config.Network.(portmap.Network)
	if !ok || h.config.LANOnly || h.hidden() { // a port that is open to everywhere would be of no use (MOD-2, MOD-3)
		return
	}
	ports := h.libp2p.ports()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.mapper != nil || len(ports) == 0 {
		return
	}
	h.mapper = portmap.New(portmap.Config{Network: network, Listen: ports, Changed: func() {
		if f := h.config.OnAddresses; f != nil {
			f()
		}
	}})
}

// Mapped returns what became of asking the router, and waits for that until ctx is done: 2 s is enough for all but very
// slow routers, and an answer that comes later still counts.
func (h *Host) Mapped(ctx context.Context) Router {
	mapper := h.router()
	if mapper == nil {
		return Router{}
	}
	select {
	case <-mapper.Known():
	case <-ctx.Done():
	}
	r := Router{Mappings: mapper.Mappings()}
	r.Outcome, r.Err = mapper.Outcome()
	return r
}

func (h *Host) router() *portmap.Mapper {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mapper
}

// mapped lists the external addresses that the internet reaches, for a network.
func (h *Host) mapped(network string) (all []netip.AddrPort) {
	mapper := h.router()
	if mapper == nil {
		return nil
	}
	for _, m := range mapper.Mappings() {
		if m.Network == network && m.Public() && h.filter.allow(m.External.Addr()) {
			all = append(all, m.External)
		}
	}
	return all
}

// ports are those to be mapped: of each family the UDP socket's, and TCP's.
func (l *libp2pHost) ports() (all []portmap.Ports) {
	for _, a := range l.swarm.ListenAddresses() {
		bound, ok := addrPortOf(a)
		if !ok || bound.Addr().IsLoopback() {
			continue
		}
		i := slices.IndexFunc(all, func(p portmap.Ports) bool { return p.Local.Is4() == bound.Addr().Is4() })
		if i < 0 {
			i, all = len(all), append(all, portmap.Ports{Local: bound.Addr()})
		}
		if a[1].Code() == ma.P_UDP {
			all[i].UDP = bound.Port()
		} else {
			all[i].TCP = bound.Port()
		}
	}
	return all
}
