// Package meet holds encrypted meetings that no server takes part in: members are connected to each other directly,
// everything they send is sealed end to end, and who is in is a signed roster that everybody checks.
//
//	inv, _ := meet.ParseInvite("huisclos:1-…")
//	m, err := meet.Join(ctx, inv, meet.Config{Name: "Maître Dupont"})   // waits at the door until admitted
//	m.Publish(track, meet.PublishOptions{})                             // any pion track
//	for e := range m.Events() { … }                                     // who is in, tracks, chat
//
// A meeting is one goroutine that owns all its state; every method talks to it by message and may be called from
// anywhere.
//
//	                     ┌────────────── Meeting's goroutine ───────────────┐
//	methods ──commands──▶│ roster · presence · pair sessions · sender keys  │──events──▶ Events()
//	                     │ door · invitations · chat                        │
//	                     └──▲─────────────────────────────────────────┬─────┘
//	                        │ connected, messages, gossip             │ send, publish, allow, revoke
//	                     ┌──┴──────────────────── transport ──────────▼─────┐
//	pion track ──seal───▶│ media links: sealed packets, no state of its own │──open──▶ RemoteTrack
//	                     └──────────────────────────────────────────────────┘
//
// It contacts nobody but members and writes nothing to disk. The protocol is SPEC.md beside this file, what was
// chosen against what is DECISIONS.md.
package meet
