// Package dht has the doors of a meeting's links found by a distributed hash table: a private one of nodes the user names,
// or the public libp2p network, if the user names that.
//
//	Announce ─▶ fresh node, client only ─▶ provider record: blinded key of the hour, sealed addresses ─▶ ~20 nodes
//	Find     ─▶ fresh node, client only ─▶ who has a record under the key? ─▶ opened with the topic
//
// The key is a hash of the topic, which changes every hour, the addresses are sealed under the topic, and each
// announcement and each search is made by a node of its own under a key of its own: never the meeting's. The nodes that are
// asked see the address of the computer that asks, when and how often, and that it is this program, by the form of the
// record; not the meeting, nor who is in it, nor at which ports. Records stay with them for up to two days, readable for
// who has the link alone.
//
// Who announces and can't be reached also looks for nodes that offer libp2p's circuit relay (Relays). At two of them the
// meeting's own host reserves, under its meeting key, so that who finds it can have the NATs between them opened: these
// nodes see both addresses and meeting keys, and when, and nothing else (SPEC TRA-26).
//
// The node never serves others, never listens, never runs AutoNAT or a relay, and dials addresses on private networks only
// if a node that the user named has one. The names in records end in .alt (RFC 9476), which is never resolved. Of the
// public network's first nodes the addresses are resolved by DNS, so that the resolver learns that it is used.
//
// Only programs import this package: package meet knows nothing of it.
package dht
