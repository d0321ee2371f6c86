package tap

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Record is some bytes of a stream, as the node read or wrote them.
type Record struct {
	Stream  uint64         `json:"stream"`  // of this node, and of one run of it
	Peer    []byte         `json:"peer"`    // the public key of who is at the other end of the connection
	Address netip.AddrPort `json:"address"` // and where
	Out     bool           `json:"out"`     // written by the node
	Data    []byte         `json:"data"`
}

// File is where records go, one JSON object a line. Its methods may be called from any goroutine.
type File struct {
	streams atomic.Uint64
	mu      sync.Mutex
	file    *os.File
	err     error
}

// Open opens a file to append to.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &File{file: f}, err
}

// Close closes it. The error is the first that occurred: then records are missing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.err, f.file.Close())
}

// Stream is one stream that is written down.
type Stream struct {
	file *File
	like Record
}

// Stream begins one with a peer.
func (f *File) Stream(id peer.ID, remote ma.Multiaddr) *Stream {
	s := &Stream{file: f, like: Record{Stream: f.streams.Add(1)}}
	if key, err := id.ExtractPublicKey(); err == nil {
		s.like.Peer, _ = key.Raw()
	}
	if len(remote) >= 2 {
		if a, err := manet.ToNetAddr(remote[:2]); err == nil {
			s.like.Address, _ = netip.ParseAddrPort(a.String())
		}
	}
	return s
}

// Wrap has a stream of a host's written down, from its next byte.
func (f *File) Wrap(s network.Stream) network.Stream {
	return &wrapped{s, f.Stream(s.Conn().RemotePeer(), s.Conn().RemoteMultiaddr())}
}

type wrapped struct {
	network.Stream
	tap *Stream
}

func (w *wrapped) Read(b []byte) (int, error)  { return w.tap.Read(w.Stream, b) }
func (w *wrapped) Write(b []byte) (int, error) { return w.tap.Write(w.Stream, b) }

// Read reads, and notes what was read.
func (s *Stream) Read(from io.Reader, b []byte) (int, error) {
	n, err := from.Read(b)
	if n > 0 {
		s.Note(false, b[:n])
	}
	return n, err
}

// Write writes, and notes what was written.
func (s *Stream) Write(to io.Writer, b []byte) (int, error) {
	n, err := to.Write(b)
	if n > 0 {
		s.Note(true, b[:n])
	}
	return n, err
}

// Note writes down bytes that the node wrote (out) or read.
func (s *Stream) Note(out bool, data []byte) {
	r := s.like
	r.Out, r.Data = out, data
	line, err := json.Marshal(r)
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	if err == nil {
		_, err = s.file.file.Write(append(line, '\n'))
	}
	if s.file.err == nil {
		s.file.err = err
	}
}

// Read returns the records of a file; what is being written just now is left out.
func Read(path string) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var all []Record
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
}
