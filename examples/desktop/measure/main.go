package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

// The aims.
const (
	hopAim   = 5 * time.Millisecond // p99
	ratioAim = 1.15                 // of the medians
)

func main() {
	seconds := flag.Int("seconds", 12, "how long each part is measured")
	rounds := flag.Int("rounds", 2, "how often direct and through agents take turns")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := report(ctx, time.Duration(*seconds)*time.Second, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func report(ctx context.Context, length time.Duration, rounds int) error {
	up, down, err := hop(ctx, length)
	if err != nil {
		return fmt.Errorf("hop: %w", err)
	}
	fmt.Printf("%-34s %10s %10s %10s %8s\n", "", "p50", "p99", "longest", "of")
	for _, part := range []struct {
		name   string
		delays []time.Duration
	}{{"hop, page to agent", up}, {"hop, agent to page", down}} {
		line(part.name, part.delays)
		verdict(fmt.Sprintf("p99 %v, aim at most %v", percentile(part.delays, 99).Round(10*time.Microsecond), hopAim), percentile(part.delays, 99) <= hopAim)
	}
	direct, agents, err := displayed(ctx, length, rounds)
	if err != nil {
		return fmt.Errorf("camera to screen: %w", err)
	}
	line("camera to screen, direct", direct)
	line("camera to screen, two agents", agents)
	ratio := float64(percentile(agents, 50)) / float64(percentile(direct, 50))
	verdict(fmt.Sprintf("ratio of the medians %.2f, aim at most %.2f", ratio, ratioAim), ratio <= ratioAim)
	return nil
}

func line(name string, d []time.Duration) {
	fmt.Printf("%-34s %10v %10v %10v %8d\n", name, round(percentile(d, 50)), round(percentile(d, 99)), round(slices.Max(d)), len(d))
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func verdict(what string, met bool) {
	fmt.Printf("    %s: %s\n", what, map[bool]string{true: "met", false: "missed"}[met])
}

// percentile is the p-th of a hundred parts.
func percentile(d []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
