package house

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of checks into meet/SPEC.md")

const (
	specFile   = "../../meet/SPEC.md"
	tableStart = "## 12. Where each check lives\n"
)

var (
	rule     = regexp.MustCompile(`(?m)^- \*\*([A-Z]{3}-\d+)\*\*`)
	ruleID   = regexp.MustCompile(`\b([A-Z]{3})-(\d+)\b`)
	span     = regexp.MustCompile(`\b([A-Z]{3})-(\d+)(?: to |–)(?:[A-Z]{3}-)?(\d+)\b`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
)

// TestSpecTable checks that every rule of the specification is implemented and tested where the table at its end says,
// and that code and tests name no rule that doesn't exist. Write the table anew with
// go test ./internal/house -run TestSpecTable -update.
func TestSpecTable(t *testing.T) {
	raw, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(raw), tableStart)
	var rules []string
	for _, m := range rule.FindAllStringSubmatch(text, -1) {
		if slices.Contains(rules, m[1]) {
			t.Errorf("%s is there twice", m[1])
		}
		rules = append(rules, m[1])
	}
	if len(rules) < 50 {
		t.Fatalf("only %d rules found", len(rules))
	}
	code, tests := citations(t, "../..")
	for id, where := range code {
		if !slices.Contains(rules, id) {
			t.Errorf("%s cites %s, which isn't in the specification", where[0], id)
		}
	}
	var b strings.Builder
	b.WriteString(tableStart + "\nWritten by `go test ./internal/house -run TestSpecTable -update`, and kept true by that test.\n\n")
	b.WriteString("| check | implemented in | tested by |\n|---|---|---|\n")
	for _, id := range rules {
		if len(code[id]) == 0 {
			t.Errorf("%s is implemented nowhere: no code cites it", id)
		}
		if len(tests[id]) == 0 {
			t.Errorf("%s is tested nowhere: no test cites it", id)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", id, list(code[id]), list(tests[id]))
	}
	want := text + b.String()
	if want == string(raw) {
		return
	}
	if !*update {
		t.Error("the table at the end of meet/SPEC.md isn't true any more: run this test with -update")
		return
	}
	if err := os.WriteFile(specFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func list(all []string) string {
	sort.Strings(all)
	all = slices.Compact(all)
	if len(all) > 4 {
		all = append(all[:4:4], "…")
	}
	return strings.Join(all, ", ")
}

// citations finds which files of code, and which tests, cite each rule.
func citations(t *testing.T, root string) (code, tests map[string][]string) {
	t.Helper()
	code, tests = map[string][]string{}, map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(rel, "internal/house") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			citeTests(filepath.Dir(rel), string(raw), tests)
			return nil
		}
		for _, id := range cited(string(raw)) {
			code[id] = append(code[id], rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return code, tests
}

// citeTests attributes the rules cited in a test file to the functions whose comment or body cites them.
func citeTests(dir, text string, tests map[string][]string) {
	starts := testFunc.FindAllStringSubmatchIndex(text, -1)
	for i, s := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = commentStart(text, starts[i+1][0])
		}
		for _, id := range cited(text[commentStart(text, s[0]):end]) {
			tests[id] = append(tests[id], dir+" "+text[s[2]:s[3]])
		}
	}
}

// commentStart is where the comment before a function begins.
func commentStart(text string, at int) int {
	for at > 0 {
		line := strings.LastIndexByte(text[:at-1], '\n') + 1
		if !strings.HasPrefix(text[line:at], "//") {
			break
		}
		at = line
	}
	return at
}

// cited are the rules a text names, with those inside spans such as "ROS-9 to ROS-11".
func cited(text string) []string {
	var ids []string
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		var from, to int
		_, _ = fmt.Sscan(m[2], &from)
		_, _ = fmt.Sscan(m[3], &to)
		for n := from; n <= to && n < from+30; n++ {
			ids = append(ids, fmt.Sprintf("%s-%d", m[1], n))
		}
	}
	for _, m := range ruleID.FindAllStringSubmatch(text, -1) {
		if isRulePrefix(m[1]) {
			ids = append(ids, m[1]+"-"+m[2])
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// isRulePrefix keeps names such as SHA-256 and RFC-9605 apart from rules.
func isRulePrefix(p string) bool {
	return slices.Contains(strings.Fields("COD IDN INV DOR PAI ROS SYN PRE KEY MED MSG VER ADR GOS STR STA MUT REC FIL ATT CON LEV LAY EXP BRI MST RLY RPL MAP RDV MOD CLK TRA"), p)
}
