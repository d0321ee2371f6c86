package main

import (
	"errors"
	"flag"
	"net/http"
	"net/url"

	"github.com/huisclos/huisclos/meet"
)

// networkOptions are the flags about the ways to others.
type networkOptions struct {
	relays []meet.Relay
	proxy  *url.URL
}

func (o *networkOptions) define(set *flag.FlagSet) {
	set.Func("relay", "", func(s string) error {
		r, err := meet.ParseRelay(s)
		o.relays = append(o.relays, r)
		return err
	})
	set.Func("proxy", "", func(s string) (err error) {
		if o.proxy, err = url.Parse(s); err == nil && o.proxy.Host == "" {
			err = errors.New("a proxy is like http://192.0.2.1:3128")
		}
		return err
	})
}

// apply says them to a meeting's configuration.
func (o *networkOptions) apply(c *meet.Config) {
	c.Relays = o.relays
	if o.proxy != nil {
		c.Proxy = http.ProxyURL(o.proxy)
	}
}
