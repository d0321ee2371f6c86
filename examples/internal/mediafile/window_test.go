package mediafile

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pion/rtp"
)

func TestWindow(t *testing.T) {
	many := func(from uint16, n int) (list []uint16) {
		for i := range n {
			list = append(list, from+uint16(i))
		}
		return list
	}
	for _, c := range []struct {
		what string
		in   []uint16
		out  []uint16
		lost []int // before each of out; nil: -1, then zeros
	}{
		{"in order", many(10, 3), many(10, 3), nil},
		{"over the end of the numbers", many(65534, 4), many(65534, 4), nil},
		{"the first ones swapped", []uint16{12, 10, 11}, many(10, 3), nil},
		{"the first ones swapped at the end of the numbers", []uint16{1, 65535, 0}, many(65535, 3), nil},
		{"twice", []uint16{10, 10, 11, 10}, many(10, 2), nil},
		{"a hole", []uint16{10, 11, 14}, []uint16{10, 11, 14}, []int{-1, 0, 2}},
		{"too late", append(many(10, ReorderWindow+1), 10), many(10, ReorderWindow+1), nil},
		{"a jump", []uint16{10, 20010, 20011}, []uint16{10, 20010, 20011}, []int{-1, 19999, 0}},
	} {
		var w window
		var out []uint16
		var lost []int
		to := func(h *rtp.Header, payload []byte, n int) error {
			if string(payload) != fmt.Sprint(h.SequenceNumber) {
				t.Errorf("%s: payload %q in packet %d", c.what, payload, h.SequenceNumber)
			}
			out, lost = append(out, h.SequenceNumber), append(lost, n)
			return nil
		}
		for _, n := range c.in {
			if err := w.push(&rtp.Header{SequenceNumber: n}, []byte(fmt.Sprint(n)), to); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.flush(to); err != nil {
			t.Fatal(err)
		}
		want := c.lost
		if want == nil {
			want = make([]int, len(c.out))
			want[0] = -1
		}
		if !slices.Equal(out, c.out) || !slices.Equal(lost, want) {
			t.Errorf("%s: %v with %v lost, want %v with %v", c.what, out, lost, c.out, want)
		}
	}
}

// The window reuses its memory.
func TestWindowAllocatesNothing(t *testing.T) {
	var w window
	header, payload := rtp.Header{}, make([]byte, 1000)
	to := func(*rtp.Header, []byte, int) error { return nil }
	push := func() {
		header.SequenceNumber++
		if err := w.push(&header, payload, to); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * ReorderWindow {
		push()
	}
	if n := testing.AllocsPerRun(1000, push); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}
