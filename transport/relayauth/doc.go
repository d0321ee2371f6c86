// Package relayauth says who may use a relay: the tokens of its operator, the tickets
// made from them, the text in which both travel, and the protocol that shows a ticket to
// the relay.
//
//	operator ──URI (addresses, token)──▶ user of the relay
//	                                       │ makes a ticket, by itself
//	                                       ├──────────────▶ /huisclos/relay/1 ──▶ relay checks it
//	                                       └─ pair session ─▶ other member ─────▶ the same
//
// A token never leaves those it was given to; what others in a meeting get, and what the
// relay is shown, is a ticket that expires. A ticket names neither a person nor a meeting.
//
// The package does no network input or output of its own, and never decides where to
// connect. The rules with their IDs (RLY-n) are in meet/SPEC.md.
package relayauth
