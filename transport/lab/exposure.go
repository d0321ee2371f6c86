package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
)

// exposure is what a member says of who could observe what of it: meet.Exposure as headless writes it.
type exposure struct {
	Parties []exposedTo `json:"parties"`
}

type exposedTo struct {
	Party struct {
		Kind      string       `json:"kind"`
		Beyond    bool         `json:"beyond"` // an observer of the lines between a relay, or a bridge, and the others
		Limited   bool         `json:"limited"`
		Name      string       `json:"name"`
		Addresses []netip.Addr `json:"addresses"`
	} `json:"party"`
	Observations []observed `json:"observations"`
}

type observed struct {
	Datum string `json:"datum"`
	Seen  string `json:"seen"`
	Why   string `json:"why"`
}

func readExposure(file string) (e exposure, err error) {
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &e)
	}
	return e, err
}

// contradiction is something that was said and isn't so.
type contradiction struct {
	text string
	leak bool // it was seen, and that is denied
}

// contradictions are what an exposure says that isn't so, of what one party could look at. Where a sight has it in clear,
// what is said to be seen must be found too.
func (p exposedTo) contradictions(who string, found map[string]bool, clear []string) []contradiction {
	var out []contradiction
	for _, o := range p.Observations {
		is, looked := found[o.Datum]
		switch {
		case !looked:
		case o.Seen == "no" && is:
			out = append(out, contradiction{fmt.Sprintf("%s says that its %s isn't seen by %s %s (%s): it is", who, o.Datum, p.Party.Kind, p.Party.Name, o.Why), true})
		case o.Seen == "yes" && !is && slices.Contains(clear, o.Datum):
			out = append(out, contradiction{fmt.Sprintf("%s says that its %s is seen by %s %s (%s): it isn't", who, o.Datum, p.Party.Kind, p.Party.Name, o.Why), false})
		}
	}
	return out
}

// liars is the exposure with one entry turned round, for each entry that can be checked: the audit must name each.
func (p exposedTo) liars(found map[string]bool, clear []string) []exposedTo {
	var out []exposedTo
	for i, o := range p.Observations {
		is, looked := found[o.Datum]
		switch {
		case !looked, o.Seen == "pattern", o.Seen == "part":
			continue
		case o.Seen == "yes" && is:
			o.Seen = "no"
		case o.Seen == "no" && !is && slices.Contains(clear, o.Datum):
			o.Seen = "yes"
		default:
			continue // of what is sealed, the sight has to lie: see leaks
		}
		q := p
		q.Observations = slices.Clone(p.Observations)
		q.Observations[i] = o
		out = append(out, q)
	}
	return out
}

// unnamed are the addresses a member exchanged packets with that nothing it says names. A DHT is named without addresses:
// which nodes are asked, a meeting isn't told.
func (e exposure) unnamed(who string, flows map[flowAt]counts, own, dht []netip.Addr) []string {
	named := slices.Clone(own)
	for _, p := range e.Parties {
		named = append(named, p.Party.Addresses...)
		if p.Party.Kind == "dht" {
			named = append(named, dht...)
		}
	}
	var out []string
	for f, n := range flows {
		other := f.src.Addr()
		if f.out {
			other = f.dst.Addr()
		}
		if f.class != classKernel && !other.IsMulticast() && !contains(named, other) {
			out = append(out, fmt.Sprintf("%s names no party at %v, with which it exchanged %d packets: %v", who, other, n.packets, f.flow))
		}
	}
	slices.Sort(out)
	return out
}
