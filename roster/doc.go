// Package roster says who is in: signed operations, the line of authority, and the fold of a set of
// operations into one roster; also the heartbeats by which members know that they see the same.
//
// It has no I/O, no goroutine and no clock: time comes in as an argument, bytes come in and go out.
// It never decides anything by the order in which operations arrive, and never forgets one.
//
//	operation bytes, from gossip or reconciliation
//	       │
//	    Set.Add ── refused: malformed, unsigned, by a stranger, over a limit
//	       │  │
//	       │  └─ waiting for its past, shared out among authors
//	    the set (closed under the past)
//	       │
//	     fold: 0. who left
//	       │   1. hosts, down the ranks: Resume; then Remove, SetRole, SetPolicy, End, Invite
//	       │   2. all Admits and plain members' operations, by (depth, hash)
//	       │
//	    Roster: members, roles, policy, hash; and why each void operation is void
//
// The rules are SPEC §6; each is cited where it is enforced.
package roster
