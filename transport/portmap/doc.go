// Package portmap has the user's own router let one UDP and one TCP port be reached from outside, and keeps it so until
// it is closed: by PCP (RFC 6887; for IPv6 too, where it opens the firewall), NAT-PMP (RFC 6886) or UPnP IGD (1 and 2).
//
//	             0 ms PCP MAP and NAT-PMP "address?"  ──▶ gateway:5351
//	Mapper ──┤ 250 ms UPnP M-SEARCH, unicast          ──▶ gateway:1900 ──▶ HTTP on the gateway, nowhere else
//	             ◀── external address; watched each minute, renewed at half its life, deleted by Close
//
// It never sends a packet to any address but the default gateway's, never multicasts, never follows a redirect or a URL
// to another address, resolves no name, and believes nothing that comes from another address. What a router answers is
// limited in size and time; a router that lies can cost time and name a wrong address, no more.
//
// It asks only where a router of the user's own can stand in between: of IPv4, if this machine's own address is private.
package portmap
