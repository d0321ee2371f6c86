package main

import (
	"testing"

	"github.com/huisclos/huisclos/meet"
)

// TestRouterNames: the page has a text for every answer of the router.
func TestRouterNames(t *testing.T) {
	for r, want := range map[meet.Router]string{
		meet.RouterNotAsked: "not-asked", meet.RouterNone: "none", meet.RouterSilent: "none", meet.RouterRefused: "refused",
		meet.RouterDoubleNAT: "double-nat", meet.RouterMapped: "mapped",
	} {
		if got := routerName(r); got != want {
			t.Errorf("%v: %s", r, got)
		}
	}
}
