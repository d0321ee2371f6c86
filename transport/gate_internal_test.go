package transport

import (
	"net/netip"
	"testing"
)

// TestOfficeArrives has many members of one office come together, and one address that never stops.
func TestOfficeArrives(t *testing.T) {
	for _, address := range []string{"5.1.0.1", "2a05:1::1"} {
		rates, allowed := connectionRates(), 0
		for range 10_000 {
			if rates.Allow(netip.MustParseAddr(address)) {
				allowed++
			}
		}
		if allowed < 100 || allowed > 1_000 {
			t.Errorf("%s began %d connections at once", address, allowed)
		}
	}
}
