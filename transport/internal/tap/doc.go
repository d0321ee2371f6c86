// Package tap writes down what a node of the network laboratory can read after its own decryption, so that it can be
// audited: see transport/lab.
//
//	peer ══ QUIC, TLS, Noise ══▶ node ── plain bytes of each stream ──▶ file ──▶ audit
//
// It is in no program that is shipped: the relay has it only when built with the tag "lab".
package tap
