package meet

import (
	"net/netip"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// exposureFacts are what happened, as far as it decides who could observe what. exposureOf makes an Exposure of them.
type exposureFacts struct {
	now, since time.Time
	hidden     bool // addresses are hidden: relays alone

	members  []memberFacts
	relays   []relayFacts
	proxies  []proxyFacts
	dht      []netip.Addr // nodes of a DHT that were asked; nil: none
	router   []netip.Addr // asked for a port; nil: none
	lan      bool         // announced or asked for on the local network
	invited  bool         // an invite was made
	inviteIP bool         // with an address of this member in it
	replied  bool         // a reply code was handed out
	replyIP  bool         // with an address of this member in it
	others   []netip.Addr // that packets went to or came from, of who is neither a member nor a relay: at doors, ours and theirs

	said, saidPrivately, published, spoke, offered, announcedStreams bool // anything at all
}

// memberFacts is what happened with one member.
type memberFacts struct {
	identity crypto.IdentityKey
	name     string
	gone     bool
	bridge   bool
	contacts []netip.Addr // addresses of theirs that packets went to or came from
	record   bool         // was sent an address record with an IP address in it

	chat, private, media, speech, files, invite bool
	streams                                     bool // was told of this member's streams
}

// relayFacts is what happened with one relay.
type relayFacts struct {
	name     string
	contacts []netip.Addr
	carried  bool // packets to others, or from them
	limited  bool // signals alone, by which a direct way was opened
}

// proxyFacts is a proxy that was tried.
type proxyFacts struct {
	name                 string
	contacts             []netip.Addr
	asked, carried, open bool // as in transport.ProxyUse
}

// exposureOf is a pure function, so that tests can hold it to what was captured. It answers for each party and each kind
// of datum (EXP-1).
func exposureOf(f exposureFacts) Exposure {
	e := Exposure{At: f.now, Since: f.since}
	add := func(p Party, o observations) {
		all := make([]Observation, 0, len(AllDatums))
		for _, d := range AllDatums {
			all = append(all, Observation{Datum: d, Seen: o[d].Seen, Why: o[d].Why})
		}
		e.Parties = append(e.Parties, PartyExposure{p, all})
	}
	for _, m := range f.members {
		add(Party{Kind: PartyMember, Identity: m.identity, Name: m.name, Gone: m.gone, Bridge: m.bridge, Addresses: m.contacts}, f.byMember(m))
	}
	for _, r := range f.relays {
		add(Party{Kind: PartyRelay, Name: r.name, Limited: r.limited, Addresses: r.contacts}, f.byRelay(r))
	}
	for _, p := range f.proxies {
		add(Party{Kind: PartyProxy, Name: p.name, Addresses: p.contacts}, f.byProxy(p))
	}
	if f.dht != nil {
		add(Party{Kind: PartyDHT, Addresses: f.dht}, f.byDHT())
	}
	if f.router != nil {
		add(Party{Kind: PartyRouter, Addresses: f.router}, f.byRouter())
	}
	if f.anyPacket() {
		add(Party{Kind: PartyNetwork}, f.byNetwork())
	}
	f.ways(func(p Party, o observations) {
		p.Kind = PartyObserver
		add(p, o)
	})
	f.beyond(func(p Party) {
		p.Kind, p.Beyond = PartyObserver, true
		add(p, f.byBeyond(p.Limited))
	})
	if f.invited || f.replied {
		add(Party{Kind: PartyCarrier}, f.byCarrier())
	}
	return e
}

// ways are those whose packets left the machine, with the addresses these went to or came from, and what they show to who
// reads on the way.
func (f *exposureFacts) ways(each func(Party, observations)) {
	way := func(to Party, contacts []netip.Addr, o observations) {
		if to.Addresses = outside(contacts); len(to.Addresses) > 0 {
			each(to, o)
		}
	}
	for _, m := range f.members {
		way(Party{Identity: m.identity, Name: m.name}, m.contacts, f.onTheWay())
	}
	for _, r := range f.relays {
		o := f.onTheWay()
		if r.limited {
			o = f.signalsAlone(o)
		}
		way(Party{Name: r.name, Limited: r.limited}, r.contacts, o)
	}
	for _, p := range f.proxies {
		way(Party{Name: p.name}, p.contacts, f.byProxy(p))
	}
	way(Party{}, f.others, f.onTheWay())
	if f.dht != nil {
		each(Party{Name: wayToDHT, Addresses: f.dht}, f.onTheWayToDHT())
	}
}

// beyond are those who carried packets on, to and from others: from there on others' providers and networks see them (EXP-5).
func (f *exposureFacts) beyond(each func(Party)) {
	for _, m := range f.members {
		if m.bridge {
			each(Party{Identity: m.identity, Name: m.name, Addresses: m.contacts})
		}
	}
	for _, r := range f.relays {
		if r.carried {
			each(Party{Name: r.name, Limited: r.limited, Addresses: r.contacts})
		}
	}
}

func (f *exposureFacts) anyPacket() bool {
	any := f.lan || f.dht != nil || f.router != nil
	f.ways(func(Party, observations) { any = true })
	return any
}

// outside are the addresses whose packets leave the machine.
func outside(addrs []netip.Addr) (all []netip.Addr) {
	for _, a := range addrs {
		if !a.IsLoopback() {
			all = append(all, a)
		}
	}
	return all
}

type observation struct {
	Seen Seen
	Why  SeenCause
}

type observations map[Datum]observation

func yes(why SeenCause) observation { return observation{SeenClear, why} }
func no(why SeenCause) observation  { return observation{SeenNot, why} }

// outsider is what holds for whoever is no member: content is sealed, and what there was none of couldn't be observed
// (EXP-2).
func (f *exposureFacts) outsider(metadata SeenCause) observations {
	o := observations{
		DatumIdentity: no(metadata), DatumName: no(metadata), DatumMeeting: no(metadata), DatumMembers: no(metadata),
		DatumAttendance: no(metadata), DatumMeetingKey: no(metadata), DatumInvite: no(metadata), DatumSpeaking: no(CauseNothing),
	}
	for d, any := range map[Datum]bool{DatumChat: f.said, DatumPrivateChat: f.saidPrivately, DatumMedia: f.published || f.announcedStreams, DatumFiles: f.offered} {
		o[d] = no(CauseNothing)
		if any {
			o[d] = no(CauseSealed)
		}
	}
	if !f.invited {
		o[DatumInvite] = no(CauseNothing)
	}
	return o
}

// packets adds what every packet shows to whoever handles it.
func (f *exposureFacts) packets(o observations) observations {
	o[DatumAddress], o[DatumTimes], o[DatumVolume] = yes(CausePacket), yes(CausePacket), yes(CausePacket)
	o[DatumSoftware], o[DatumCounterpart] = yes(CausePacket), yes(CausePacket)
	if f.spoke { // constant bit rate and no pauses in sending hide it; not all sources have them
		o[DatumSpeaking] = observation{SeenPattern, CauseSizes}
	}
	return o
}

func (f *exposureFacts) byMember(m memberFacts) observations {
	o := observations{
		DatumIdentity: yes(CauseRoster), DatumName: yes(CauseRoster), DatumMeeting: yes(CauseRoster), DatumMembers: yes(CauseRoster),
		DatumAttendance: yes(CauseRoster), DatumMeetingKey: yes(CauseRoster), DatumTimes: yes(CauseRoster), DatumCounterpart: yes(CauseRoster),
		DatumSoftware: yes(CauseTold),
	}
	switch {
	case len(m.contacts) > 0:
		o[DatumAddress], o[DatumVolume] = yes(CausePacket), yes(CausePacket)
	case m.record:
		o[DatumAddress] = yes(CauseRecord)
	case f.hidden:
		o[DatumAddress] = no(CauseHidden)
	default:
		o[DatumAddress] = no(CauseNotSent)
	}
	if _, ok := o[DatumVolume]; !ok {
		o[DatumVolume] = yes(CauseTold) // through others: what is for this member still reaches it
	}
	content := func(d Datum, any, got bool, other SeenCause) {
		switch {
		case got:
			o[d] = yes(CauseTold)
		case any:
			o[d] = no(other)
		default:
			o[d] = no(CauseNothing)
		}
	}
	content(DatumSpeaking, f.spoke, m.speech, CauseTooEarly)
	content(DatumChat, f.said, m.chat, CauseTooEarly)
	content(DatumPrivateChat, f.saidPrivately, m.private, CauseNotAddressed)
	content(DatumMedia, f.published || f.announcedStreams, m.media, CauseTooEarly)
	if m.streams && !m.media {
		o[DatumMedia] = observation{SeenPart, CauseTold}
	}
	content(DatumFiles, f.offered, m.files, CauseNotAddressed)
	content(DatumInvite, f.invited, m.invite, CauseNotSent)
	return o
}

// byRelay: a relay carries what the two ends encrypted for each other, and must know which keys to join.
func (f *exposureFacts) byRelay(r relayFacts) observations {
	o := f.packets(f.outsider(CauseEncrypted))
	o[DatumMeetingKey], o[DatumCounterpart] = yes(CauseReservation), yes(CauseReservation)
	if r.limited {
		o = f.signalsAlone(o)
	}
	return o
}

// signalsAlone is what is left where nothing but signals passed: that this member takes part, and when, since a reservation
// lasts as long as it does; of what it sends, no more than that.
func (f *exposureFacts) signalsAlone(o observations) observations {
	o[DatumVolume], o[DatumSpeaking] = observation{SeenPart, CausePacket}, no(CauseNothing)
	if f.spoke {
		o[DatumSpeaking] = no(CauseNotSent)
	}
	return o
}

// byProxy: a proxy, and who reads on the way there, sees who tries it; which address it is asked for; and what is encrypted
// between this member and the relay: in TLS, that may be anything. Each only if it came to that.
func (f *exposureFacts) byProxy(p proxyFacts) observations {
	o := f.outsider(CauseNotSent)
	o[DatumAddress], o[DatumTimes] = yes(CausePacket), observation{SeenPart, CausePacket}
	o[DatumVolume], o[DatumSoftware], o[DatumCounterpart] = no(CauseNotSent), no(CauseNotSent), no(CauseNotSent)
	if p.carried {
		o = f.packets(f.outsider(CauseEncrypted))
		if !p.open {
			o[DatumSoftware] = observation{SeenPattern, CauseSizes}
		}
	}
	if p.asked {
		o[DatumCounterpart] = yes(CauseRequest)
	}
	return o
}

// byDHT: the nodes are asked by a key that is new in each meeting, and told addresses under a topic that only those who
// have the invite can derive.
func (f *exposureFacts) byDHT() observations {
	o := f.outsider(CauseNotSent)
	o[DatumAddress], o[DatumTimes], o[DatumSoftware] = yes(CauseRequest), observation{SeenPart, CauseRequest}, yes(CauseRequest)
	o[DatumVolume], o[DatumCounterpart] = no(CauseNotSent), no(CauseNotSent)
	return o
}

func (f *exposureFacts) byRouter() observations {
	o := f.packets(f.outsider(CauseEncrypted))
	o[DatumAddress] = yes(CauseRequest)
	return o
}

func (f *exposureFacts) byNetwork() observations { return f.packets(f.outsider(CauseEncrypted)) }

func (f *exposureFacts) onTheWay() observations { return f.packets(f.outsider(CauseEncrypted)) }

// byBeyond: the same sealed packets, but between other addresses. Whose they are, and so whom they join, only who compares
// them with what is seen on this member's side can tell.
func (f *exposureFacts) byBeyond(limited bool) observations {
	o := f.packets(f.outsider(CauseEncrypted))
	o[DatumAddress], o[DatumSoftware], o[DatumCounterpart] = no(CauseNotSent), no(CauseEncrypted), observation{SeenPattern, CauseSizes}
	if limited { // a moment of it
		o = f.signalsAlone(o)
		o[DatumTimes] = observation{SeenPart, CausePacket}
	}
	return o
}

// wayToDHT is the name of the observer on the way to a DHT's nodes, and of the name server that knows those given by name.
const wayToDHT = "DHT"

// onTheWayToDHT: what is asked there goes encrypted, and only as often as somebody looks or announces.
func (f *exposureFacts) onTheWayToDHT() observations {
	o := f.onTheWay()
	o[DatumTimes], o[DatumSpeaking] = observation{SeenPart, CausePacket}, no(CauseNotSent)
	if !f.spoke {
		o[DatumSpeaking] = no(CauseNothing)
	}
	return o
}

// byCarrier: whoever has the invite knows what stands in it, and could knock. With it a reply code can be read.
func (f *exposureFacts) byCarrier() observations {
	o := f.outsider(CauseNotSent)
	o[DatumMeeting], o[DatumMeetingKey], o[DatumSoftware] = yes(CauseInvite), yes(CauseInvite), yes(CauseInvite)
	if f.invited {
		o[DatumInvite] = yes(CauseInvite)
	}
	o[DatumAddress] = no(CauseNotSent)
	if f.inviteIP || f.replyIP {
		o[DatumAddress] = yes(CauseInvite)
	}
	o[DatumTimes], o[DatumVolume], o[DatumCounterpart] = observation{SeenPart, CauseInvite}, no(CauseNotSent), no(CauseNotSent)
	return o
}
