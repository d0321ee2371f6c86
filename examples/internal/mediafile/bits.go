package mediafile

// bitReader reads bits, the highest first. Past the end it reads zeros and
// remembers it, so that a parser checks once.
type bitReader struct {
	data []byte
	pos  int
}

func (r *bitReader) bits(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if i := r.pos >> 3; i < len(r.data) {
			v |= uint32(r.data[i]>>(7-r.pos&7)) & 1
		}
		r.pos++
	}
	return v
}

func (r *bitReader) flag() bool { return r.bits(1) == 1 }

// golomb reads an unsigned Exp-Golomb number (H.264 section 9.1).
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; zeros > 31 || r.overrun() {
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

func (r *bitReader) overrun() bool { return r.pos > 8*len(r.data) }
