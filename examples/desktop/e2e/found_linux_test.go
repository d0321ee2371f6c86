//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/huisclos/huisclos/examples/desktop/internal/drive"
)

// apart runs the test in another process, whose network is a cable with this machine at both ends and nothing else. It
// returns whether this is that process.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alreadyApart) != "" {
		for _, line := range []string{
			"link set lo up", "link add cable type veth peer name end", "link set cable up", "link set end up", "addr add 192.168.77.1/24 dev cable",
		} {
			if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v\n%s", line, err, out)
			}
		}
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("needs root for a network of its own")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs iproute2")
	}
	t.Parallel()
	c := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.timeout", "4m")
	c.Env = append(os.Environ(), alreadyApart+"="+program)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// TestE2EFoundOnLAN: two who stay on their local network, where nothing leads elsewhere, meet by a link that names no
// address.
func TestE2EFoundOnLAN(t *testing.T) {
	if !apart(t) {
		return
	}
	b := browser(t, drive.Devices{Sign: &signOfAlice})
	alice := arrives(t, b, "Maître Alice", "fr", "-listen", "0.0.0.0:0")
	bob := arrives(t, b, "Bob", "en", "-listen", "0.0.0.0:0")
	for _, p := range []*person{alice, bob} {
		p.network()
		p.press("#network-lan")
		p.press("#network-findOnLAN")
		p.until(`S.network.mode === "lan" && S.network.findOnLAN && document.querySelector("#network-dht").disabled`)
		p.screen("settings-network-lan-" + p.name)
		p.press("dialog[open] header button")
	}
	meet(t, alice, bob, alice.makesBare("invite-found-lan"))
	alice.until(`document.querySelector("dialog[open] .exposure-table").innerText.includes((await drive.load("i18n")).t("party.local-network"))`)
	alice.screen("exposure-lan")
}
