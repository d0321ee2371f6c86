package meet_test

import (
	"bytes"
	"sync"

	"github.com/huisclos/huisclos/transport"
)

// seen is all that reached one host after the network's own decryption.
type seen struct {
	mu     sync.Mutex
	data   [][]byte
	points map[transport.TapPoint]int
}

func (s *seen) tap(at transport.TapPoint, _ transport.PeerKey, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.points == nil {
		s.points = map[transport.TapPoint]int{}
	}
	s.points[at]++
	s.data = append(s.data, bytes.Clone(data))
}

func (s *seen) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data, s.points = nil, nil
}

func (s *seen) contains(needle []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.data {
		if bytes.Contains(d, needle) {
			return true
		}
	}
	return false
}

func (s *seen) count(at transport.TapPoint) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.points[at]
}
