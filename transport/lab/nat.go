package main

// rules is the nftables script of a router of a kind. Its outer interface is "wan", its inner one "lan".
//
// The input chain drops what the router's own NAT doesn't know. Without it the kernel would note a peer's early packet
// as a conversation with the router, and give the conversation that is meant another port: no home router does that.
func (k kind) rules() string {
	inside := `iifname "lan" accept`
	switch k {
	case kindNoUDP:
		inside = `iifname "lan" meta l4proto != udp accept`
	case kindOnly443:
		inside = `iifname "lan" tcp dport 443 accept`
	case kindProxy:
		inside = ``
	}
	older := ``
	if k == kindNATPMP { // miniupnpd can't be told to speak NAT-PMP, whose version is 0, without PCP, whose version is 2
		older = `udp dport 5351 @th,64,8 2 drop`
	}
	// miniupnpd keeps its chains in the table "igd".
	filter := `
table inet igd {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		ct status dnat accept
		jump miniupnpd
		` + inside + `
	}
	chain input {
		type filter hook input priority 0; policy drop;
		` + older + `
		iifname != "wan" accept
		ct state established,related accept
		meta l4proto { icmp, ipv6-icmp } accept
	}
	chain miniupnpd { }
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		jump prerouting_miniupnpd
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		jump postrouting_miniupnpd
	}
	chain prerouting_miniupnpd { }
	chain postrouting_miniupnpd { }
}
`
	switch k {
	case kindPublic, kindIPv6:
		return filter
	case kindFullCone:
		return filter + fullCone
	case kindSymmetric:
		return filter + masquerade("fully-random")
	}
	return filter + masquerade("persistent")
}

func masquerade(how string) string {
	return `
table ip nat {
	chain postrouting {
		type nat hook postrouting priority 101; policy accept;
		oifname "wan" masquerade ` + how + `
	}
}
`
}

// fullCone learns the outer port of each inner one from the first packet that leaves, and sends whatever comes to that
// port there, whoever it is from.
const fullCone = `
table ip nat {
	map cone {
		type inet_proto . inet_service : ipv4_addr . inet_service
		size 65535
		flags dynamic,timeout
		timeout 5m
	}
	chain postrouting {
		type nat hook postrouting priority 101; policy accept;
		oifname "wan" masquerade persistent
	}
	chain learn {
		type filter hook postrouting priority 110; policy accept;
		oifname "wan" meta l4proto udp update @cone { meta l4proto . udp sport timeout 5m : ct original ip saddr . ct original proto-src }
	}
	chain prerouting {
		type nat hook prerouting priority -101; policy accept;
		iifname "wan" dnat to meta l4proto . th dport map @cone
	}
}
`
