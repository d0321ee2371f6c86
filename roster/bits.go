package roster

// bits is a set of small numbers: the indices of an operation's past.
type bits []uint64

func newBits(n int) bits { return make(bits, (n+63)/64) }

func (b bits) has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

func (b bits) set(i int) { b[i>>6] |= 1 << (i & 63) }

// union adds c, which is no longer than b.
func (b bits) union(c bits) {
	for i, w := range c {
		b[i] |= w
	}
}

// intersect takes away what isn't in c.
func (b bits) intersect(c bits) {
	for i := range b {
		if i < len(c) {
			b[i] &= c[i]
		} else {
			b[i] = 0
		}
	}
}

// meetsBeyond says whether b and c have something in common that d hasn't.
func (b bits) meetsBeyond(c, d bits) bool {
	for i, w := range b[:min(len(b), len(c))] {
		if w &= c[i]; i < len(d) {
			w &^= d[i]
		}
		if w != 0 {
			return true
		}
	}
	return false
}
