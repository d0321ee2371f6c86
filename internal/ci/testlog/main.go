package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
}

// summary is what a run came to.
type summary struct {
	packages int      // that passed or failed
	failed   []string // packages and builds
	skipped  []string // tests
}

func main() {
	sum, err := digest(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Println("testlog:", err)
		os.Exit(1)
	}
	if problem := sum.problem(); problem != "" {
		fmt.Println("testlog:", problem)
		os.Exit(1)
	}
	fmt.Printf("testlog: %d packages tested, no test failed, none was skipped\n", sum.packages)
}

// problem says why the run does not count, or nothing.
func (s summary) problem() string {
	switch {
	case len(s.failed) > 0:
		return "failed: " + strings.Join(s.failed, ", ")
	case len(s.skipped) > 0:
		return "skipped, which counts as a failure here: " + strings.Join(s.skipped, ", ")
	case s.packages == 0:
		return "no package was tested"
	default:
		return ""
	}
}

// digest copies to out what is worth reading of the events in, and sums them up.
func digest(in io.Reader, out io.Writer) (summary, error) {
	var sum summary
	said := map[string]*strings.Builder{} // by package and test; "" for the package itself
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line == "" && err == io.EOF {
			return sum, nil
		}
		if err != nil && err != io.EOF {
			return sum, err
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			write(out, line) // not an event: something the go command says itself
			continue
		}
		sum.take(e, said, out)
	}
}

// take counts one event and prints what it settles.
func (s *summary) take(e event, said map[string]*strings.Builder, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		write(out, e.Output)
	case "build-fail":
		s.failed = append(s.failed, "build of "+e.ImportPath)
	case "output":
		if said[key] == nil {
			said[key] = new(strings.Builder)
		}
		said[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		s.settle(e, said[key], out)
		delete(said, key)
	}
}

func (s *summary) settle(e event, said *strings.Builder, out io.Writer) {
	text := ""
	if said != nil {
		text = said.String()
	}
	isPackage := e.Test == ""
	switch {
	case isPackage && e.Action == "pass":
		s.packages++
		write(out, closing(text))
	case isPackage && e.Action == "skip": // it has no test files
		write(out, closing(text))
	case isPackage:
		s.packages++
		s.failed = append(s.failed, e.Package)
		write(out, text)
	case e.Action == "fail":
		write(out, text)
	case e.Action == "skip":
		s.skipped = append(s.skipped, e.Package+"."+e.Test)
		write(out, text)
	}
}

// closing returns the line that "go test" ends a package with.
func closing(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") || strings.HasPrefix(line, "?\t") || strings.HasPrefix(line, "\t") {
			return line
		}
	}
	return ""
}

// write has nowhere to report that the log itself can't be written.
func write(out io.Writer, s string) { _, _ = io.WriteString(out, s) }
