// Package relay is the server with which members reach each other where no direct way
// exists: libp2p's circuit relay v2, for those who have a ticket, and nothing else.
//
//	member A                     relay                     member B
//	   │  /huisclos/relay/1        │                           │
//	   │◀──────── ticket ──────────┼────── ticket ────────────▶│
//	   │                           │◀───── reservation ────────│
//	   ├── circuit to B ──────────▶│ limits: circuits, rate    │
//	   │                           ├── circuit from A ────────▶│
//	   │◀═══════ Noise, yamux: end to end, by the members' keys ═══════▶│
//
// TCP, WebSocket (with and without TLS) and QUIC answer on one port number. The relay sees
// ciphertext, peer IDs that are fresh for each meeting, IP addresses, times and sizes;
// examples/relay/README.md says what follows from that.
//
// What it never does: it dials nobody, asks no third party (no DNS, no AutoNAT, no identify,
// no DHT), keeps nothing on disk, logs no address and no peer, and gives a place to nobody
// without a ticket (RLY-2). Its own limits hold for each peer alone: a peer that sends too
// fast is slowed down, and nobody else (RLY-6).
package relay
