package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// exposure is what a member says of who could observe what of it: meet.Exposure as headless writes it.
type exposure struct {
	Parties []exposedTo `json:"parties"`
}

type exposedTo struct {
	Party struct {
		Kind      string       `json:"kind"`
		Name      string       `json:"name"`
		Addresses []netip.Addr `json:"addresses"`
	} `json:"party"`
	Observations []observed `json:"observations"`
}

type observed struct {
	Datum string `json:"datum"`
	Seen  string `json:"seen"`
	Why   string `json:"why"`
}

func readExposure(file string) (e exposure, err error) {
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &e)
	}
	return e, err
}

// onPackets are the data that stand on packets themselves: what is said to be seen of these is looked for. All else is
// sealed or encrypted wherever the laboratory captures, and what is said of it must be that it isn't seen.
var onPackets = []string{"address", "times", "volume", "counterpart", "software"}

// subject is a member, and what would give its data away.
type subject struct {
	name      string
	addresses []netip.Addr
	needles   map[string][]needle // by datum
}

// found looks for a member's data in what one party saw.
func (s subject) found(packets []kept) map[string]bool {
	out := map[string]bool{}
	for datum := range s.needles {
		out[datum] = false
	}
	for _, datum := range onPackets {
		out[datum] = false
	}
	var all []needle
	for datum, needles := range s.needles {
		for _, n := range needles {
			all = append(all, needle{datum + "\x00" + n.label, n.bytes})
		}
	}
	all = append(all, needle{"software\x00libp2p", []byte("/multistream/1.0.0")})
	for _, f := range search(packets, all) {
		datum, _, _ := strings.Cut(f.label, "\x00")
		out[datum] = true
	}
	for _, p := range packets {
		f, _, ok := parsePacket(p.data)
		if !ok || f.class == classKernel || !contains(s.addresses, f.src.Addr()) && !contains(s.addresses, f.dst.Addr()) {
			continue
		}
		out["address"], out["times"], out["volume"], out["counterpart"] = true, true, true, true
		switch f.class {
		case classQUIC, classSTUN, classDTLS, classSRTP:
			out["software"] = true
		}
	}
	return out
}

// contradictions are what an exposure says that isn't so, of what one party could look at.
func (p exposedTo) contradictions(who string, found map[string]bool) []string {
	var out []string
	for _, o := range p.Observations {
		is, looked := found[o.Datum]
		switch {
		case !looked:
		case o.Seen == "no" && is:
			out = append(out, fmt.Sprintf("%s says that its %s isn't seen by %s %s (%s): it is", who, o.Datum, p.Party.Kind, p.Party.Name, o.Why))
		case o.Seen == "yes" && !is && slices.Contains(onPackets, o.Datum):
			out = append(out, fmt.Sprintf("%s says that its %s is seen by %s %s (%s): it isn't", who, o.Datum, p.Party.Kind, p.Party.Name, o.Why))
		}
	}
	return out
}

// liar is the exposure with one entry turned round, for each entry that can be checked: the audit must name each.
func (p exposedTo) liars(found map[string]bool) []exposedTo {
	var out []exposedTo
	for i, o := range p.Observations {
		is, looked := found[o.Datum]
		switch {
		case !looked, o.Seen == "pattern", o.Seen == "part":
			continue
		case o.Seen == "yes" && is:
			o.Seen = "no"
		case o.Seen == "no" && !is && slices.Contains(onPackets, o.Datum):
			o.Seen = "yes"
		default:
			continue // of what is sealed, the wire has to lie: see search
		}
		q := p
		q.Observations = slices.Clone(p.Observations)
		q.Observations[i] = o
		out = append(out, q)
	}
	return out
}

// between are the packets that pass between two sets of addresses.
func between(packets []kept, a, b []netip.Addr) []kept {
	var out []kept
	for _, p := range packets {
		f, _, ok := parsePacket(p.data)
		if ok && (contains(a, f.src.Addr()) && contains(b, f.dst.Addr()) || contains(b, f.src.Addr()) && contains(a, f.dst.Addr())) {
			out = append(out, p)
		}
	}
	return out
}

// planted is what a party saw, and a packet that gives a datum away, for each datum that can be looked for.
func (s subject) planted(packets []kept) map[string][]kept {
	out := map[string][]kept{}
	for datum, needles := range s.needles {
		if len(needles) > 0 {
			out[datum] = append(slices.Clone(packets), kept{data: datagram(s.addresses[0], needles[0].bytes)})
		}
	}
	return out
}

// datagram makes a UDP packet from an address, to nobody.
func datagram(from netip.Addr, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protoUDP
	if from.Is6() {
		b = make([]byte, 48, 48+len(payload))
		b[0], b[6], b[7] = 0x60, protoUDP, 64
		copy(b[8:], from.AsSlice())
		return append(b, payload...)
	}
	copy(b[12:], from.AsSlice())
	return append(b, payload...)
}

// inInvite looks for a member's data in an invite, decoded.
func (s subject) inInvite(raw []byte) map[string]bool {
	out := map[string]bool{}
	for datum, needles := range s.needles {
		out[datum] = slices.ContainsFunc(needles, func(n needle) bool { return bytes.Contains(raw, n.bytes) })
	}
	// As in a binary multiaddr.
	out["address"] = slices.ContainsFunc(s.addresses, func(a netip.Addr) bool {
		code := byte(4)
		if a.Is6() {
			code = 41
		}
		return bytes.Contains(raw, append([]byte{code}, a.AsSlice()...))
	})
	return out
}
