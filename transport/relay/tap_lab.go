//go:build lab

package relay

import (
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/huisclos/huisclos/transport/internal/tap"
)

// tapFile is where everything goes that the relay can read after its own decryption; nil: nowhere.
var tapFile = func() *tap.File {
	path := os.Getenv("HUISCLOS_RELAY_TAP")
	if path == "" {
		return nil
	}
	f, err := tap.Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return f
}()

// tapped has a stream written down, from its first byte.
func tapped(s network.Stream) network.Stream {
	if tapFile == nil {
		return s
	}
	return tapFile.Wrap(s)
}
