package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestHello runs the program as README says.
func TestHello(t *testing.T) {
	out, err := exec.Command("go", "run", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 || lines[2] != "Claire says: Hello, Paul. Nobody else can read this." {
		t.Fatalf("%s", out)
	}
	claire, paul := bracketed(lines[0]), bracketed(lines[1])
	if claire == "" || claire != paul {
		t.Errorf("%s", out)
	}
}

// bracketed is what stands in brackets.
func bracketed(line string) string {
	_, rest, _ := strings.Cut(line, "[")
	inside, _, _ := strings.Cut(rest, "]")
	return inside
}
