package lan_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/rendezvous/lan"
)

// part is the environment variable that makes this test program one of the two who meet.
const part = "HUISCLOS_LAN_TEST_PART"

func init() {
	if os.Getenv(part) == "" {
		return
	}
	if err := play(os.Getenv(part)); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play takes part in a meeting that nothing but the local network connects.
func play(what string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := meet.Config{LANOnly: true, Rendezvous: []meet.Rendezvous{lan.New()}, Policy: meet.DefaultPolicy()}
	c.Policy.Entry = meet.EntryOpen
	if what == "create" {
		m, err := meet.Create(ctx, c)
		if err != nil {
			return err
		}
		link, err := m.Invite(ctx, meet.InviteOptions{NoAddresses: true})
		if err != nil {
			return err
		}
		fmt.Println(link)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return m.Close()
	}
	link, err := meet.ParseInvite(os.Getenv("LINK"))
	if err != nil {
		return err
	}
	m, err := meet.Join(ctx, link, c)
	if err != nil {
		return err
	}
	for len(mustMembers(ctx, m)) < 2 {
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Println("met")
	return m.Leave(ctx)
}

// mustMembers are those it is connected to, with itself.
func mustMembers(ctx context.Context, m *meet.Meeting) (all []meet.Member) {
	members, err := m.Members(ctx)
	if err != nil {
		panic(err)
	}
	for _, v := range members {
		if v.Self || v.Connected {
			all = append(all, v)
		}
	}
	return all
}

// TestTwoMachines: two programs in network namespaces that a cable connects, with no route to anywhere, no DNS and no
// address in the link, meet; also where nobody gave them addresses but themselves.
//
// Checks: MOD-2.
func TestTwoMachines(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("needs root on Linux, for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs iproute2")
	}
	for name, subnet := range map[string]string{"private": "192.168.77.%d/24", "self-assigned": "169.254.77.%d/16"} {
		t.Run(name, func(t *testing.T) {
			a, b := cable(t, subnet)
			creator := program(t, a, "create", "")
			in, err := creator.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := creator.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := creator.Start(); err != nil {
				t.Fatal(err)
			}
			link, _ := bufio.NewReader(out).ReadString('\n')
			begun := time.Now()
			said, err := program(t, b, "join", strings.TrimSpace(link)).CombinedOutput()
			if err != nil || !strings.Contains(string(said), "met") {
				t.Errorf("%v: %s (the link: %s)", err, said, link)
			}
			t.Logf("met after %v", time.Since(begun))
			_ = in.Close()
			if err := creator.Wait(); err != nil {
				t.Errorf("the creator: %v", err)
			}
		})
	}
}

// cable makes two namespaces with one cable between them.
func cable(t *testing.T, subnet string) (a, b string) {
	t.Helper()
	run := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Skipf("needs network namespaces: ip %s: %s", strings.Join(args, " "), out)
		}
	}
	a, b = fmt.Sprintf("huisclos-a%d", os.Getpid()), fmt.Sprintf("huisclos-b%d", os.Getpid())
	t.Cleanup(func() {
		_ = exec.Command("ip", "netns", "del", a).Run()
		_ = exec.Command("ip", "netns", "del", b).Run()
	})
	for _, ns := range []string{a, b} {
		run("netns", "add", ns)
	}
	run("link", "add", "cable", "netns", a, "type", "veth", "peer", "name", "cable", "netns", b)
	for i, ns := range []string{a, b} {
		run("-n", ns, "addr", "add", fmt.Sprintf(subnet, i+1), "dev", "cable")
		run("-n", ns, "link", "set", "cable", "up")
	}
	return a, b
}

func program(t *testing.T, namespace, what, link string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "ip", "netns", "exec", namespace, self)
	c.Env = append(os.Environ(), part+"="+what, "LINK="+link)
	return c
}
