package main

import (
	"fmt"
	"strings"

	"github.com/huisclos/huisclos/meet"
)

type replyData struct {
	Code string `json:"code"` // shows our addresses to whoever has the link too
}

// reachData says from where a link works, and why.
type reachData struct {
	Reach     string        `json:"reach"`              // nowhere, machine, network or everywhere
	Router    string        `json:"router"`             // not asked, no router, no answer, refused, double NAT or mapped
	Protocol  string        `json:"protocol,omitempty"` // by which the router lets others in: PCP, NAT-PMP or UPnP
	Addresses []addressData `json:"addresses"`
}

type addressData struct {
	Address string `json:"address"`
	Network string `json:"network"` // udp or tcp
	Reach   string `json:"reach"`
	By      string `json:"by"` // interface, router or relay
}

// showReach tells what a link shows and from where it works.
func showReach(link meet.Invite, out *output) {
	d := reachData{Reach: link.Reach().String(), Router: link.Router().String(), Protocol: link.RouterProtocol(), Addresses: []addressData{}}
	var texts []string
	for _, at := range link.Reaches() {
		a := addressData{at.Address.String(), at.Network, at.Reach.String(), string(at.By)}
		d.Addresses = append(d.Addresses, a)
		texts = append(texts, fmt.Sprintf("%s %s (%s, %s)", a.Network, a.Address, a.Reach, a.By))
	}
	router := d.Router
	if d.Protocol != "" {
		router += " by " + d.Protocol
	}
	out.event("reach", d, "the link works from: %s; router: %s; it shows %s", d.Reach, router, strings.Join(texts, ", "))
}
