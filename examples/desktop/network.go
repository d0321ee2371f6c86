package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/rendezvous/dht"
	"github.com/huisclos/huisclos/meet/rendezvous/lan"
)

// How to connect is the person's choice, from the next meeting on. Nothing is on until they switch it on, and nobody but
// those they name is asked. A relay's text holds the right to use it: it comes in once and is neither shown again nor in
// any state, reply or export; it is in memory, and in the encrypted store if there is one.

// The modes: what comes through.
const (
	modeNormal = "normal"
	modeLAN    = "lan"    // nothing leaves the local network
	modeHidden = "hidden" // everything goes through the relays
)

// Which DHT.
const (
	dhtOff    = "off"
	dhtPublic = "public" // the public libp2p network
	dhtOwn    = "own"
)

const (
	maxNodes     = 8
	maxNode      = 256
	maxRelayText = 8 << 10
	usualPrefix  = "/huisclos"
)

// firstNetwork is what holds until the person chooses otherwise.
func firstNetwork() networkSettings {
	return networkSettings{Mode: modeNormal, DHT: dhtSettings{Use: dhtOff, Nodes: []string{}, Prefix: usualPrefix}, Relays: []relay{}}
}

func init() {
	add("network-set", on((*agent).setNetwork))
	add("relay-add", on((*agent).addRelay))
	add("relay-remove", on((*agent).removeRelay))
}

// check says whether the choices can be kept to.
func (n networkSettings) check() error {
	switch {
	case n.Mode != modeNormal && n.Mode != modeLAN && n.Mode != modeHidden,
		n.DHT.Use != dhtOff && n.DHT.Use != dhtPublic && n.DHT.Use != dhtOwn:
		return fail(badRequest)
	case n.Mode == modeHidden && len(n.Relays) == 0:
		return fail(needsRelay)
	case len(n.DHT.Nodes) > maxNodes:
		return failAbout(tooMany, maxNodes)
	case slices.ContainsFunc(n.DHT.Nodes, func(s string) bool { return len(s) > maxNode }):
		return fail(badNodes)
	}
	_, err := n.DHT.rendezvous()
	return err
}

// rendezvous is the DHT that was chosen, nil for none. No packet is sent before it is used.
func (d dhtSettings) rendezvous() (meet.Rendezvous, error) {
	var o dht.Options
	switch d.Use {
	case dhtPublic:
		o = dht.Options{Bootstrap: dht.PublicNodes(), Prefix: dht.PublicPrefix}
	case dhtOwn:
		o = dht.Options{Bootstrap: d.Nodes, Prefix: d.Prefix}
	default:
		return nil, nil
	}
	r, err := dht.New(o)
	if err != nil {
		return nil, fail(badNodes)
	}
	return r, nil
}

// ways are what a meeting begun with these choices uses to be found. Who hides isn't found but by the relays, and the
// local network alone has no DHT: those choices rest meanwhile.
func (n networkSettings) ways() (names []string) {
	names = []string{}
	if n.FindOnLAN && n.Mode != modeHidden {
		names = append(names, "local-network")
	}
	if (n.DHT.Use == dhtPublic || n.DHT.Use == dhtOwn) && n.Mode == modeNormal {
		names = append(names, "dht-"+n.DHT.Use)
	}
	return names
}

// apply has a meeting keep to the choices. agent.mu is held.
func (a *agent) apply(c *meet.Config) error {
	n := a.state.Network
	c.LANOnly, c.RelayOnly, c.Relays = n.Mode == modeLAN, n.Mode == modeHidden, slices.Clone(a.relays)
	if c.RelayOnly && len(c.Relays) == 0 {
		return fail(needsRelay)
	}
	if len(c.Relays) > 0 {
		c.Proxy = a.options.proxy
	}
	for _, name := range n.ways() {
		var r meet.Rendezvous = lan.New()
		if name != "local-network" {
			var err error
			if r, err = n.DHT.rendezvous(); err != nil {
				return err
			}
		}
		c.Rendezvous = append(c.Rendezvous, r)
	}
	return nil
}

func (a *agent) setNetwork(_ context.Context, r networkSet) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := networkSettings{Mode: r.Mode, FindOnLAN: r.FindOnLAN, DHT: r.DHT, Relays: a.state.Network.Relays}
	n.DHT.Nodes = append([]string{}, n.DHT.Nodes...)
	if n.DHT.Prefix == "" {
		n.DHT.Prefix = usualPrefix
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	a.state.Network = n
	a.networkChosen()
	return nil, nil
}

// addRelay takes what a relay's operator hands out. The same relay again replaces the one before.
func (a *agent) addRelay(_ context.Context, r relayAdd) (any, error) {
	if len(r.Text) > maxRelayText {
		return nil, fail(badRelay)
	}
	added, err := meet.ParseRelay(r.Text)
	if err != nil {
		return nil, fail(badRelay)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.takeRelay(added); err != nil {
		return nil, err
	}
	a.networkChosen()
	return nil, nil
}

// takeRelay adds a relay to those there are. agent.mu is held.
func (a *agent) takeRelay(added meet.Relay) error {
	same := func(o meet.Relay) bool { return o.Fingerprint() == added.Fingerprint() }
	if i := slices.IndexFunc(a.relays, same); i >= 0 {
		a.relays[i] = added
		return nil
	}
	if len(a.relays) >= meet.MaxRelays {
		return failAbout(tooMany, meet.MaxRelays)
	}
	a.relays = append(a.relays, added)
	return nil
}

func (a *agent) removeRelay(_ context.Context, r relayRemove) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(a.relays), func(o meet.Relay) bool { return o.Fingerprint() == r.Relay })
	if len(rest) == 0 && a.state.Network.Mode == modeHidden {
		return nil, fail(needsRelay) // rather than a meeting that shows what the person thinks is hidden
	}
	a.relays = rest
	a.networkChosen()
	return nil, nil
}

// networkChosen shows and remembers what the person chose. agent.mu is held.
func (a *agent) networkChosen() {
	a.chosen = true
	a.showNetwork()
	a.remember()
}

// showNetwork shows the relays there are, without what lets one use them. agent.mu is held.
func (a *agent) showNetwork() {
	shown := []relay{}
	for _, r := range a.relays {
		shown = append(shown, relay{ID: r.Fingerprint(), Addresses: r.Addresses()})
	}
	a.state.Network.Relays, a.state.Network.Proxy = shown, a.relayProxy()
	a.changed("network")
}

// proxyFunc names the proxy for a request, nil for none.
type proxyFunc = func(*http.Request) (*url.URL, error)

// relayProxy is the proxy by which relays are reached, as host and port; empty for none. agent.mu is held.
func (a *agent) relayProxy() string {
	if a.state.Network.Mode == modeLAN { // which uses none
		return ""
	}
	for _, r := range a.relays {
		for _, at := range r.Addresses() {
			by, err := a.options.proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: at}})
			if err == nil && by != nil {
				return by.Host
			}
		}
	}
	return ""
}

// keptNetwork is what the store holds of it.
type keptNetwork struct {
	Mode      string      `json:"mode"`
	FindOnLAN bool        `json:"findOnLAN"`
	DHT       dhtSettings `json:"dht"`
	Relays    []string    `json:"relays"` // with what lets one use them
}

// networkToKeep is for the encrypted store alone. agent.mu is held.
func (a *agent) networkToKeep() json.RawMessage {
	n := a.state.Network
	k := keptNetwork{Mode: n.Mode, FindOnLAN: n.FindOnLAN, DHT: n.DHT}
	for _, r := range a.relays {
		k.Relays = append(k.Relays, r.String())
	}
	return encode(k)
}

// networkOpened takes what a store held. What the person chose since the program began stays, with the store's relays
// beside it. agent.mu is held.
func (a *agent) networkOpened(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	var k keptNetwork
	if json.Unmarshal(raw, &k) != nil {
		return fail(storeDamaged)
	}
	for _, text := range k.Relays {
		r, err := meet.ParseRelay(text)
		if err != nil {
			return fail(storeDamaged)
		}
		if known := slices.ContainsFunc(a.relays, func(o meet.Relay) bool { return o.Fingerprint() == r.Fingerprint() }); !known {
			_ = a.takeRelay(r) // no more than there is room for
		}
	}
	if !a.chosen {
		n := networkSettings{Mode: k.Mode, FindOnLAN: k.FindOnLAN, DHT: k.DHT}
		n.DHT.Nodes = append([]string{}, n.DHT.Nodes...)
		a.state.Network = n
	}
	a.showNetwork()
	var wrong *codeError
	if errors.As(a.state.Network.check(), &wrong) && wrong.Code != needsRelay { // that is refused when a meeting begins
		return fail(storeDamaged)
	}
	return nil
}

// forgetNetwork forgets the relays with the store that is erased. Hiding goes on being wanted: then the next meeting is
// refused until a relay is named.
func (a *agent) forgetNetwork() {
	a.relays, a.chosen = nil, a.state.Network.Mode != modeNormal
	n := firstNetwork()
	n.Mode = a.state.Network.Mode
	a.state.Network = n
	a.showNetwork()
}
