// Lab is the network laboratory: real members, real NATs, firewalls and routers, on one machine, as root, on Linux.
//
//	go run ./transport/lab                 every pair of network kinds, and the scenarios; exit status 1 if one falls short
//	go run ./transport/lab -write          the same, and the table goes into transport/NETWORKS.md
//	go run ./transport/lab -short          a few cells, for iteration
//	go run ./transport/lab -run 'symmetric' cells and scenarios whose name matches
//	go run ./transport/lab -list           what there is
//
// Each cell is a world of its own:
//
//	 namespace          namespace                                  namespace          namespace
//	┌──────────┐ veth ┌────────────┐ TUN  ┌───────────────┐  TUN ┌────────────┐ veth ┌──────────┐
//	│ headless ├──────┤ router:    ├──────┤ WAN router in ├──────┤ router:    ├──────┤ headless │
//	│ (member) │      │ nftables,  │      │ this process: │      │ nftables   │      │ (member) │
//	└────┬─────┘      │ miniupnpd, │      │ delay, loss,  │      └────────────┘      └────┬─────┘
//	     │            │ proxy      │      │ rate, cuts    │                               │
//	  capture         └────────────┘      └─────┬───┬─────┘                            capture
//	 (AF_PACKET)                         strays │   │ TUN
//	                                        tap ▼   └────── namespace of a public member or relay
//	                                       audit
//
// Only the WAN router joins the namespaces, and it forwards to its own ports alone: no namespace has a link to the
// machine's network, so the laboratory can use addresses that look public. Namespaces have no name and are held open by
// this process alone; members die with it. So nothing is left behind, whatever ends it.
//
// The path of a pair is read off the wire, not from what a member claims. What every host sends is captured and judged:
// to whom it may go, and what may be seen in it. Of a relay, which is built with the tag "lab" for that, and of the
// nodes of a DHT, which this program itself is then, what they can read after their own decryption is audited too.
//
// The package never sends a packet out of its namespaces, never changes the machine's own network, and never ends a
// process that it didn't start.
package main
