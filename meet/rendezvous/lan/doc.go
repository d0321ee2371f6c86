// Package lan has the doors of a meeting's links found on the local network, by multicast DNS (RFC 6762).
//
//	Announce(topic) ── joins the group, says nothing ◀── who has "q3k…t.local"? ── Find(topic)
//	                └─ "q3k…t.local TXT <sealed addresses>", to who asked and to the group ──▶
//
// The name asked for is a hash of the topic, which changes every hour, and the answer is sealed under the topic: whoever
// listens on the network sees that a machine asks for or has some name, and neither the meeting, nor a peer's ID, nor
// which addresses are in the answer, nor how many. (That it is this program can be told by the form of the name.) Neither
// the machine's name nor anything else about it is said. Nothing is said unasked.
//
// It sends to the group, which no router forwards, and to those on the own subnets who asked. It never sends anything
// else, never answers about anything else, and keeps nothing.
package lan
