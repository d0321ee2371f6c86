package main

import (
	"strings"
	"testing"
)

func TestDigest(t *testing.T) {
	const (
		passes = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"quiet words\n"}
{"Action":"pass","Package":"m/a","Test":"TestA","Elapsed":0}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.01s\n"}
{"Action":"pass","Package":"m/a","Elapsed":0.01}
`
		noTests = `{"Action":"output","Package":"m/b","Output":"?   \tm/b\t[no test files]\n"}
{"Action":"skip","Package":"m/b","Elapsed":0}
`
		skips = `{"Action":"output","Package":"m/c","Test":"TestC","Output":"needs a thing\n"}
{"Action":"skip","Package":"m/c","Test":"TestC","Elapsed":0}
{"Action":"output","Package":"m/c","Output":"ok  \tm/c\t0.01s\n"}
{"Action":"pass","Package":"m/c","Elapsed":0}
`
		fails = `{"Action":"output","Package":"m/d","Test":"TestD","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"m/d","Test":"TestD","Elapsed":0}
{"Action":"output","Package":"m/d","Output":"FAIL\tm/d\t0.01s\n"}
{"Action":"fail","Package":"m/d","Elapsed":0}
`
		breaks = `{"ImportPath":"m/e","Action":"build-output","Output":"e.go:1: broken\n"}
{"ImportPath":"m/e","Action":"build-fail"}
{"Action":"output","Package":"m/e","Output":"FAIL\tm/e [build failed]\n"}
{"Action":"fail","Package":"m/e","Elapsed":0,"FailedBuild":"m/e"}
`
		panics = `{"Action":"output","Package":"m/f","Output":"panic: out of TestMain\n"}
{"Action":"fail","Package":"m/f","Elapsed":0}
`
	)
	for _, tt := range []struct {
		name, in string
		problem  string // part of it; empty for a good run
		prints   []string
		hides    []string
	}{
		{"all pass", passes + noTests, "", []string{"ok  \tm/a\t0.01s\n", "[no test files]"}, []string{"quiet words"}},
		{"a package without tests is no skip", passes + noTests + passes, "", nil, nil},
		{"a skipped test", passes + skips, "skipped, which counts as a failure here: m/c.TestC", []string{"needs a thing", "ok  \tm/c"}, nil},
		{"a failed test", passes + fails, "failed: m/d", []string{"want 1, got 2", "FAIL\tm/d"}, []string{"quiet words"}},
		{"a failed build", breaks + passes, "failed: build of m/e, m/e", []string{"e.go:1: broken", "ok  \tm/a"}, nil},
		{"a panic", panics, "failed: m/f", []string{"panic: out of TestMain"}, nil},
		{"failed and skipped", fails + skips, "failed: m/d", nil, nil},
		{"nothing", "", "no package was tested", nil, nil},
		{"only packages without tests", noTests, "no package was tested", nil, nil},
		{"not JSON", "go: cannot find module\n", "no package was tested", []string{"go: cannot find module"}, nil},
		{"last line cut off", strings.TrimSuffix(passes, "\n"), "", []string{"ok  \tm/a"}, nil},
		{"a very long line", `{"Action":"output","Package":"m/d","Test":"TestD","Output":"` + strings.Repeat("x", 1<<20) + "\"}\n" + fails, "failed: m/d", []string{"want 1, got 2"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			sum, err := digest(strings.NewReader(tt.in), &out)
			if err != nil {
				t.Fatal(err)
			}
			problem := sum.problem()
			if tt.problem == "" && problem != "" || !strings.Contains(problem, tt.problem) {
				t.Errorf("problem %q, want %q", problem, tt.problem)
			}
			for _, want := range tt.prints {
				if !strings.Contains(out.String(), want) {
					t.Errorf("does not print %q", want)
				}
			}
			for _, not := range tt.hides {
				if strings.Contains(out.String(), not) {
					t.Errorf("prints %q", not)
				}
			}
		})
	}
}
