//go:build lab

package main

import (
	"os"
	"testing"
)

// needRoot fails rather than skips: who asks for the laboratory by its build tag means it.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the laboratory needs root, for network namespaces")
	}
}

// TestNatures checks that each emulated NAT is what it claims, by probes of our own.
func TestNatures(t *testing.T) {
	needRoot(t)
	restricted := nature{out: true, sameMapping: true, addressFiltering: true, portFiltering: true}
	for k, want := range map[kind]nature{
		kindPublic:     {out: true, sameMapping: true},
		kindFullCone:   {out: true, sameMapping: true},
		kindRestricted: restricted,
		kindDouble:     restricted,
		kindMapped:     restricted,
		kindIPv6:       restricted,
		kindSymmetric:  {out: true, addressFiltering: true, portFiltering: true},
		kindNoUDP:      {},
		kindOnly443:    {},
		kindProxy:      {},
	} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			w, err := newWorld(t.TempDir(), false, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			s, err := w.site(k, "a", 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			var helpers []*host
			for i, name := range []string{"first", "second"} {
				p, err := w.public(name, 2+i)
				if err != nil {
					t.Fatal(err)
				}
				h := p.hosts[0]
				if k == kindIPv6 {
					h.own[0], h.own[1] = h.own[1], h.own[0]
				}
				helpers = append(helpers, h)
			}
			got, err := probe(s.hosts[0], helpers[0], helpers[1])
			if err != nil || got != want {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
			if strays := w.wan.strayPackets(); len(strays) > 0 {
				t.Errorf("packets to nowhere: %v", strays)
			}
		})
	}
}
