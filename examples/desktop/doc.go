// Command desktop is the client a person without technical knowledge opens: one program that shows a page in their own
// browser and takes part in meetings for it.
//
//	browser: captures, plays, shows        agent (this program): the member
//	┌───────────────────────────┐          ┌────────────────────────────────────────────┐
//	│ page ─── requests ────────┼─ socket ─┼▶ agent: one goroutine, the state ─▶ meet   │
//	│      ◀── state, events ───┼──────────┼─                                     ▲  │   │
//	│ RTCPeerConnection ◀───────┼─ WebRTC ─┼▶ bridge: RTP, sealed only by meet ───┘  ▼   │
//	└───────────────────────────┘ 127.0.0.1└──────────────────────────────── members ────┘
//
// What passes between the two is protocol.go, protocol_requests.go and protocol_state.go. The port is guarded by
// package localport, media cross in package bridge, what is kept lies in package store.
//
// Files on their way and a recording lie in package spool, which only the running program can read; the recording is
// made by package recorder. Package instance has one agent for each user, package linkhandler has links open it.
//
// It contacts nobody but members and the page, writes nothing readable unless the person has it, and ends when they
// quit.
package main
