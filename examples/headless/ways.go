package main

import (
	"errors"
	"flag"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/rendezvous/dht"
	"github.com/huisclos/huisclos/meet/rendezvous/lan"
)

// ways is where packets may go, and where the meeting is looked for, as the user said.
type ways struct {
	lanOnly     bool
	mdns        bool
	hide        bool
	relays      []string // files or texts
	proxy       *url.URL
	nodes       []string // of a DHT
	prefix      string
	noAddresses bool
}

const waysUsage = `  --relay FILE       a relay that you may use: a file with its text, as its operator hands it out, or that text
                     (huisclos-relay:…), which ps shows to others on this machine; repeat for more
  --proxy URL        the proxy through which relays are reached, such as http://192.0.2.1:3128
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
	set.Func("proxy", "", func(s string) (err error) {
		if w.proxy, err = url.Parse(s); err != nil || w.proxy.Host == "" || w.proxy.Scheme != "http" && w.proxy.Scheme != "socks5" {
			err = errors.New("a proxy is like http://192.0.2.1:3128 or socks5://192.0.2.1:1080")
		}
		return err
	})
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
	switch {
	case w.lanOnly && w.proxy != nil:
		return badInput("--lan-only keeps all packets on the local network, --proxy has them leave it: take one of the two away")
	case w.lanOnly && c.AskRouter:
		return badInput("--lan-only keeps all packets on the local network, --router lets others in from outside: take one of the two away")
	case w.hide && c.AskRouter:
		return badInput("--hide-address lets nobody but your relays reach this computer, --router lets others: take one of the two away")
	case w.hide && w.mdns:
		return badInput("--hide-address hides where this computer is, --mdns shows it on the local network: take one of the two away")
	case w.hide && len(w.nodes) > 0:
		return badInput("--hide-address hides where this computer is, --dht-bootstrap shows it to the DHT's nodes: take one of the two away")
	case w.hide && len(w.relays) == 0:
		return badInput("--hide-address has everything go through your relays: name one with --relay")
	case w.lanOnly && len(w.nodes) > 0:
		return badInput("--lan-only keeps all packets on the local network, --dht-bootstrap has them leave it: take one of the two away")
	}
	c.LANOnly, c.RelayOnly = w.lanOnly, w.hide
	if w.proxy != nil {
		c.Proxy = http.ProxyURL(w.proxy)
	}
	for _, text := range w.relays {
		if !strings.HasPrefix(text, "huisclos-relay:") {
			raw, err := os.ReadFile(text)
			if err != nil {
				return badInput("--relay: %w", err)
			}
			text = string(raw)
		}
		r, err := meet.ParseRelay(text)
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
