package main

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/huisclos/huisclos/transport/internal/tap"
)

// sight is what one party could look at.
type sight interface {
	// of tells what is there of a member, for each datum that is looked for.
	of(s subject) map[string]bool
	// clear are the data that are found wherever they can be seen. What is said to be seen of others isn't looked for.
	clear() []string
	// leaks are sights of the same kind, each of nothing but one datum that the member gives away, by datum.
	leaks(s subject) map[string]sight
}

// subject is a member, and what would give its data away.
type subject struct {
	name      string
	addresses []netip.Addr
	key       []byte              // its meeting key
	needles   map[string][]needle // by datum
	others    []*subject          // whom it exchanges packets with
}

// keyNeedles are the forms of a public key, also as a libp2p ID.
func keyNeedles(label string, key []byte) []needle {
	out := forms(label, key)
	if public, err := crypto.UnmarshalEd25519PublicKey(key); err == nil {
		if id, err := peer.IDFromPublicKey(public); err == nil {
			out = append(out, needle{label + " (base58)", []byte(id.String())})
		}
	}
	return out
}

// labelled are all needles of a member, with the datum in their labels.
func (s subject) labelled() []needle {
	var all []needle
	for datum, needles := range s.needles {
		for _, n := range needles {
			all = append(all, needle{datum + "\x00" + n.label, n.bytes})
		}
	}
	return all
}

func datumOf(label string) string {
	datum, _, _ := strings.Cut(label, "\x00")
	return datum
}

// absent says of each datum that needles look for, and of some more, that it isn't there: so far.
func (s subject) absent(more ...string) map[string]bool {
	out := map[string]bool{}
	for datum := range s.needles {
		out[datum] = false
	}
	for _, datum := range more {
		out[datum] = false
	}
	return out
}

// negotiation begins every connection and stream of libp2p.
var negotiation = []byte("/multistream/1.0.0")

// wire is what is captured: sealed or encrypted, but for what stands on the packets themselves.
type wire []kept

func (wire) clear() []string {
	return []string{"address", "times", "volume", "counterpart", "software"}
}

func (w wire) of(s subject) map[string]bool {
	out := s.absent(w.clear()...)
	for _, f := range search(w, append(s.labelled(), needle{"software\x00libp2p", negotiation})) {
		out[datumOf(f.label)] = true
	}
	for _, p := range w {
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

func (wire) leaks(s subject) map[string]sight {
	out := map[string]sight{}
	for datum, needles := range s.needles {
		out[datum] = wire{{data: datagram(s.addresses[0], needles[0].bytes)}}
	}
	return out
}

// carried is what a proxy captures of a member: a wire, on which stands for which relay it was asked.
type carried struct {
	wire
	to []netip.Addr
}

func (c carried) of(s subject) map[string]bool {
	out := c.wire.of(s)
	out["counterpart"] = slices.ContainsFunc(c.wire, func(p kept) bool {
		f, payload, ok := parsePacket(p.data)
		return ok && contains(s.addresses, f.src.Addr()) && slices.ContainsFunc(c.to, func(a netip.Addr) bool {
			return bytes.HasPrefix(payload, []byte("CONNECT "+netip.AddrPortFrom(a, 443).String()+" "))
		})
	})
	return out
}

// withinTLS is a wire on which all is inside TLS, libp2p's name too.
type withinTLS struct{ wire }

func (withinTLS) clear() []string { return []string{"address", "times", "volume", "counterpart"} }

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

// opened is what a relay or a node of a DHT could read after its own decryption.
type opened struct {
	records []tap.Record
	visible []string
}

// What a relay sees of whom it serves, and what a node of a DHT sees of who asks it. How much a DHT's node is sent isn't
// how much is sent in the meeting.
var (
	atRelay = []string{"address", "times", "volume", "counterpart", "software", "meeting-key"}
	atDHT   = []string{"address", "software"}
	// Of a node that relays signals, the streams are written down without what is negotiated on them.
	atLimited = []string{"address", "counterpart", "meeting-key"}
)

func (o opened) clear() []string { return o.visible }

func (o opened) of(s subject) map[string]bool {
	out := s.absent("address", "software", "counterpart", "meeting-key")
	if slices.Contains(o.visible, "volume") {
		out["times"], out["volume"] = false, false
	}
	find := newFinder(s.labelled())
	streams := o.streams()
	for key, data := range streams {
		found := func(label string) { out[datumOf(label)] = true }
		find.find(data, found)
		find.find(bytes.ReplaceAll(data, []byte("."), nil), found) // a DHT's records are names, in labels
		if !contains(s.addresses, key.with) {
			continue
		}
		out["address"] = true
		out["software"] = out["software"] || bytes.Contains(data, negotiation)
		if _, counts := out["volume"]; counts {
			out["times"], out["volume"] = true, true
		}
		for _, other := range s.others {
			out["counterpart"] = out["counterpart"] || other.namedIn(data)
		}
	}
	for _, r := range o.records {
		if contains(s.addresses, r.Address.Addr()) && len(s.key) > 0 && bytes.Equal(r.Peer, s.key) {
			out["meeting-key"] = true
		}
	}
	return out
}

// direction is that of a stream, and with whom.
type direction struct {
	stream uint64
	out    bool
	with   netip.Addr
}

// streams are the bytes of each, as one piece: what is looked for may have come in two.
func (o opened) streams() map[direction][]byte {
	all := map[direction][]byte{}
	for _, r := range o.records {
		key := direction{r.Stream, r.Out, r.Address.Addr().Unmap()}
		all[key] = append(all[key], r.Data...)
	}
	return all
}

// namedIn tells whether a member is named, by key or by an address as a multiaddr has it.
func (s *subject) namedIn(data []byte) bool {
	if slices.ContainsFunc(keyNeedles("", s.key), func(n needle) bool { return bytes.Contains(data, n.bytes) }) {
		return true
	}
	return slices.ContainsFunc(s.addresses, func(a netip.Addr) bool { return bytes.Contains(data, inMultiaddr(a)) })
}

// inMultiaddr is an IP address as it stands in a binary multiaddr.
func inMultiaddr(a netip.Addr) []byte {
	code := byte(4)
	if a.Is6() {
		code = 41
	}
	return append([]byte{code}, a.AsSlice()...)
}

func (o opened) leaks(s subject) map[string]sight {
	leak := func(data []byte) sight {
		return opened{[]tap.Record{{Stream: 1, Address: netip.AddrPortFrom(s.addresses[0], 1), Data: data}}, o.visible}
	}
	out := map[string]sight{}
	for datum, needles := range s.needles {
		out[datum] = leak(needles[0].bytes)
	}
	if len(s.others) > 0 {
		out["counterpart"] = leak(s.others[0].key)
	}
	return out
}

// invite is what stands in a link, decoded.
type invite []byte

func (invite) clear() []string { return []string{"address", "meeting", "meeting-key", "invite"} }

func (i invite) of(s subject) map[string]bool {
	out := s.absent()
	for datum, needles := range s.needles {
		out[datum] = slices.ContainsFunc(needles, func(n needle) bool { return bytes.Contains(i, n.bytes) })
	}
	out["address"] = slices.ContainsFunc(s.addresses, func(a netip.Addr) bool { return bytes.Contains(i, inMultiaddr(a)) })
	return out
}

func (invite) leaks(s subject) map[string]sight {
	out := map[string]sight{"address": invite(inMultiaddr(s.addresses[0]))}
	for datum, needles := range s.needles {
		out[datum] = invite(needles[0].bytes)
	}
	return out
}

// only is a sight of which a few data are known, and nothing can be planted.
type only map[string]bool

func (o only) of(subject) map[string]bool   { return o }
func (only) clear() []string                { return wire(nil).clear() }
func (only) leaks(subject) map[string]sight { return nil }
