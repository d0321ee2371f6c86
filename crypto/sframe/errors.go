package sframe

import "errors"

// The errors of this package. They are fixed values, found with errors.Is, and
// hold nothing of keys or packets.
var (
	// ErrAuthentication means: the packet, its header or the metadata is not what was
	// sealed under this key. Drop the packet; there is nothing to retry.
	ErrAuthentication = errors.New("sframe: authentication failed")
	// ErrMalformed means: too short, too long or not the one encoding of its header
	// (RFC 9605 §4.3). Drop the packet.
	ErrMalformed = errors.New("sframe: malformed packet")
	// ErrKeyMismatch means: the header names another KID than the Key's. Choose the Key
	// by ParseHeader, or keep the packet until its key has come.
	ErrKeyMismatch = errors.New("sframe: packet belongs to another key")
	// ErrCounterExhausted means: CounterLimit is reached. Go on under a fresh key.
	ErrCounterExhausted = errors.New("sframe: key used up, a fresh one is needed")
	// ErrTooLarge means: the plaintext is longer than MaxPlaintext. Cut it up.
	ErrTooLarge = errors.New("sframe: plaintext too large")
	// ErrSuite means: the number is not one of the two cipher suites here.
	ErrSuite = errors.New("sframe: unsupported cipher suite")
	// ErrBaseKey means: the base key is shorter than MinBaseKey.
	ErrBaseKey = errors.New("sframe: base key too short")
	// ErrWiped means: the Key was wiped before.
	ErrWiped = errors.New("sframe: key was wiped")
)
