package meet

import "time"

// LayerChooser decides which layer of one publication one member gets: see Config.NewLayerChooser. It is used by one
// goroutine at a time.
type LayerChooser interface {
	// Choose returns the layer to send from its next key frame on, by its place in rates. It is called about four times a
	// second. Rates are what each layer takes at present, the lowest first, in bit/s, 0 for one that sends nothing; they
	// are valid during the call. Budget is what the link with the member has for it, in bit/s, 0 if that isn't known. A
	// result below 0 says that the next key frame of any will do.
	Choose(now time.Time, rates []int, budget int) int
}

// How layers are chosen (LAY-5).
const (
	// fallAfter is how long a layer may be too much before the member gets a lower one, unless it is twice too much.
	fallAfter = 500 * time.Millisecond
	// riseMargin is how much more than a layer takes there has to be before the member gets it, in percent.
	riseMargin = 125
	// firstRise is how long after a fall a higher one is tried, and longest how long at most: twice as long after
	// each that failed within failedWithin. After proven without a fall it is the first again.
	firstRise    = 3 * time.Second
	longestRise  = 2 * time.Minute
	failedWithin = 15 * time.Second
	proven       = time.Minute
	// probeAfter is how much later one is tried that doesn't fit, if the link has more than is used: an estimate doesn't
	// rise far above what is sent. It may be as many times what the link is estimated to have as probeMost.
	probeAfter = 7 * time.Second
	probeMost  = 3
	// probeTime is how long one that is tried so is kept though it doesn't fit, while the estimate doesn't fall below
	// probeHeld percent of what it was: it grows by 8 % a second, to half as much again as is sent, and falls at once
	// where that is too much.
	probeTime = 12 * time.Second
	probeHeld = 90
)

// steadyChooser gives the highest layer that fits. It is quick to go down and slow to go up, the slower the more often
// that failed: each change costs a key frame, which all who get the layer pay for.
type steadyChooser struct {
	layer int
	tight time.Time     // since when it has been too much; zero: it isn't
	rose  time.Time     // last
	rise  time.Time     // not before
	wait  time.Duration // after a fall
	tried int           // the budget when a layer was tried that doesn't fit; 0: it fitted
}

func newSteadyChooser() LayerChooser { return &steadyChooser{layer: -1, wait: firstRise} }

// Choose implements LayerChooser.
func (c *steadyChooser) Choose(now time.Time, rates []int, budget int) int {
	c.layer = min(c.layer, len(rates)-1)
	lowest, fits, highest := -1, -1, -1
	for i, rate := range rates {
		if rate == 0 {
			continue
		}
		if lowest < 0 {
			lowest = i
		}
		if lowest == i || rate <= budget {
			fits = i
		}
		highest = i
	}
	switch {
	case highest < 0: // nothing is sent at present
	case budget == 0:
		c.layer = highest
	case c.layer < 0 || rates[c.layer] == 0:
		c.layer, c.tight, c.rise = fits, time.Time{}, now
	case rates[c.layer] > budget && c.trying(now, budget):
	case rates[c.layer] > budget && c.layer > lowest:
		c.tooMuch(now, fits, rates[c.layer] > 2*budget)
	default:
		c.tight = time.Time{}
		c.enough(now, rates, budget)
	}
	return c.layer
}

// trying tells whether a layer that doesn't fit is still tried.
func (c *steadyChooser) trying(now time.Time, budget int) bool {
	return c.tried > 0 && now.Sub(c.rose) < probeTime && 100*budget >= probeHeld*c.tried
}

// tooMuch goes down to a layer that fits, if it is time to.
func (c *steadyChooser) tooMuch(now time.Time, fits int, far bool) {
	if c.tight.IsZero() {
		c.tight = now
	}
	if now.Sub(c.tight) < fallAfter && !far {
		return
	}
	switch held := now.Sub(c.rose); {
	case held < failedWithin, c.tried > 0 && held < probeTime+failedWithin:
		c.wait = min(2*c.wait, longestRise)
	case held > proven:
		c.wait = firstRise
	}
	c.layer, c.tight, c.rise = fits, time.Time{}, now.Add(c.wait)
}

// enough goes up to the highest layer that fits well, if it is time to, or tries the next.
func (c *steadyChooser) enough(now time.Time, rates []int, budget int) {
	to, next := c.layer, -1
	for i := c.layer + 1; i < len(rates); i++ {
		if rates[i] == 0 {
			continue
		}
		if next < 0 {
			next = i
		}
		if rates[i]*riseMargin/100 <= budget {
			to = i
		}
	}
	if next < 0 || now.Before(c.rise) {
		return
	}
	if to == c.layer {
		spare := rates[c.layer]*riseMargin/100 <= budget && rates[next] <= probeMost*budget
		if !spare || now.Sub(c.rise) < probeAfter {
			return
		}
		c.layer, c.rose, c.rise, c.tried = next, now, now.Add(firstRise), budget
		return
	}
	c.layer, c.rose, c.rise, c.tried = to, now, now.Add(firstRise), 0
}
