package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// quietPart is the environment variable that makes this test program one of the three of TestQuiet; its value is router, host
// or guest, and a directory in which they find each other.
const quietPart = "HUISCLOS_QUIET_TEST_PART"

const (
	quietHost, quietGuest, quietRouter = "192.168.78.1", "192.168.78.2", "192.168.78.254"
	quietWatch                         = 2 * time.Second // in which nothing may be sent
)

// TestQuiet: the program as it is without any settings, in a network namespace with a route to everywhere, where each packet
// that leaves is seen. Nothing leaves before a meeting is made, nothing when it is and has a link, nothing but to the guest
// when there is one; to the router only when the person says so, which also shows that packets there would have been seen.
func TestQuiet(t *testing.T) { // alone: its parts are this test in other processes
	if part := os.Getenv(quietPart); part != "" {
		who, dir, _ := strings.Cut(part, " ")
		map[string]func(*testing.T, string){"router": quietAsRouter, "host": quietAsHost, "guest": quietAsGuest}[who](t, filepath.Join(dir, "link"))
		return
	}
	if testing.Short() {
		t.Skip("waits for what may not come")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs iproute2")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	process := map[string]int{}
	for _, who := range []string{"router", "host", "guest"} {
		cmd := exec.CommandContext(ctx, self, "-test.run", "^TestQuiet$", "-test.v", "-test.timeout", "50s")
		cmd.Env = []string{quietPart + "=" + who + " " + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		process[who] = cmd.Process.Pid
		parts.Go(func() {
			err := cmd.Wait()
			t.Logf("%s:\n%s", who, &out)
			if err != nil || !strings.Contains(out.String(), "--- PASS: TestQuiet") {
				t.Errorf("%s: %v", who, err)
			}
		})
	}
	for _, who := range []string{"host", "guest"} {
		quietly(t, fmt.Sprintf("link add cable netns %d type veth peer name to-%s netns %d", process[who], who, process["router"]))
	}
}

// quietly has the system's network changed.
func quietly(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
}

// quietLink waits until a cable is plugged in.
func quietLink(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := net.InterfaceByName(name); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// quietPlug joins the network of the router, which leads to everywhere.
func quietPlug(t *testing.T, address string) {
	t.Helper()
	quietLink(t, "cable")
	quietly(t, "link set lo up", "addr add "+address+"/24 dev cable", "link set cable up", "route add default via "+quietRouter)
}

func quietAsRouter(t *testing.T, file string) {
	quietly(t, "link set lo up", "link add lan type bridge", "addr add "+quietRouter+"/24 dev lan", "link set lan up")
	for _, end := range []string{"to-host", "to-guest"} {
		quietLink(t, end)
		quietly(t, "link set dev "+end+" master lan up")
	}
	awaitFile(t, file+".over")
}

// leaving counts the packets that leave this machine, by where to. What the kernel says by itself isn't counted: IPv6's
// neighbour discovery and multicast groups (ICMPv6).
type leaving struct {
	mu sync.Mutex
	to map[string]int
}

func watchLeaving(t *testing.T) *leaving {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, int(binary.NativeEndian.Uint16([]byte{0, syscall.ETH_P_ALL})))
	if err != nil {
		t.Fatal(err)
	}
	wait := syscall.Timeval{Usec: 100_000}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	l := &leaving{to: map[string]int{}}
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done; _ = syscall.Close(fd) })
	go func() {
		defer close(done)
		b := make([]byte, 1<<16)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, from, err := syscall.Recvfrom(fd, b, 0)
			link, ok := from.(*syscall.SockaddrLinklayer)
			if err != nil || !ok || link.Pkttype != syscall.PACKET_OUTGOING || link.Hatype == syscall.ARPHRD_LOOPBACK {
				continue
			}
			if to := destination(b[:n]); to != "" {
				l.mu.Lock()
				l.to[to]++
				l.mu.Unlock()
			}
		}
	}()
	return l
}

// destination is where a packet goes, or for what it asks; empty for ICMPv6.
func destination(b []byte) string {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[16:20])).String()
	case len(b) >= 40 && b[0]>>4 == 6:
		if b[6] == syscall.IPPROTO_ICMPV6 || b[6] == 0 && len(b) > 40 && b[40] == syscall.IPPROTO_ICMPV6 {
			return ""
		}
		return netip.AddrFrom16([16]byte(b[24:40])).String()
	case len(b) >= 28 && b[0] == 0 && b[1] == 1: // ARP
		return netip.AddrFrom4([4]byte(b[24:28])).String()
	}
	return fmt.Sprintf("somewhere: %x", b[:min(len(b), 28)])
}

// only fails if a packet left for elsewhere than these.
func (l *leaving) only(t *testing.T, when string, allowed ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%s: %v", when, l.to)
	for to, n := range l.to {
		if !slices.Contains(allowed, to) {
			t.Errorf("%s %d packets left for %s", when, n, to)
		}
	}
}

func (l *leaving) count(to string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to[to]
}

// begin sends a request and doesn't wait for the reply.
func (p *testPage) begin(do string) {
	p.t.Helper()
	p.mu.Lock()
	p.next++
	id := p.next
	p.replies[id] = make(chan map[string]json.RawMessage, 1)
	p.mu.Unlock()
	if err := p.socket.WriteJSON(map[string]any{"do": do, "id": id}); err != nil {
		p.t.Fatal(err)
	}
}

// asShipped has an agent be as it is without any flags.
func asShipped(o *options) {
	o.listen, o.wordless, o.language = nil, false, ""
}

func quietAsHost(t *testing.T, file string) {
	quietPlug(t, quietHost)
	l := watchLeaving(t)
	p := openPage(t, startAgent(t, asShipped))
	p.name("Maître Dupont")
	time.Sleep(quietWatch)
	l.only(t, "before there is a meeting")
	p.must("create", nil)
	p.until("invitation", func() bool { return part[*invitation](p, "invite") != nil })
	time.Sleep(quietWatch)
	l.only(t, "when there is one, with a link")
	if err := os.WriteFile(file+".new", []byte(get[*invitation](p, "invite").Link), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	p.until("knock", func() bool { return len(part[[]knock](p, "knocks")) == 1 })
	p.must("admit", map[string]any{"member": get[[]knock](p, "knocks")[0].ID})
	p.until("two members", func() bool { return len(connected(part[[]member](p, "members"))) == 2 })
	time.Sleep(quietWatch)
	l.only(t, "with a guest", quietGuest)
	p.begin("reach-ask-router")
	for end := time.Now().Add(10 * time.Second); l.count(quietRouter) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the router wasn't asked, or it wasn't seen: the test shows nothing")
		}
	}
	if err := os.WriteFile(file+".over", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func quietAsGuest(t *testing.T, file string) {
	quietPlug(t, quietGuest)
	l := watchLeaving(t)
	p := openPage(t, startAgent(t, asShipped))
	p.name("Ada")
	link := awaitFile(t, file)
	l.only(t, "before it joins")
	p.must("join", map[string]any{"link": string(link)})
	p.untilPhase("meeting")
	awaitFile(t, file+".over")
	l.only(t, "in the meeting", quietHost)
}

func awaitFile(t *testing.T, name string) []byte {
	t.Helper()
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(name); err == nil {
			return b
		}
	}
	t.Fatalf("no %s", name)
	return nil
}
