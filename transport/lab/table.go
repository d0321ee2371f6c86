package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// line is a result on the terminal.
func (r *result) line() string {
	if r.Pending != "" {
		return fmt.Sprintf("----  %-34s %s\n", r.Name, r.Pending)
	}
	var b strings.Builder
	status := "ok"
	if len(r.Failures) > 0 {
		status = "FAIL"
	}
	fmt.Fprintf(&b, "%-4s  %-34s", status, r.Name)
	if r.A != "" {
		for _, s := range r.Sides {
			fmt.Fprintf(&b, "  %-6v %s %s %s direct %s", s.Path, milliseconds(s.First), milliseconds(s.RTT), percent(s.Loss), milliseconds(s.Direct))
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "  %s;", n)
	}
	if r.Again > 0 {
		fmt.Fprintf(&b, "  %s;", r.repetition())
	}
	fmt.Fprintf(&b, "  (%.1f s)\n", r.Took.Seconds())
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "        %s\n", f)
	}
	return b.String()
}

func milliseconds(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

// repetition says that the figures aren't the first.
func (r *result) repetition() string {
	if r.Again == 1 {
		return "measured again, alone"
	}
	return fmt.Sprintf("measured again, alone, %d times", r.Again)
}

// remarks are the last column of the tables.
func (r *result) remarks() string {
	all := slices.Clone(r.Failures)
	if r.Again > 0 {
		all = append(all, r.repetition())
	}
	return strings.Join(all, "; ")
}

func tally(all []result) (failed, pending int) {
	for _, r := range all {
		if len(r.Failures) > 0 {
			failed++
		}
		if r.Pending != "" {
			pending++
		}
	}
	return failed, pending
}

// repeated are how many were measured again, and how many of them twice.
func repeated(all []result) (once, twice int) {
	for _, r := range all {
		if r.Again > 0 {
			once++
		}
		if r.Again > 1 {
			twice++
		}
	}
	return once, twice
}

// How many may be measured again. At first three run beside each other, on two processors as a rule, so that a good part may
// have to be where the machine does something else besides. What is late again when the laboratory runs nothing else isn't due
// to the laboratory; where that is more than one in ten, it isn't due to the machine either.
const (
	onceShare   = 3
	twiceShare  = 10
	repeatedFew = 3 // or so many, where there are few
)

// tooMany says so if too many were measured again.
func tooMany(all []result) error {
	once, twice := repeated(all)
	if once > max(repeatedFew, len(all)/onceShare) || twice > max(repeatedFew, len(all)/twiceShare) {
		return fmt.Errorf("%d of %d had to be measured again, %d of them twice: too many to be due to what else the machine does", once, len(all), twice)
	}
	return nil
}

// both writes one cell of the table for two directions: one value if they agree.
func both(a, b string) string {
	if a == b {
		return a
	}
	return a + " / " + b
}

// tables are the results as Markdown.
func tables(all []result) string {
	var b strings.Builder
	once, twice := repeated(all)
	fmt.Fprintf(&b, "%d of %d cells and scenarios were measured again, %d of them twice.\n\n", once, len(all), twice)
	b.WriteString("| A | B | path | first media | direct media after signalling | round trip | loss | |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		if r.A == "" {
			continue
		}
		if r.Pending != "" {
			fmt.Fprintf(&b, "| %s | %s | | | | | | not run: %s |\n", r.A, r.B, r.Pending)
			continue
		}
		x, y := r.Sides[0], r.Sides[1]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.A, r.B,
			both(x.Path.String(), y.Path.String()), both(milliseconds(x.First), milliseconds(y.First)),
			both(milliseconds(x.Direct), milliseconds(y.Direct)), both(milliseconds(x.RTT), milliseconds(y.RTT)),
			both(percent(x.Loss), percent(y.Loss)), r.remarks())
	}
	b.WriteString("\n| scenario | figures | |\n|---|---|---|\n")
	for _, r := range all {
		switch {
		case r.A != "":
		case r.Pending != "":
			fmt.Fprintf(&b, "| %s | | not run: %s |\n", r.Name, r.Pending)
		default:
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Name, strings.Join(r.Notes, "; "), r.remarks())
		}
	}
	return b.String()
}

// The tables in the file stand between these lines.
const (
	tablesBegin = "<!-- lab: begin -->\n"
	tablesEnd   = "<!-- lab: end -->\n"
)

// writeTables puts the results into a file, in the place of the last ones.
func writeTables(file string, all []result) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if text, err = replaceTables(text, tables(all)); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, text, 0o644)
}

func replaceTables(text []byte, with string) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(tablesBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tablesEnd))
	if !ok || !ok2 {
		return nil, fmt.Errorf("no place for the tables: it is between %q and %q", tablesBegin, tablesEnd)
	}
	return bytes.Join([][]byte{before, []byte(tablesBegin), []byte(with), []byte(tablesEnd), after}, nil), nil
}
