package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/multiformats/go-multiaddr"
)

// What the operators of two relays would hand out. Nobody runs them.
const (
	relayText   = "huisclos-relay:pAFYIMH7Ir810zc0Fy-QKKQYRrBVqb6iAEkOrq9T20gOaf7qAoNLBH8AAAGRApDRzQNIBH8AAAEGkNFMBH8AAAEGkNHAA90DA0i7Sj-z3TydrARYIP766odvvE-s4ilfi5qXmGJ15MfI8PMWkT4WJzGum2SIkhuTfQ"
	anotherText = "huisclos-relay:pAFYILc2evmiYbMUDmMAtZBwfMKbjJNDZpXFsVNdsoCOsM1JAoNLBH8AAAGRAuqczQNIBH8AAAEG6pxMBH8AAAEG6pzAA90DA0hVV1YoSpFl2QRYIMYYooR2azSrTUC8Od2jT3jsF2wNQMuAm_BHFmHks1J4AFwDUQ"
	relayID     = "70a1 ffba c3bf 9c36 6fab 1f9f b1b3 e069"
)

// secretOf is the end of a relay's text, which holds what lets one use it.
func secretOf(text string) string { return text[len(text)-24:] }

// said is whether the page was ever sent a text.
func (p *testPage) said(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(encode(p.state), []byte(text)) || bytes.Contains(encode(p.events), []byte(text))
}

var noDHT = map[string]any{"use": "off", "nodes": []string{}, "prefix": ""}

// TestNetworkSettings: what is chosen is shown, without the relays' secrets; what can't be kept to is refused; and a meeting
// is configured so.
func TestNetworkSettings(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	p := openPage(t, a)
	if n := get[networkSettings](p, "network"); !reflect.DeepEqual(n, firstNetwork()) {
		t.Errorf("%+v", n)
	}
	if c, err := a.config(); err != nil || c.LANOnly || c.RelayOnly || c.AskRouter || len(c.Relays)+len(c.Rendezvous) > 0 || c.Proxy != nil {
		t.Errorf("by default: %+v, %v", c, err)
	}
	node := "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA"
	own := func(use, prefix string, nodes ...string) map[string]any {
		return map[string]any{"use": use, "nodes": nodes, "prefix": prefix}
	}
	for _, tt := range []struct {
		do     string
		fields map[string]any
		want   code
	}{
		{"network-set", map[string]any{"mode": "hidden", "dht": noDHT}, needsRelay},
		{"network-set", map[string]any{"mode": "somehow", "dht": noDHT}, badRequest},
		{"network-set", map[string]any{"mode": "normal", "dht": own("some", "")}, badRequest},
		{"network-set", map[string]any{"mode": "normal", "dht": own("own", "")}, badNodes},
		{"network-set", map[string]any{"mode": "normal", "dht": own("own", "", "/ip4/192.0.2.1/tcp/4001")}, badNodes},
		{"network-set", map[string]any{"mode": "normal", "dht": own("own", "noslash", node)}, badNodes},
		{"network-set", map[string]any{"mode": "normal", "dht": own("own", "", node, node, node, node, node, node, node, node, node)}, tooMany},
		{"relay-add", map[string]any{"text": relayText[:90]}, badRelay},
		{"relay-add", map[string]any{"text": "huisclos:1-AAAA"}, badRelay},
		{"relay-add", map[string]any{"text": strings.Repeat("x", 100_000)}, badRelay},
	} {
		if _, refused := p.ask(tt.do, tt.fields); refused != tt.want {
			t.Errorf("%s %.90v: %q, want %q", tt.do, tt.fields, refused, tt.want)
		}
	}
	p.must("relay-add", map[string]any{"text": " " + relayText[:50] + "\n" + relayText[50:]})
	p.must("relay-add", map[string]any{"text": relayText})
	want := []relay{{ID: relayID, Addresses: []string{"127.0.0.1:37073"}}}
	if n := get[networkSettings](p, "network"); !reflect.DeepEqual(n.Relays, want) {
		t.Errorf("%+v", n)
	}

	for _, tt := range []struct {
		mode, dht string
		lan       bool
		ways      string
		local     int
	}{
		{"normal", "off", false, "", 0}, {"normal", "public", true, "local-network dht-public", 1}, {"normal", "own", false, "dht-own", 0},
		{"lan", "public", true, "local-network", 1}, {"lan", "own", false, "", 0}, {"hidden", "public", true, "", 0},
	} {
		p.must("network-set", map[string]any{"mode": tt.mode, "findOnLAN": tt.lan, "dht": own(tt.dht, "/cabinet", node)})
		a.mu.Lock()
		ways := strings.Join(a.state.Network.ways(), " ")
		a.mu.Unlock()
		c, err := a.config()
		local := 0
		for _, r := range c.Rendezvous {
			if _, ok := r.(meet.LocalRendezvous); ok {
				local++
			}
		}
		if err != nil || ways != tt.ways || len(c.Rendezvous) != len(strings.Fields(tt.ways)) || local != tt.local ||
			c.LANOnly != (tt.mode == "lan") || c.RelayOnly != (tt.mode == "hidden") || len(c.Relays) != 1 {
			t.Errorf("%+v: %+v, %q, %v", tt, c, ways, err)
		}
	}
	if _, refused := p.ask("relay-remove", map[string]any{"relay": relayID}); refused != needsRelay {
		t.Errorf("the last relay while hiding: %q", refused)
	}
	p.must("network-set", map[string]any{"mode": "normal", "dht": noDHT})
	p.must("relay-remove", map[string]any{"relay": relayID})
	if n := get[networkSettings](p, "network"); len(n.Relays) != 0 {
		t.Errorf("%+v", n)
	}
	if p.said(secretOf(relayText)) {
		t.Error("the page was told a relay's secret")
	}
}

// TestProxyShown: the proxy that this computer's settings name is shown with the relays, without its password, and used for
// these alone; not where nothing leaves the local network.
func TestProxyShown(t *testing.T) {
	t.Parallel()
	by := &url.URL{Scheme: "http", User: url.UserPassword("ada", "hunter2"), Host: "proxy.example:3128"}
	a := startAgent(t, func(o *options) { o.proxy = http.ProxyURL(by) })
	p := openPage(t, a)
	shown := func(want string) {
		t.Helper()
		if got := get[networkSettings](p, "network").Proxy; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	shown("")
	p.must("relay-add", map[string]any{"text": relayText})
	shown(by.Host)
	if c, err := a.config(); err != nil || c.Proxy == nil {
		t.Errorf("it isn't used: %v", err)
	}
	p.must("network-set", map[string]any{"mode": "lan", "dht": noDHT})
	shown("")
	p.must("network-set", map[string]any{"mode": "normal", "dht": noDHT})
	shown(by.Host)
	p.must("relay-remove", map[string]any{"relay": relayID})
	shown("")
	if p.said("hunter2") {
		t.Error("the page was told a password")
	}
}

// TestRelaysKept: the relays are in the store, encrypted, and in nothing else; a program that unlocks it keeps to the
// choices. What was chosen before unlocking stays. After erasing, hiding is refused rather than forgotten.
func TestRelaysKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := openPage(t, startAgent(t, func(o *options) { o.data = dir }))
	p.must("relay-add", map[string]any{"text": relayText})
	p.must("network-set", map[string]any{"mode": "hidden", "findOnLAN": true, "dht": noDHT})
	p.must("store-create", map[string]any{"passphrase": testPassphrase})
	exported := p.must("store-export", nil)
	var url string
	_ = json.Unmarshal(exported["url"], &url)
	answer, err := http.Get(strings.TrimSuffix(p.agent.port.URL(), "/") + url)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || !bytes.Contains(text, []byte("127.0.0.1:37073")) || bytes.Contains(text, []byte(secretOf(relayText))) {
		t.Errorf("exported: %s, %v", text, err)
	}
	p.must("quit", nil)
	<-p.agent.over
	p.agent.tasks.Wait()
	raw, err := os.ReadFile(filepath.Join(dir, "huisclos.age"))
	if err != nil || bytes.Contains(raw, []byte("huisclos-relay")) || p.said(secretOf(relayText)) {
		t.Error("a secret lies open", err)
	}

	p = openPage(t, startAgent(t, func(o *options) { o.data = dir }))
	p.must("store-unlock", map[string]any{"passphrase": testPassphrase})
	n := get[networkSettings](p, "network")
	if n.Mode != "hidden" || !n.FindOnLAN || len(n.Relays) != 1 || n.Relays[0].ID != relayID {
		t.Errorf("%+v", n)
	}
	if c, err := p.agent.config(); err != nil || !c.RelayOnly || len(c.Relays) != 1 || c.Relays[0].String() != relayText {
		t.Errorf("%+v, %v", c, err)
	}

	other := openPage(t, startAgent(t, func(o *options) { o.data = dir }))
	other.must("relay-add", map[string]any{"text": anotherText})
	other.must("network-set", map[string]any{"mode": "lan", "dht": noDHT})
	other.must("store-unlock", map[string]any{"passphrase": testPassphrase})
	if n := get[networkSettings](other, "network"); n.Mode != "lan" || n.FindOnLAN || len(n.Relays) != 2 {
		t.Errorf("%+v", n)
	}

	p.must("store-erase", nil)
	if n := get[networkSettings](p, "network"); n.Mode != "hidden" || len(n.Relays) != 0 {
		t.Errorf("%+v", n)
	}
	p.name("Ada")
	if _, refused := p.ask("create", nil); refused != needsRelay {
		t.Errorf("without a relay: %q", refused)
	}
}

// elsewhere is a link whose addresses nobody answers at.
func elsewhere(t *testing.T, text string) string {
	t.Helper()
	link, err := crypto.ParseLink(text, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	dead := multiaddr.StringCast("/ip4/127.0.0.1/udp/9/quic-v1")
	for i := range link.Doors {
		link.Doors[i].Addresses = [][]byte{dead.Bytes()}
	}
	return link.String()
}

// replying are a host, and a guest who can reach nobody and waits to be dialled, with the code that says where.
func replying(t *testing.T) (host, guest *testPage, reply string) {
	t.Helper()
	host, guest = openPage(t, startAgent(t, nil)), openPage(t, startAgent(t, nil))
	host.name("Maître Dupont")
	guest.name("Ada")
	host.must("create", nil)
	host.until("invitation", func() bool { return part[*invitation](host, "invite") != nil })
	guest.must("join", map[string]any{"link": elsewhere(t, get[*invitation](host, "invite").Link)})
	guest.untilPhase("replying")
	reply = get[phase](guest, "phase").Reply
	if !strings.HasPrefix(reply, "huisclos-reply:") {
		t.Fatal(reply)
	}
	return host, guest, reply
}

// TestReplyCode: a guest who can reach nobody gets a code, which the host follows; the guest knocks then.
func TestReplyCode(t *testing.T) {
	t.Parallel()
	host, guest, reply := replying(t)
	for text, want := range map[string]code{"": replyUnreadable, reply[:60]: replyUnreadable} {
		if _, refused := host.ask("reply", map[string]any{"code": text}); refused != want {
			t.Errorf("%q: %q, want %q", text, refused, want)
		}
	}
	host.must("reply", map[string]any{"code": reply})
	guest.untilPhase("waiting")
	host.until("knock", func() bool { return len(part[[]knock](host, "knocks")) == 1 })
	host.must("admit", map[string]any{"member": get[[]knock](host, "knocks")[0].ID})
	guest.untilPhase("meeting")

	stranger := openPage(t, startAgent(t, nil))
	stranger.name("Eve")
	stranger.must("create", nil)
	stranger.untilPhase("meeting")
	if _, refused := stranger.ask("reply", map[string]any{"code": reply}); refused != replyForeign {
		t.Errorf("in another meeting: %q", refused)
	}
	host.must("stats", map[string]any{"on": true})
	if l := event[statsEvent](host, "stats").Stats.Links; len(l) != 1 || l[0].Path != "direct" || l[0].Through != "" {
		t.Errorf("%+v", l)
	}
}

// TestReplyLost: when the connection is lost while the guest waits at the door, the page says so, and shows the code again.
func TestReplyLost(t *testing.T) {
	t.Parallel()
	host, guest, reply := replying(t)
	host.must("reply", map[string]any{"code": reply})
	guest.untilPhase("waiting")
	host.must("leave", nil)
	guest.untilPhase("replying")
	if p := get[phase](guest, "phase"); p.Reply != reply || p.Error == nil || p.Error.Code != replyLost {
		t.Errorf("%+v", p)
	}
}

// TestDoorLost: the same for who came by the link, who gets a code then; and where none would help, the page doesn't say
// that nobody could be reached.
func TestDoorLost(t *testing.T) {
	t.Parallel()
	host, guest := openPage(t, startAgent(t, nil)), openPage(t, startAgent(t, nil))
	host.name("Maître Dupont")
	guest.name("Ada")
	host.must("create", nil)
	host.until("invitation", func() bool { return part[*invitation](host, "invite") != nil })
	guest.must("join", map[string]any{"link": get[*invitation](host, "invite").Link})
	guest.untilPhase("waiting")
	host.must("leave", nil)
	guest.untilPhase("replying")
	if p := get[phase](guest, "phase"); p.Error == nil || p.Error.Code != replyRenewed {
		t.Errorf("%+v", p)
	}
	guest.must("cancel", nil)
	guest.untilPhase("start")

	for waited, want := range map[bool]code{true: doorLost, false: neitherSide} {
		s, err := guest.agent.begin("joining", false)
		if err != nil {
			t.Fatal(err)
		}
		s.waited = waited
		s.entered(nil, &meet.UnreachableError{Err: errors.New("x"), Neither: true})
		guest.until("failed", func() bool {
			p := part[phase](guest, "phase")
			return p.Name == "start" && p.Error != nil && p.Error.Code == want
		})
	}
}

// TestReplyCancelled: who waits to be dialled can give up.
func TestReplyCancelled(t *testing.T) {
	t.Parallel()
	_, guest, _ := replying(t)
	guest.must("cancel", nil)
	guest.untilPhase("start")
	if f := get[phase](guest, "phase").Error; f != nil {
		t.Errorf("%+v", f)
	}
}

// TestLinkWithoutAddresses: it is offered where the meeting can be found without, and only there; the invitation says how.
func TestLinkWithoutAddresses(t *testing.T) {
	t.Parallel()
	p := openPage(t, startAgent(t, nil))
	p.name("Ada")
	p.must("create", nil)
	p.untilPhase("meeting")
	if m := get[*meeting](p, "meeting"); m.Mode != "normal" || len(m.Found) != 0 {
		t.Errorf("%+v", m)
	}
	if _, refused := p.ask("invite", map[string]any{"noAddresses": true}); refused != noWayToFind {
		t.Error(refused)
	}

	p.until("invitation", func() bool { return part[*invitation](p, "invite") != nil })
	link, err := meet.ParseInvite(get[*invitation](p, "invite").Link)
	if err != nil {
		t.Fatal(err)
	}
	none := func(crypto.MeetingKey) string { return "" }
	bare := invitationOf(link, "Ada", 1, true, []string{"local-network", "dht-public"}, none)
	for language, words := range map[string]string{"fr": "« Se trouver sur le réseau local »", "en": `"Find each other on the local network"`} {
		if body := bare.Text[language].Body; bare.Reach.Scope != "found" || !strings.Contains(body, words) || !strings.Contains(body, "libp2p") || strings.Contains(body, "adresse réseau") || strings.Contains(body, "network address") {
			t.Errorf("%s: %s", language, body)
		}
	}
	whole := invitationOf(link, "Ada", 1, false, nil, func(crypto.MeetingKey) string { return "Blaise" })
	if a := whole.Reach.Addresses; len(a) == 0 || a[0].Whose != "Blaise" || a[0].Address != "127.0.0.1" || strings.Contains(whole.Text["en"].Body, "Network") {
		t.Errorf("%+v", whole)
	}
}

// TestNetworkFailures: each has a code of its own.
func TestNetworkFailures(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want code
	}{
		{&meet.UnreachableError{Err: errors.New("x"), Neither: true}, neitherSide}, {&meet.UnreachableError{Err: meet.ErrNotPunched, Neither: true}, routersApart},
		{&meet.UnreachableError{Err: meet.ErrNoRendezvous}, noWayToFind},
		{&meet.UnreachableError{Err: meet.ErrNotFound}, notFound}, {meet.ErrOutsideLAN, outsideLAN}, {meet.ErrNoLAN, noLAN}, {meet.ErrNoRelay, needsRelay},
		{meet.ErrRelayAway, relayAway}, {fmt.Errorf("%w (%w)", meet.ErrRelayAway, meet.ErrRelayClock), relayClock},
		{&meet.DeniedError{Reason: meet.DeniedExpired}, linkExpired}, {&meet.DeniedError{Reason: meet.DeniedExpired, Apart: time.Hour}, deniedClock},
		{meet.ErrNoCommonRelay, noCommonRelay}, {&meet.ReplyError{Reason: meet.ReplyExpired}, replyExpired},
		{&meet.ReplyError{Reason: meet.ReplyUnreachable, Err: errors.New("dial 192.0.2.1")}, replyUnreachable}, {&meet.ReplyError{}, replyUnreadable},
	} {
		if got := failureOf(tt.err); got == nil || got.Code != tt.want || got.Detail != "" {
			t.Errorf("%v: %+v, want %q", tt.err, got, tt.want)
		}
	}
}

// TestPathOf: the way to a member is named as the page shows it.
func TestPathOf(t *testing.T) {
	a := &agent{state: firstState(options{})}
	a.state.Network.Relays = []relay{{ID: "own", Addresses: []string{"relais.example:443"}}}
	b := meet.Member{Key: crypto.MeetingKey{2}, Identity: crypto.IdentityKey{2}}
	s := &session{agent: a, members: []meet.Member{b}, relays: []meet.RelayStatus{{Fingerprint: "own"}, {Fingerprint: "theirs", NamedBy: b.Key}}}
	up := func(p meet.Path) (l meet.LinkStats) {
		l.Path, l.Up = p, true
		return l
	}
	for _, tt := range []struct {
		link          meet.LinkStats
		kind, through string
	}{
		{up(meet.Path{Kind: meet.PathUDP}), "direct", ""}, {up(meet.Path{Kind: meet.PathTCP}), "tcp", ""},
		{up(meet.Path{Kind: meet.PathMember, Via: b.Key}), "member", hexKey(b.Identity)}, {up(meet.Path{Kind: meet.PathRelay, Name: "own"}), "relay", "relais.example:443"},
		{up(meet.Path{Kind: meet.PathRelay, Name: "theirs"}), "relay", hexKey(b.Identity)}, {up(meet.Path{Kind: meet.PathRelay, Name: "unknown"}), "relay", ""},
		{meet.LinkStats{Member: meet.Member{Path: meet.Path{Kind: meet.PathTCP}}}, "tcp", ""}, {meet.LinkStats{}, "none", ""},
	} {
		if kind, through := s.pathOf(tt.link); kind != tt.kind || through != tt.through {
			t.Errorf("%+v: %s %s", tt.link.Path, kind, through)
		}
	}
}
