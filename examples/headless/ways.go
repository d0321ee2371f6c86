package main

import (
	"flag"
	"os"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/rendezvous/dht"
	"github.com/huisclos/huisclos/meet/rendezvous/lan"
)

// ways is where packets may go, and where the meeting is looked for, as the user said.
type ways struct {
	lanOnly     bool
	mdns        bool
	hide        bool
	relays      []string // files
	nodes       []string // of a DHT
	prefix      string
	noAddresses bool
}

const waysUsage = `  --relay FILE       a file with a relay's text (huisclos-relay:…), as its operator hands it out; repeat for more
  --lan-only         no packet leaves the local network
  --hide-address     members don't learn your address: everything goes through your relays
  --mdns             be found, and look for the meeting, on the local network, blinded
  --dht-bootstrap N  be found, and look, in a DHT with this first node (a multiaddr; repeat for more), or in the public
                     libp2p network: N is then the word public
  --dht-prefix P     that DHT's protocol prefix (default /huisclos)
  --no-addresses     create: your addresses aren't in the links, so you have to be found
`

func (w *ways) define(set *flag.FlagSet, create bool) {
	set.Func("relay", "", func(s string) error { w.relays = append(w.relays, s); return nil })
	set.BoolVar(&w.lanOnly, "lan-only", false, "")
	set.BoolVar(&w.hide, "hide-address", false, "")
	set.BoolVar(&w.mdns, "mdns", false, "")
	set.Func("dht-bootstrap", "", func(s string) error { w.nodes = append(w.nodes, s); return nil })
	set.StringVar(&w.prefix, "dht-prefix", "/huisclos", "")
	if create {
		set.BoolVar(&w.noAddresses, "no-addresses", false, "")
	}
}

// any says whether the user said anything about it: then all interfaces are listened on.
func (w *ways) any() bool {
	return w.lanOnly || w.mdns || w.hide || len(w.relays) > 0 || len(w.nodes) > 0
}

// apply puts it into a configuration. The errors are *inputError.
func (w *ways) apply(c *meet.Config) error {
	c.LANOnly, c.RelayOnly = w.lanOnly, w.hide
	for _, file := range w.relays {
		text, err := os.ReadFile(file)
		if err != nil {
			return badInput("--relay: %w", err)
		}
		r, err := meet.ParseRelay(string(text))
		if err != nil {
			return badInput("--relay: %w", err)
		}
		c.Relays = append(c.Relays, r)
	}
	if w.mdns {
		c.Rendezvous = append(c.Rendezvous, lan.New())
	}
	if len(w.nodes) > 0 {
		o := dht.Options{Bootstrap: w.nodes, Prefix: w.prefix}
		if len(w.nodes) == 1 && w.nodes[0] == "public" {
			o = dht.Options{Bootstrap: dht.PublicNodes(), Prefix: dht.PublicPrefix}
		}
		r, err := dht.New(o)
		if err != nil {
			return badInput("--dht-bootstrap: %w", err)
		}
		c.Rendezvous = append(c.Rendezvous, r)
	}
	return nil
}
