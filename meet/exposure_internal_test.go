package meet

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// allHappened is a meeting in which all there is happened with everybody.
func allHappened() exposureFacts {
	addr := []netip.Addr{netip.MustParseAddr("5.0.0.1")}
	return exposureFacts{
		now: time.Unix(2, 0), since: time.Unix(1, 0),
		members: []memberFacts{
			{identity: crypto.IdentityKey{1}, name: "Ana", contacts: addr, record: true, chat: true, private: true, media: true, speech: true,
				files: true, invite: true},
			{identity: crypto.IdentityKey{2}, name: "Zoé", gone: true},
			{identity: crypto.IdentityKey{3}, name: "Io", streams: true, bridge: true},
		},
		relays: []relayFacts{{contacts: addr, carried: true}, {contacts: addr}}, proxies: []proxyFacts{{name: "proxy.example:3128", contacts: addr, asked: true, carried: true}}, dht: addr, router: addr, lan: true, invited: true, inviteIP: true,
		said: true, saidPrivately: true, published: true, spoke: true, offered: true,
	}
}

// find returns what one party could observe of a datum.
func find(t *testing.T, e Exposure, kind PartyKind, n int, d Datum) Observation {
	t.Helper()
	for _, p := range e.Parties {
		if p.Party.Kind != kind {
			continue
		}
		if n--; n >= 0 {
			continue
		}
		for _, o := range p.Observations {
			if o.Datum == d {
				return o
			}
		}
	}
	t.Fatalf("nothing is said of %s and %s", kind, d)
	return Observation{}
}

// TestExposureIsWhole: each party has an answer, with its cause, for each datum.
//
// Checks: EXP-1.
func TestExposureIsWhole(t *testing.T) {
	e := exposureOf(allHappened())
	kinds := map[PartyKind]int{}
	for _, p := range e.Parties {
		kinds[p.Party.Kind]++
		if len(p.Observations) != len(AllDatums) {
			t.Fatalf("%s: %d observations of %d", p.Party.Kind, len(p.Observations), len(AllDatums))
		}
		for i, o := range p.Observations {
			if o.Datum != AllDatums[i] || o.Seen == "" || o.Why == "" {
				t.Errorf("%s: %+v", p.Party.Kind, o)
			}
		}
	}
	want := map[PartyKind]int{PartyMember: 3, PartyRelay: 2, PartyProxy: 1, PartyDHT: 1, PartyRouter: 1, PartyNetwork: 1, PartyObserver: 5 + 2, PartyCarrier: 1}
	for kind, n := range want {
		if kinds[kind] != n {
			t.Errorf("%d of %s, want %d", kinds[kind], kind, n)
		}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Exposure
	if err := json.Unmarshal(raw, &back); err != nil || len(back.Parties) != len(e.Parties) {
		t.Errorf("read again: %v, %d parties of %d", err, len(back.Parties), len(e.Parties))
	}
}

// TestExposureOfOutsiders: whoever is no member is never said to observe content, and always to observe what its part of
// the way can't but show.
//
// Checks: EXP-2.
func TestExposureOfOutsiders(t *testing.T) {
	e := exposureOf(allHappened())
	for _, p := range e.Parties {
		if p.Party.Kind == PartyMember {
			continue
		}
		for _, o := range p.Observations {
			switch o.Datum {
			case DatumChat, DatumPrivateChat, DatumMedia, DatumFiles, DatumName, DatumIdentity, DatumMembers, DatumAttendance:
				if o.Seen != SeenNot {
					t.Errorf("%s observes %s", p.Party.Kind, o.Datum)
				}
			}
		}
	}
	for _, tt := range []struct {
		kind  PartyKind
		datum Datum
		want  Seen
	}{
		{PartyRelay, DatumAddress, SeenClear}, {PartyRelay, DatumMeetingKey, SeenClear}, {PartyRelay, DatumMeeting, SeenNot},
		{PartyProxy, DatumAddress, SeenClear}, {PartyProxy, DatumTimes, SeenClear}, {PartyProxy, DatumVolume, SeenClear}, {PartyProxy, DatumCounterpart, SeenClear},
		{PartyProxy, DatumSoftware, SeenPattern}, {PartyProxy, DatumMeetingKey, SeenNot}, {PartyProxy, DatumMeeting, SeenNot}, {PartyProxy, DatumSpeaking, SeenPattern},
		{PartyRelay, DatumSpeaking, SeenPattern}, {PartyObserver, DatumCounterpart, SeenClear}, {PartyObserver, DatumMeetingKey, SeenNot},
		{PartyDHT, DatumAddress, SeenClear}, {PartyDHT, DatumMeeting, SeenNot}, {PartyDHT, DatumMeetingKey, SeenNot},
		{PartyCarrier, DatumInvite, SeenClear}, {PartyCarrier, DatumAddress, SeenClear}, {PartyRouter, DatumAddress, SeenClear},
		{PartyNetwork, DatumVolume, SeenClear},
	} {
		if got := find(t, e, tt.kind, 0, tt.datum); got.Seen != tt.want {
			t.Errorf("%s, %s: %+v, want %s", tt.kind, tt.datum, got, tt.want)
		}
	}
}

// TestExposureOfMembers: a member observes what it was given, and no more.
//
// Checks: EXP-3.
func TestExposureOfMembers(t *testing.T) {
	f := allHappened()
	e := exposureOf(f)
	for _, d := range AllDatums {
		if got := find(t, e, PartyMember, 0, d); got.Seen != SeenClear {
			t.Errorf("who was given everything: %+v", got)
		}
	}
	for d, why := range map[Datum]SeenCause{DatumAddress: CauseNotSent, DatumChat: CauseTooEarly, DatumPrivateChat: CauseNotAddressed,
		DatumMedia: CauseTooEarly, DatumFiles: CauseNotAddressed, DatumInvite: CauseNotSent, DatumSpeaking: CauseTooEarly} {
		if got := find(t, e, PartyMember, 1, d); got.Seen != SeenNot || got.Why != why {
			t.Errorf("who was given nothing: %+v, want %s", got, why)
		}
	}
	if got := find(t, e, PartyMember, 2, DatumMedia); got.Seen != SeenPart || got.Why != CauseTold {
		t.Errorf("who was told of a camera: %+v", got)
	}
	f.hidden = true
	if got := find(t, exposureOf(f), PartyMember, 1, DatumAddress); got.Why != CauseHidden {
		t.Errorf("%+v, want %s", got, CauseHidden)
	}
}

// TestExposureOfNothing: a meeting alone, of which nobody was told, exposes nothing to anybody.
//
// Checks: EXP-2.
func TestExposureOfNothing(t *testing.T) {
	if e := exposureOf(exposureFacts{}); len(e.Parties) != 0 {
		t.Errorf("parties: %+v", e.Parties)
	}
	f := allHappened()
	f.said, f.saidPrivately, f.published, f.spoke, f.offered = false, false, false, false, false
	f.members[0].chat, f.members[0].private, f.members[0].media, f.members[0].speech, f.members[0].files = false, false, false, false, false
	e := exposureOf(f)
	for _, d := range []Datum{DatumChat, DatumPrivateChat, DatumMedia, DatumSpeaking, DatumFiles} {
		for _, kind := range []PartyKind{PartyMember, PartyRelay, PartyObserver} {
			if got := find(t, e, kind, 0, d); got.Seen != SeenNot || got.Why != CauseNothing {
				t.Errorf("%s: %+v", kind, got)
			}
		}
	}
}

// TestExposureBeyond: beyond a member who bridges, and a relay that carried something, others observe when and how much, and
// guess who speaks; not whose it is, nor anything else. Nobody is named beyond a relay that was only asked.
//
// Checks: EXP-2, EXP-5.
func TestExposureBeyond(t *testing.T) {
	var beyond []PartyExposure
	for _, p := range exposureOf(allHappened()).Parties {
		if p.Party.Beyond {
			beyond = append(beyond, p)
		}
	}
	if len(beyond) != 2 || beyond[0].Party.Name != "Io" || len(beyond[1].Party.Addresses) != 1 {
		t.Fatalf("%+v", beyond)
	}
	for _, p := range beyond {
		for _, o := range p.Observations {
			want := map[Datum]Seen{DatumTimes: SeenClear, DatumVolume: SeenClear, DatumSpeaking: SeenPattern, DatumCounterpart: SeenPattern}[o.Datum]
			if want == "" {
				want = SeenNot
			}
			if p.Party.Kind != PartyObserver || o.Seen != want {
				t.Errorf("%+v: %+v, want %s", p.Party, o, want)
			}
		}
		raw, err := json.Marshal(p)
		var back PartyExposure
		if err != nil || json.Unmarshal(raw, &back) != nil || !back.Party.Beyond || !strings.Contains(string(raw), `"beyond":true`) {
			t.Errorf("%s", raw)
		}
	}
}
