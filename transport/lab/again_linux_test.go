package main

import (
	"context"
	"testing"
	"time"
)

// TestMeasuredAgain: what falls short is measured again, alone, twice at most; what doesn't, once, and so what leaks.
func TestMeasuredAgain(t *testing.T) {
	runs := make([]int, 4)
	var all []experiment
	for i := range runs { // the i-th falls short i times
		all = append(all, experiment{name: string(rune('a' + i)), limit: time.Minute, run: func(_ context.Context, r *result) error {
			if runs[i]++; runs[i] <= i {
				r.fail("late")
			}
			return nil
		}})
	}
	leaks := 0
	all = append(all, experiment{name: "leaky", limit: time.Minute, run: func(_ context.Context, r *result) error {
		if leaks++; leaks == 1 {
			r.breach("a packet to a stranger")
		}
		return nil
	}})
	shown := 0
	results := (&lab{}).measured(t.Context(), all, 2, func(result) { shown++ })
	if r := results[4]; leaks != 1 || len(r.Failures) != 1 {
		t.Errorf("a leak was made good by a repetition: %+v", r)
	}
	for i, r := range results[:4] {
		if want := min(i, repetitions); r.Again != want || runs[i] != 1+want || len(r.Failures) > 0 != (i > repetitions) {
			t.Errorf("%s ran %d times: %+v", r.Name, runs[i], r)
		}
	}
	if shown != 1+2+3+3+1 {
		t.Errorf("%d results were shown", shown)
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs[3] = 0
	(&lab{}).measured(ctx, all[3:4], 1, func(result) { cancel() })
	if runs[3] != 1 {
		t.Errorf("after the end it ran %d times", runs[3])
	}
}
