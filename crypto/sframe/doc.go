// Package sframe seals and opens packets with SFrame (RFC 9605), cipher suites
// AES_128_GCM_SHA256_128 and AES_256_GCM_SHA512_128: bytes in, bytes out.
//
//	   base key, KID                        one sealed packet
//	        │                     ┌────────┬──────────────────┬─────────┐
//	HKDF (RFC 9605 §4.4.2)        │ header │    ciphertext    │ tag, 16 │
//	   ┌────┴────┐                └────────┴──────────────────┴─────────┘
//	  key       salt                  │              ▲
//	   │         │ XOR counter        ▼              │
//	   │       nonce ───────▶ AES-GCM, AAD = header ‖ metadata
//	   └────────────────────────▶                    ▲
//	                                             plaintext
//
// A sender holds a Sealer for each KID; it owns the counter, so no nonce is used
// twice. A receiver holds a Key and a ReplayWindow for each KID: ParseHeader says
// which Key, ReplayWindow.Check whether to bother, Key.Open authenticates, and
// only then ReplayWindow.Commit moves the window. RFC 9605 §4.4.1 wants a base key
// used for sealing or for opening, never both, and for sealing by one sender only;
// who distributes keys must see to that, and to never giving one (KID, base key)
// to a second Sealer.
//
// The suites with AES-CTR and HMAC are left out: with their short tags, whoever
// forwards a stream forges a packet after as few as 2^32 tries.
//
// The package never does I/O, never reads a clock, never tries a second key, and
// prints no secret. It does not hide lengths, KIDs or counters, and whoever holds
// a key can seal under it: SFrame authenticates the group of readers, not the
// sender.
package sframe
