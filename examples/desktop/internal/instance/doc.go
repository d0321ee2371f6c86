// Package instance has a program run once for each user: a second start hands what it was started with to the first.
//
//	second start ── {"link":"huisclos:…"} ──▶ first, at a socket that only this user can reach
//	             ◀── {"url":"http://127.0.0.1:…"} ── and opens that in the browser
//
// The socket lies in a directory that nobody else may enter; one that others may enter isn't used, and each start is
// then its own. It tells who can reach it how to get in, and nothing else; every message and wait has a limit.
package instance
