// Package halfopen counts, for each address, the incoming connections whose other end has not proved its key yet. Whoever
// opens connections and says nothing on them takes places that others need; so one address has only some of them.
//
//	Accept(address) ── one more ──▶ waiting ── Secured(address), or 15 s ──▶ not counted
//
// It does no I/O, and knows nothing of who is at the other end.
package halfopen
