package transport_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/portmap"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestMapPorts: a host behind its own router asks it, says where it is reached then, and is reached; its media link too.
func TestMapPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := transporttest.NewWorld(transporttest.Options{Latency: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close() }()
		place := func(name string, o transporttest.HostOptions) *transporttest.Host {
			h, err := w.Host(name, o)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		keys := sortedKeys(3)
		told := make(chan struct{}, 10)
		a := newNode(t, "inside", transport.Config{Key: keys[0], MapPorts: true, OnAddresses: func() { told <- struct{}{} },
			Network: place("inside", transporttest.HostOptions{NAT: transporttest.FullCone, Router: true})})
		defer a.close()
		b := newNode(t, "outside", transport.Config{Key: keys[1], Network: place("outside", transporttest.HostOptions{NAT: transporttest.PortRestricted})})
		defer b.close()
		<-told
		r := a.Mapped(t.Context())
		if r.Outcome != portmap.Mapped || r.Err != nil || len(r.Mappings) != 1 || r.Mappings[0].Protocol != portmap.NATPMP {
			t.Fatalf("%+v", r)
		}
		addrs := a.Addresses()
		if len(addrs) != 2 || addrs[0].String() != fmt.Sprintf("/ip4/5.0.0.1/udp/%d/quic-v1", r.Mappings[0].External.Port()) {
			t.Fatalf("reached at %v", addrs)
		}
		a.Allow(b.Key())
		b.Allow(a.Key())
		if err := b.Connect(t.Context(), a.Key(), addrs); err != nil {
			t.Fatal(err)
		}
		a.waitUp(b)
		offer, err := a.MediaOffer(b.Key())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(transport.Candidates(offer), r.Mappings[0].External) {
			t.Error("the offer doesn't name the mapped address")
		}
		// Another that wasn't told to asks nobody, and says so.
		c := newNode(t, "quiet", transport.Config{Key: keys[2], Network: place("quiet", transporttest.HostOptions{NAT: transporttest.FullCone, Router: true})})
		defer c.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := c.Mapped(ctx); r.Outcome != portmap.NotAsked || ctx.Err() != nil {
			t.Errorf("%+v", r)
		}
		c.MapPorts()
		if r := c.Mapped(ctx); r.Outcome != portmap.Mapped {
			t.Errorf("%+v", r)
		}
		c.MapPorts() // does nothing
	})
}
