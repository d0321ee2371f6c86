// Package crypto holds the cryptography of a meeting (meet/SPEC.md, sections 1 to
// 5, 7 and 8): identities and their bundles, invites, the door handshake, pair
// sessions, sender keys and their readers, sealed media and messages, and the
// words people compare.
//
//	Identity ──signs──▶ Bundle ◀── Incarnation (meeting key, static)
//	   (kept)          (per start)       │
//	                                     ├── DoorInitiator / DoorResponder ──▶ DoorChannel
//	Link ──▶ InviteSecret ──▶ door PSK ──┘        (Noise XXpsk0: knock, lobby)
//	                                     │
//	                                     ├── PairSession (Noise KK and ML-KEM-768)
//	                                     │        carries wraps ──────────┐
//	                                     │                                ▼
//	                                     └── SenderKeys ──seal──▶ ReaderKeys ──▶ plaintext
//	                                              └── KeyAnnounce, to all ──▶ cross-check
//
// Every type here is a value or a state machine that turns bytes into bytes. The
// package never does I/O, never starts a goroutine of its own, never reads a clock
// (time comes in as an argument) and never logs. Randomness comes from crypto/rand.
//
// Types that hold a secret print, log and marshal as "(secret)" (IDN-5). Those that
// outlive a handshake have a Wipe method, which overwrites what Go lets it overwrite
// (IDN-6).
//
// Unless a type says otherwise, a value is for one goroutine at a time.
package crypto
