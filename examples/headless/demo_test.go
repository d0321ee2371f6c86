package main

import (
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// testDemo runs the demo in a language.
func testDemo(t *testing.T, language, first, last string) {
	cmd := headless("speaking", "demo")
	cmd.Env = append(cmd.Env, "LC_ALL="+language)
	timer := time.AfterFunc(demoLimit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || !strings.Contains(lines[0], first) || !strings.Contains(lines[len(lines)-1], last) || strings.Contains(string(out), "%!") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestLanguage(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want crypto.Language
	}{
		{nil, crypto.English},
		{map[string]string{"LANG": "fr_CA.UTF-8"}, crypto.French},
		{map[string]string{"LANG": "de_DE.UTF-8"}, crypto.English},
		{map[string]string{"LANG": "fr_FR", "LC_ALL": "C"}, crypto.English},
		{map[string]string{"LANG": "C", "LC_MESSAGES": "fr"}, crypto.French},
	} {
		if got := language(func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.env, got, tt.want)
		}
	}
}
