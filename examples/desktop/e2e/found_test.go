//go:build e2e

package e2e

import (
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
)

// directory is a node of a DHT that nobody else uses, on this machine. It returns its address and the DHT's prefix.
func directory(t *testing.T) (node, prefix string) {
	t.Helper()
	prefix = "/cabinet"
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	d, err := kad.New(h, kad.Mode(kad.ModeServer), kad.ProtocolPrefix("/cabinet"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return h.Addrs()[0].String() + "/p2p/" + h.ID().String(), prefix
}

// network opens the settings of the network.
func (p *person) network() {
	p.Helper()
	p.say("nav.settings")
	p.press(".sections li:nth-child(5) button")
	p.until(`document.querySelector("#network-dht") !== null`)
}

// makesBare begins a meeting and makes a link that names no address.
func (p *person) makesBare(screen string) string {
	p.Helper()
	first := p.creates()
	p.press(".meeting-bar button[aria-haspopup]")
	p.say("invite.new")
	p.press("#invite-bare")
	p.screen(screen + "-wanted")
	p.say("invite.make")
	p.until(`S.invite.link !== %s && S.invite.reach.scope === "found" && S.invite.reach.addresses.length === 0`, first)
	p.until(`document.querySelector("dialog[open] .reach.good") !== null`)
	p.screen(screen)
	link := p.copies("invite.copy-link")
	p.press("dialog[open] header button")
	return link
}

// meet lets bob in, who has a link without addresses, and has them see and hear each other.
func meet(t *testing.T, alice, bob *person, link string) {
	t.Helper()
	bob.enters(link, alice)
	a, b := alice.id(), bob.id()
	alice.sees(b, signOfAlice) // they share a browser
	bob.sees(a, signOfAlice)
	bob.hears(a, signOfAlice)
	alice.press("#control-more")
	alice.say("nav.exposure")
	alice.until(`document.querySelectorAll("dialog[open] tbody tr").length > 8`)
}

// TestE2EFoundByDHT: a link that names no address, and a directory of the test's own: who has chosen it too comes in,
// who hasn't is told why not.
func TestE2EFoundByDHT(t *testing.T) {
	t.Parallel()
	node, prefix := directory(t)
	b := browser(t, drive.Devices{Sign: &signOfAlice})
	alice, bob := arrives(t, b, "Maître Alice", "fr"), arrives(t, b, "Bob", "en")
	choose := func(p *person) {
		p.network()
		p.chooses("#network-dht", "own")
		p.types("#dht-nodes", node)
		p.types("#dht-prefix", prefix)
		p.say("save")
		p.until(`S.network.dht.use === "own" && S.network.dht.nodes.length === 1`)
		p.screen("settings-network-dht")
		p.press("dialog[open] header button")
	}
	choose(alice)
	link := alice.makesBare("invite-found-dht")
	bob.refused(link, "no-way-to-find")
	bob.screen("no-way-to-find")
	choose(bob)
	meet(t, alice, bob, link)
	alice.until(`document.querySelector("dialog[open] .exposure-table").innerText.includes((await drive.load("i18n")).t("party.dht"))`)
	alice.screen("exposure-dht")
}
