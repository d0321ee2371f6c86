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

// tappedStream is a stream that is written down.
type tappedStream struct {
	network.Stream
	tap *tap.Stream
}

// tapped has a stream written down, from its first byte.
func tapped(s network.Stream) network.Stream {
	if tapFile == nil {
		return s
	}
	return &tappedStream{s, tapFile.Stream(s.Conn().RemotePeer(), s.Conn().RemoteMultiaddr())}
}

// Read notes what was read.
func (s *tappedStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	if n > 0 {
		s.tap.Note(false, b[:n])
	}
	return n, err
}

// Write notes what was written.
func (s *tappedStream) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	if n > 0 {
		s.tap.Note(true, b[:n])
	}
	return n, err
}
