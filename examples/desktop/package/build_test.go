package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVersion(t *testing.T) {
	for given, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-rc.1+x": "1.2.3-rc.1+x", "a14135d-dirty": "a14135d-dirty",
		"1 -X main.x=y": "", "-rf": "", "../1": "", `1"`: "", strings.Repeat("1", 65): "",
	} {
		got, err := toolchain{}.chooseVersion(t.Context(), given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", given, got, err)
		}
	}
	for version, want := range map[string][3]uint32{
		"1.2.3": {1, 2, 3}, "10.20.30-rc1": {10, 20, 30}, "1.2": {}, "a14135d": {}, "1.2.3x": {}, "99999.1.1": {},
	} {
		if got := numeric(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	if all, err := parseTargets(""); err != nil || len(all) != 5 {
		t.Errorf("%v, %v", all, err)
	}
	if two, err := parseTargets("linux/arm64,darwin/arm64"); err != nil || two[1].platform() != "macos-arm64" || two[0].String() != "linux/arm64" {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := parseTargets("plan9/386"); err == nil {
		t.Error("a target without release was taken")
	}
}

func TestSourceTime(t *testing.T) {
	for given, want := range map[string]int64{"1772600768": 1772600768, "0": 0, "soon": 0, "4354819200": 0, "": 0} {
		t.Setenv("SOURCE_DATE_EPOCH", given)
		got, err := toolchain{}.sourceTime(t.Context())
		if want == 0 && err == nil || want != 0 && got.Unix() != want {
			t.Errorf("%q: %v, %v", given, got, err)
		}
	}
}

// TestEnvironment gives settings that would change the programs, and expects them gone.
func TestEnvironment(t *testing.T) {
	for _, pair := range [][2]string{
		{"GOFLAGS", "-tags=other"}, {"GOAMD64", "v3"}, {"GOOS", "plan9"}, {"CGO_CFLAGS", "-O0"}, {"GODEBUG", "madvdontneed=1"},
	} {
		t.Setenv(pair[0], pair[1])
	}
	tc, err := findToolchain(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range tc.env {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "GO") && !slices.Contains(fixed, pair) && !slices.Contains(carried, name) || strings.HasPrefix(name, "CGO_") && pair != "CGO_ENABLED=0" {
			t.Errorf("%s=%s reaches the build", name, value)
		}
	}
	if !slices.Contains(tc.env, "GOAMD64=v1") || tc.version == "" || tc.goroot == "" {
		t.Errorf("%+v", tc)
	}
	if _, err := findToolchain(t.Context(), t.TempDir()); err == nil {
		t.Error("a folder outside the source tree was taken")
	}
}

func TestPlatformFiles(t *testing.T) {
	programs := map[string][]byte{"windows": testPE(), "darwin": testMachO(false), "linux": []byte("the program")}
	for _, target := range targets {
		all, shipped, err := platformFiles(target, programs[target.os], "1.2.3", "base")
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, e := range all {
			names[filepath.Base(e.name)] = true
			if target.os == "linux" && !strings.HasPrefix(e.name, "base/") {
				t.Errorf("%s lies outside the archive's folder", e.name)
			}
			if executable := e.mode == 0o755; executable != (e.name == shipped.name || e.name == "base/install.sh") {
				t.Errorf("%s has mode %v", e.name, e.mode)
			}
		}
		if !names["README.txt"] || !names["LISEZMOI.txt"] || len(shipped.data) == 0 {
			t.Errorf("%s: %v", target, names)
		}
	}
}

func TestReadmes(t *testing.T) {
	for _, system := range []string{"windows", "darwin", "linux"} {
		for _, language := range []string{"en", "fr"} {
			text, err := readme(system, language, "1.2.3")
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.Valid(text) || bytes.Contains(text, []byte("VERSION")) || !bytes.Contains(text, []byte("huisclos 1.2.3")) {
				t.Errorf("%s %s: %q", system, language, text[:40])
			}
			if crlf := bytes.Count(text, []byte("\r\n")) == bytes.Count(text, []byte("\n")); crlf != (system == "windows") {
				t.Errorf("%s %s: line ends", system, language)
			}
			for line := range strings.Lines(string(text)) {
				if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 92 {
					t.Errorf("%s %s: %d characters: %s", system, language, n, line)
				}
			}
		}
	}
}

// TestGuides keeps the guides to what is released.
func TestGuides(t *testing.T) {
	for _, name := range []string{"INSTALL.md", "INSTALL.fr.md"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			if want := "`huisclos-…-" + target.platform() + archiveExtension(target) + "`"; !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s does not name %s", name, want)
			}
		}
		for _, want := range []string{"SHA256SUMS", "SmartScreen", "Gatekeeper", "Chromium", "Firefox", "Safari", "HKEY_CURRENT_USER", "--uninstall"} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s does not speak of %s", name, want)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	published := map[string][]byte{"b.zip": []byte("b"), "a.zip": []byte("a")}
	sums := checksums(published)
	want := fmt.Sprintf("%x  a.zip\n%x  b.zip\n", sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b")))
	if string(sums) != want {
		t.Errorf("%s, want\n%s", sums, want)
	}
	published["SHA256SUMS"] = sums
	folder := filepath.Join(t.TempDir(), "new", "dist")
	if err := write(folder, published); err != nil {
		t.Fatal(err)
	}
	if got := files(t, folder); len(got) != 3 {
		t.Errorf("it wrote %q", got)
	}
}
