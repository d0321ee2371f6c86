// Package transporttest is a simulated network for transport hosts: latency, loss,
// NATs, partitions and crashes, under the virtual clock of testing/synctest.
//
//	host A ── socket ──┐                                ┌── socket ── host C
//	                   ├── internet (latency, loss, ────┤
//	host B ─ socket ─ NAT      partitions, tap)        NAT ─ socket ── host D
//
// The code under test is the real one: libp2p's QUIC and pion's ICE run over virtual
// sockets (pion's vnet). There is no TCP and no IPv6. A run is repeatable in its
// bounds, not packet for packet, since the libraries above use their own randomness:
// assert bounds.
//
// Make the World inside the bubble, close every host, then the World.
//
// Proxy is apart from that: a real one, on the loopback network, for tests of relays over WebSocket.
package transporttest
