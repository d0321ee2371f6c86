package main

import (
	"net/netip"
	"strings"
	"testing"
)

// TestContradictions: where what is said and what was captured differ, the audit says so, whoever lies; where they agree
// it says nothing.
func TestContradictions(t *testing.T) {
	s := subject{name: "Ada", addresses: []netip.Addr{netip.MustParseAddr("5.1.0.1")}, needles: map[string][]needle{"chat": forms("chat", []byte(auditChat))}}
	sealed := kept{data: ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, []byte{128, 1, 2, 3})}
	clear := kept{data: ip4("5.1.0.1:1", "5.2.0.1:2", protoUDP, append([]byte{128}, auditChat...))}
	other := kept{data: ip4("5.3.0.1:1", "5.2.0.1:2", protoUDP, []byte{128, 1, 2, 3})}
	for name, tt := range map[string]struct {
		packets       []kept
		address, chat string
		want          []string
	}{
		"honest":                     {[]kept{sealed}, "yes", "no", nil},
		"hidden, and is":             {[]kept{other}, "no", "no", nil},
		"the wire shows the chat":    {[]kept{clear}, "yes", "no", []string{"chat"}},
		"the address is denied":      {[]kept{sealed}, "no", "no", []string{"address"}},
		"the address isn't there":    {[]kept{other}, "yes", "no", []string{"address"}},
		"both":                       {[]kept{clear}, "no", "no", []string{"address", "chat"}},
		"what is guessed at is free": {[]kept{sealed}, "pattern", "no", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := exposedTo{Observations: []observed{{"address", tt.address, "packet"}, {"chat", tt.chat, "sealed"}}}
			said := p.contradictions(s.name, wire(tt.packets).of(s), wire(nil).clear())
			if len(said) != len(tt.want) {
				t.Fatalf("%v", said)
			}
			for i, datum := range tt.want {
				if !strings.Contains(said[i].text, "its "+datum+" ") {
					t.Errorf("%q, want %s", said[i].text, datum)
				}
			}
		})
	}
	honest := exposedTo{Observations: []observed{{"address", "yes", "packet"}, {"chat", "no", "sealed"}}}
	if n := len(honest.liars(wire{sealed}.of(s), wire(nil).clear())); n != 1 {
		t.Errorf("%d statements can be turned round, want 1", n)
	}
}
