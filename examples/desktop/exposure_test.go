package main

import (
	"net/netip"
	"testing"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// TestExposureOfSettings: before a meeting, the page says who would see what by the network settings.
func TestExposureOfSettings(t *testing.T) {
	s := firstState(options{})
	who := func(datum string) (parties string) {
		for _, r := range exposureOf(&s).Rows {
			if r.Datum == datum {
				for _, p := range r.Seen {
					parties += p.Party + ":" + p.How + " "
				}
			}
		}
		return parties
	}
	relays := []relay{{ID: "x", Addresses: []string{"relais.example:443"}}}
	for _, tt := range []struct {
		n           networkSettings
		datum, want string
	}{
		{firstNetwork(), "ip", "self:clear members:clear carrier:clear access-provider:clear "},
		{networkSettings{Mode: modeHidden, Relays: relays, FindOnLAN: true}, "ip", "self:clear access-provider:clear relay:clear "},
		{networkSettings{Mode: modeNormal, Relays: relays}, "ip", "self:clear members:clear carrier:clear access-provider:clear relay:clear "},
		{networkSettings{Mode: modeNormal, Relays: relays, Proxy: "proxy.example:3128"}, "times", "self:clear members:clear access-provider:sizes-and-times relay:clear proxy:clear beyond:clear "},
		{networkSettings{Mode: modeHidden, Relays: relays, Proxy: "proxy.example:3128"}, "chat", "self:clear members:clear browser:clear same-user:possible access-provider:encrypted relay:encrypted proxy:encrypted beyond:encrypted "},
		{networkSettings{Mode: modeHidden, Relays: relays}, "media", "self:clear members:clear browser:clear same-user:possible access-provider:encrypted relay:encrypted beyond:encrypted "},
		{networkSettings{Mode: modeLAN, FindOnLAN: true, DHT: dhtSettings{Use: dhtPublic}}, "ip", "self:clear members:clear carrier:clear local-network:clear "},
		{networkSettings{Mode: modeNormal, DHT: dhtSettings{Use: dhtPublic}}, "ip", "self:clear members:clear carrier:clear access-provider:clear dht:clear limited-relay:clear "},
		{networkSettings{Mode: modeNormal, DHT: dhtSettings{Use: dhtPublic}}, "counterpart", "self:clear members:clear access-provider:clear limited-relay:clear "},
		{networkSettings{Mode: modeNormal, DHT: dhtSettings{Use: dhtPublic}}, "chat", "self:clear members:clear browser:clear same-user:possible access-provider:encrypted "},
	} {
		if s.Network = tt.n; who(tt.datum) != tt.want {
			t.Errorf("%+v, %s: %q, want %q", tt.n, tt.datum, who(tt.datum), tt.want)
		}
	}
}

// TestShownName: people know a relay by its address.
func TestShownName(t *testing.T) {
	at := []netip.Addr{netip.MustParseAddr("203.0.113.9")}
	for _, tt := range []struct {
		party meet.Party
		want  string
	}{
		{meet.Party{Kind: meet.PartyMember, Name: "Ada", Addresses: at}, "Ada"},
		{meet.Party{Kind: meet.PartyRelay, Name: relayID, Addresses: at}, "203.0.113.9"},
		{meet.Party{Kind: meet.PartyRelay, Name: relayID}, relayID},
		{meet.Party{Kind: meet.PartyProxy, Name: "proxy.example:3128", Addresses: at}, "proxy.example:3128"},
		{meet.Party{Kind: meet.PartyObserver, Name: relayID, Addresses: at}, "203.0.113.9"},
		{meet.Party{Kind: meet.PartyObserver, Name: "Ada", Identity: crypto.IdentityKey{1}, Addresses: at}, "Ada"},
		{meet.Party{Kind: meet.PartyObserver, Addresses: at}, ""},
		{meet.Party{Kind: meet.PartyObserver, Name: relayID, Addresses: at, Beyond: true}, "203.0.113.9"},
	} {
		if got := shownName(tt.party); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.party, got, tt.want)
		}
	}
}

// TestExposureFollows: in a meeting, the page says what the library noted: who alike together, and nobody where nobody
// could observe anything.
func TestExposureFollows(t *testing.T) {
	s := firstState(options{})
	e := exposureOf(&s)
	party := func(kind meet.PartyKind, name string, o ...meet.Observation) meet.PartyExposure {
		return meet.PartyExposure{Party: meet.Party{Kind: kind, Name: name}, Observations: o}
	}
	chat := meet.Observation{Datum: meet.DatumChat, Seen: meet.SeenClear, Why: meet.CauseTold}
	sealed := meet.Observation{Datum: meet.DatumChat, Seen: meet.SeenNot, Why: meet.CauseSealed}
	e.follow(&meet.Exposure{Parties: []meet.PartyExposure{
		{Party: meet.Party{Kind: meet.PartyObserver, Name: "Ada", Addresses: []netip.Addr{netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("fe80::1")}}, Observations: []meet.Observation{sealed}},
		party(meet.PartyMember, "Ada", chat), party(meet.PartyMember, "Blaise", chat),
		party(meet.PartyMember, "Carl", meet.Observation{Datum: meet.DatumChat, Seen: meet.SeenNot, Why: meet.CauseTooEarly}),
		party(meet.PartyRelay, "", sealed), party(meet.PartyProxy, "proxy.example:3128", sealed), party(meet.PartyObserver, "Ada", sealed), party(meet.PartyObserver, "Blaise", sealed),
		{Party: meet.Party{Kind: meet.PartyObserver, Name: "Ada", Beyond: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.1.2")}}, Observations: []meet.Observation{sealed}},
	}})
	for _, r := range e.Rows {
		last := r.Seen[len(r.Seen)-1]
		switch r.Datum {
		case "chat":
			var got []string
			for _, p := range r.Seen {
				got = append(got, p.Party+" "+p.How+" "+p.Why)
				if p.Party == "local-network" && len(p.Names) > 0 {
					t.Errorf("names: %q", p.Names)
				}
				if p.Party == "members" && (len(p.Names) != 2 || p.Names[0] != "Ada" || p.Names[1] != "Blaise") {
					t.Errorf("names: %q", p.Names)
				}
			}
			want := []string{"self clear ", "browser clear ", "same-user possible ", "local-network encrypted sealed", "members clear told", "relay encrypted sealed", "proxy encrypted sealed", "access-provider encrypted sealed", "beyond encrypted sealed"}
			if len(got) != len(want) {
				t.Fatalf("%q", got)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%q, want %q", got[i], want[i])
				}
			}
		case "device", "browser", "recording", "words", "contacts", "received":
		default:
			if last.Party != "nobody-else" {
				t.Errorf("%s: %+v", r.Datum, r.Seen)
			}
		}
	}
}
