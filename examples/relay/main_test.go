package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport/relay"
	"github.com/huisclos/huisclos/transport/relayauth"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is written by the program while the test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) wait(t *testing.T, want string) string {
	t.Helper()
	for range 2000 {
		if text := b.String(); strings.Contains(text, want) {
			return text
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no %q in:\n%s", want, b)
	return ""
}

// program is a relay that runs in a directory of its own.
type program struct {
	dir       string
	out, logs buffer
	reload    chan os.Signal
	stop      context.CancelFunc
	done      chan error
}

func start(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	p := &program{dir: dir, reload: make(chan os.Signal, 1), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() { p.done <- run(ctx, p.args(args...), p.reload, &p.out, &p.logs) }()
	t.Cleanup(func() { cancel(); <-p.done; p.done <- nil })
	return p
}

func (p *program) args(more ...string) []string {
	return append([]string{"-listen", "127.0.0.1:0", "-key", filepath.Join(p.dir, "key"), "-tokens", filepath.Join(p.dir, "tokens")}, more...)
}

var uriText = regexp.MustCompile(`huisclos-relay:[A-Za-z0-9_-]+`)

// TestProgram: one command makes key and token and prints what to hand out; it is the same
// after a restart; metrics; a token added and one taken away on SIGHUP; a broken list changes nothing.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := free.Addr().String()
	_ = free.Close()
	p := start(t, dir, "-metrics", metrics)
	uri, err := relayauth.ParseURI(uriText.FindString(p.out.wait(t, "huisclos-relay:")))
	if err != nil {
		t.Fatal(err)
	}
	if len(uri.Addresses) != 3 || !strings.Contains(p.out.String(), uri.Relay.Fingerprint()) {
		t.Errorf("%v", uri.Addresses)
	}
	p.logs.wait(t, "running")
	if strings.Contains(p.logs.String(), uri.Token.Text()) || strings.Contains(p.logs.String(), "huisclos-relay:") {
		t.Error("the log shows a token")
	}
	response, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, want := range []string{"huisclos_relay_connections 0", `huisclos_relay_tickets_total{result="refused"} 0`, "huisclos_relay_relayed_bytes_total 0"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}

	var added bytes.Buffer
	if err := run(t.Context(), p.args("-new-token", "the Lyon office"), nil, &added, io.Discard); err != nil {
		t.Fatal(err)
	}
	second, err := relayauth.ParseURI(uriText.FindString(added.String()))
	if err != nil || second.Token.ID() == uri.Token.ID() || second.Relay != uri.Relay || !strings.Contains(added.String(), "the Lyon office") {
		t.Fatalf("%v\n%s", err, &added)
	}
	p.reload <- syscall.SIGHUP
	p.logs.wait(t, "tokens=2")
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.reload <- syscall.SIGHUP
	p.logs.wait(t, "the tokens stay as they were")

	p.stop()
	if err := <-p.done; err != nil {
		t.Fatal(err)
	}
	p.done <- nil
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte(second.Token.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir, "-quiet")
	if text := again.out.wait(t, "1 tokens"); strings.Contains(text, "huisclos-relay:") || !strings.Contains(text, uri.Relay.Fingerprint()) {
		t.Errorf("with -quiet:\n%s", text)
	}
	again.logs.wait(t, "running")
}

// TestMisconfigured: each thing that is wrong has one sentence, which says what to do.
func TestMisconfigured(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	own := interfaceAddresses
	interfaceAddresses = func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.168.1.2")} }
	defer func() { interfaceAddresses = own }()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"TCP port taken", []string{"-listen", taken.Addr().String()}, "is taken by another program"},
		{"UDP port taken", []string{"-listen", udp.LocalAddr().String()}, "is taken by another program"},
		{"not our address", []string{"-listen", "192.0.2.1:4433"}, "192.0.2.1 is no address of this machine"},
		{"no port", []string{"-listen", "127.0.0.1"}, "want an IP address and a port"},
		{"listen on a name", []string{"-listen", "relay.example:443"}, "relay.example is no IP address"},
		{"two of a family", []string{"-listen", "127.0.0.1:0", "-listen", "127.0.0.2:0"}, "one IPv4 address"},
		{"two ports", []string{"-listen", "127.0.0.1:4433", "-listen", "[::1]:4434"}, "use the same port, 4433"},
		{"nameless token", []string{"-new-token", ""}, "needs a name"},
		{"no number", []string{"-rate", "much"}, "-help lists what there is"},
		{"no public address", []string{"-listen", ":0"}, "say with -public where members reach it"},
		{"public name", []string{"-public", "relay.example"}, "names aren't looked up"},
		{"public nowhere", []string{"-public", "0.0.0.0"}, "members can't reach that address"},
		{"public multiaddress", []string{"-public", "/dns4/relay.example/tcp/443"}, "want an IP address with /udp/443/quic-v1"},
		{"too many public", []string{"-public", "203.0.113.1", "-public", "203.0.113.2", "-public", "203.0.113.3"}, "at most 2 IP addresses"},
		{"flag unknown", []string{"-port", "443"}, "-help lists what there is"},
		{"argument", []string{"443"}, "everything is said by flags"},
		{"limit", []string{"-rate", "0"}, "each limit must be at least 1"},
		{"drain", []string{"-drain", "-1s"}, "must not be below zero"},
		{"key is none", []string{"-key", write("nokey", "hello", 0o600)}, "holds no key"},
		{"key of another kind", []string{"-key", write("rsa", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)}, "no Ed25519 key"},
		{"key is readable", []string{"-key", write("open", "x", 0o644)}, "can be read by others"},
		{"key in no directory", []string{"-key", filepath.Join(dir, "none", "key")}, "can't make"},
		{"tokens are a directory", []string{"-tokens", dir}, "is a directory"},
		{"tokens are none", []string{"-tokens", write("notokens", "# mine\nhello\n", 0o600)}, "line 2: not a token"},
		{"tokens are readable", []string{"-tokens", write("opentokens", "", 0o644)}, "chmod 600"},
		{"metrics port taken", []string{"-metrics", taken.Addr().String()}, "choose another address with -metrics"},
		{"token's name", []string{"-new-token", "a\nb"}, "must be one line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Contains(tt.name, "readable") && runtime.GOOS == "windows" {
				t.Skip("needs Unix file modes")
			}
			fresh := t.TempDir()
			args := []string{"-key", filepath.Join(fresh, "key"), "-tokens", filepath.Join(fresh, "tokens")}
			if !strings.Contains(strings.Join(tt.args, " "), "-listen") {
				args = append(args, "-listen", "127.0.0.1:0")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var logs buffer
			err := run(ctx, append(args, tt.args...), nil, io.Discard, &logs)
			if err == nil {
				t.Fatal("it runs")
			}
			text := sentence(err)
			if !strings.Contains(text, tt.want) || strings.Contains(text, "\n") {
				t.Errorf("%q, want %q", text, tt.want)
			}
			if strings.Contains(logs.String(), "Usage") {
				t.Error("the sentence stands behind all there is")
			}
		})
	}
	t.Run("no permission", func(t *testing.T) { // which tests that run as root can't be refused
		err := fmt.Errorf("x: %w", &relay.ListenError{Network: "TCP", Address: netip.MustParseAddrPort("0.0.0.0:443"), Err: os.NewSyscallError("bind", syscall.EACCES)})
		if text := sentence(err); !strings.Contains(text, "CAP_NET_BIND_SERVICE") {
			t.Error(text)
		}
	})
}

// TestPublic: what members are told, for each form of -public.
func TestPublic(t *testing.T) {
	for public, want := range map[string]string{
		"203.0.113.5":                "/ip4/203.0.113.5/udp/443/quic-v1 /ip4/203.0.113.5/tcp/443 /ip4/203.0.113.5/tcp/443/tls/ws",
		"203.0.113.5:8443":           "/ip4/203.0.113.5/udp/8443/quic-v1 /ip4/203.0.113.5/tcp/8443 /ip4/203.0.113.5/tcp/8443/tls/ws",
		"2001:db8::5":                "/ip6/2001:db8::5/udp/443/quic-v1 /ip6/2001:db8::5/tcp/443 /ip6/2001:db8::5/tcp/443/tls/ws",
		"/ip4/203.0.113.5/tcp/80/ws": "/ip4/203.0.113.5/tcp/80/ws",
	} {
		s := &settings{public: []string{public}}
		got, err := s.publicAddresses(443)
		var texts []string
		for _, a := range got {
			texts = append(texts, a.String())
		}
		if err != nil || strings.Join(texts, " ") != want {
			t.Errorf("%s: %s, %v", public, texts, err)
		}
	}
}
