package sframe

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
)

// Sealer seals the packets of one KID. It owns the key and the counter, so that
// no nonce is used twice (RFC 9605 §9.1). It is safe for concurrent use. It prints
// and logs without its secret.
type Sealer struct {
	key  *Key
	next atomic.Uint64
}

// NewSealer derives the key of kid from baseKey and starts at counter 0. A second
// Sealer of the same suite, kid and base key would repeat the nonces of the first:
// make one for each KID, and never one from stored state. The errors are those of
// NewKey.
func NewSealer(suite CipherSuite, kid uint64, baseKey []byte) (*Sealer, error) {
	key, err := NewKey(suite, kid, baseKey)
	if err != nil {
		return nil, err
	}
	return &Sealer{key: key}, nil
}

// KID returns the key ID.
func (s *Sealer) KID() uint64 { return s.key.kid }

// Seal seals plaintext under the next counter, which it returns. Otherwise it is
// Key.Seal, with its rules on dst and its errors; after CounterLimit packets it
// fails with ErrCounterExhausted. A counter is used up even where sealing fails.
func (s *Sealer) Seal(dst, metadata, plaintext []byte) (sealed []byte, ctr uint64, err error) {
	if s.next.Load() >= CounterLimit { // so that next can't run away and wrap
		return dst, 0, ErrCounterExhausted
	}
	ctr = s.next.Add(1) - 1
	sealed, err = s.key.Seal(dst, ctr, metadata, plaintext)
	if err != nil {
		return dst, 0, err
	}
	return sealed, ctr, nil
}

// Wipe makes every later Seal fail, as Key.Wipe does.
func (s *Sealer) Wipe() { s.key.Wipe() }

// String names the sealer without its secret.
func (s *Sealer) String() string {
	if s == nil {
		return "sframe.Sealer(nil)"
	}
	return fmt.Sprintf("sframe.Sealer(%v, next counter %d)", s.key, s.next.Load())
}

// GoString names the sealer without its secret, for %#v.
func (s *Sealer) GoString() string { return s.String() }

// Format names the sealer without its secret, whatever the verb.
func (s *Sealer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue names the sealer without its secret, for slog.
func (s *Sealer) LogValue() slog.Value { return slog.StringValue(s.String()) }
