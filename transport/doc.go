// Package transport carries opaque bytes between the members of a meeting: no server,
// libp2p and pion underneath, one UDP port for everything.
//
//	                    owner (meet)
//	   Send  Publish  OpenDoor │ Events  Doors   MediaOffer/Answer/Accept  WritePacket  OnPacket
//	    │       │        │     │                          │                    │           ▲
//	    ▼       ▼        ▼     │                          ▼                    ▼           │
//	┌────────┬──────┬────────┐ │              ┌─────────────────────────────────────────────┐
//	│ pair,  │ room │  door  │ │  no ICE path │ Link: sessions, one generation each         │
//	│ media  │gossip│streams │◀┼──────────────│ ICE ─▶ DTLS ─▶ SRTP, two streams each way   │
//	├────────┴──────┴────────┤ │              └──────────────────────┬──────────────────────┘
//	│ gate: members │strangers │                                    │ mediaMux
//	│ libp2p swarm (no identify)│                                    │ who is it for?
//	└──────┬──────────────┬──┘                                      │
//	       │ QUIC         │ TCP+Noise                               │ STUN, DTLS, SRTP
//	       ▼              ▼                                         ▼
//	┌─────────────────┐ ┌─────┐     first byte 64–127, 192–255   ┌──────────┐
//	│    demuxConn ◀──┼─┼─────┼──────────── QUIC ────────────────│ one UDP  │
//	│                 │ │ TCP │     0–3, 20–63, 128–191          │ socket   │
//	└─────────────────┘ └─────┘ ──────────── media ─────────────▶└──────────┘
//
// It knows peers by their Ed25519 meeting keys, and who of them is allowed right now
// (Allow, Revoke). A peer that is not allowed is offered one protocol, the door; it
// can't learn the room's name, its members, or that other protocols exist.
//
// What it never does: it reads nothing of what it carries, keeps nothing on disk, asks
// no third party (no STUN or TURN server, no DNS, no bootstrap node, no relay but those
// in Config.Relays, and, where its owner has it look for them (HoldLimited), nodes that
// carry the signals of hole punching), sends to no other address that neither the user
// nor a member named but, where it may (MapPorts), the default gateway, and logs none. It does not decide
// when to connect, to whom, or who is a member.
//
// # Paths
//
// Pair channel: a reliable, ordered stream of frames per connected member pair. Room:
// GossipSub among members, for what everybody must see. Door: streams of frames with
// anybody, while SetDoorOpen(true). File streams: of frames, between members, as many as there are transfers, so that
// what is long never stands before what is urgent. Media link: two unreliable packet streams (audio and
// video) per member pair; the sealed payload names its own stream, so nothing is
// negotiated when tracks come and go, and no SDP exists. Media streams: where ICE has found no path, media goes by
// streams over whatever connection there is, with little on its way and nothing late (media_stream.go).
//
// Where there is no direct connection, all but the media link goes over a circuit: Noise and yamux end to end inside a
// stream through a member (Reserve, CircuitAddress) or a relay (SetRelays). Every host bridges, for members alone. Once
// a direct connection is up, what is under way moves to it, and the circuit ends. Path tells which it is.
//
// Members' addresses and the media link's signals travel by the caller's means, in its
// pair sessions: that is what authenticates the DTLS fingerprints.
//
// The bytes on the wire are in wire.go, the rules with their IDs (TRA-n) in
// meet/SPEC.md. Package transporttest is the simulated network.
package transport
