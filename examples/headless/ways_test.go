package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/meet"
)

// TestWays: what the flags say is in the configuration, each mistake gives one sentence, and the public network is used
// only by its name.
func TestWays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relay")
	if err := os.WriteFile(file, []byte("huisclos-relay:nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		want string // in the error; empty for none
		ways int
	}{
		{"--lan-only --mdns", "", 1},
		{"--dht-bootstrap public", "", 1},
		{"--mdns --dht-bootstrap /ip4/9.1.2.3/tcp/4001/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA --dht-prefix /cabinet", "", 2},
		{"--dht-bootstrap example.org", "multiaddr", 0},
		{"--relay " + file, "--relay", 0},
		{"--mdns --proxy http://192.0.2.1:3128", "", 1},
		{"--lan-only --proxy socks5://192.0.2.1:1080", "take one of the two away", 0},
		{"--lan-only --router", "take one of the two away", 0},
		{"--hide-address --router", "take one of the two away", 0},
		{"--relay /nowhere", "--relay", 0},
		{"--hide-address", "name one with --relay", 0},
		{"--hide-address --mdns", "--mdns shows it on the local network: take one of the two away", 0},
		{"--hide-address --dht-bootstrap public", "--dht-bootstrap shows it to the DHT's nodes: take one of the two away", 0},
		{"--lan-only --dht-bootstrap public", "--dht-bootstrap has them leave it: take one of the two away", 0},
	} {
		o, err := parse(append([]string{modeCreate}, strings.Fields(tt.args)...))
		if err != nil {
			t.Fatal(err)
		}
		if len(o.listen) > 0 || o.local() {
			t.Errorf("%s: listens on %v", tt.args, o.listen)
		}
		c := meet.Config{AskRouter: o.router}
		err = o.ways.apply(&c)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.args, err)
		}
		if err == nil && (len(c.Rendezvous) != tt.ways || c.LANOnly != strings.Contains(tt.args, "lan-only")) {
			t.Errorf("%s: %+v", tt.args, c)
		}
	}
}

// TestProxyFlag: a proxy of a kind that can't be used is refused when it is named, not in silence at each dial.
func TestProxyFlag(t *testing.T) {
	for _, text := range []string{"192.0.2.1:3128", "ftp://192.0.2.1", "https://192.0.2.1:3128", "http://", "http://%zz"} {
		if _, err := parse([]string{modeCreate, "--proxy", text}); err == nil || !strings.Contains(err.Error(), "a proxy is like") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
