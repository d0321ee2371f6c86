//go:build release

package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/macho"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// These tests build, which takes minutes: go test -tags release ./examples/desktop/package

// copyTree copies what git knows of the source tree, and what it does not ignore, to dir.
func copyTree(t *testing.T, root, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReproducible makes the Linux release twice: in folders of different names and depths, the second time with an
// empty build cache, in another time zone and with settings that must not matter.
func TestReproducible(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1772600768")
	dirs := []string{filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "a", "much", "longer", "path", "two")}
	var outs []string
	for i, dir := range dirs {
		copyTree(t, root, dir)
		out := filepath.Join(t.TempDir(), "dist")
		if i == 1 {
			t.Setenv("GOCACHE", t.TempDir())
			t.Setenv("TZ", "Asia/Tokyo")
			t.Setenv("GOFLAGS", "-tags=other")
			t.Setenv("GOAMD64", "v3")
		}
		if err := run(t.Context(), dir, out, "linux/amd64", "1.2.3"); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, out)
	}
	names := files(t, outs[0])
	if again := files(t, outs[1]); !slices.Equal(names, again) || len(names) != 3 {
		t.Fatalf("%q, then %q", names, again)
	}
	for _, name := range names {
		one, err := os.ReadFile(filepath.Join(outs[0], name))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(outs[1], name))
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs (%v)", name, err)
		}
		if bytes.Contains(one, []byte(dirs[0])) || bytes.Contains(one, []byte(root)) {
			t.Errorf("%s holds a path of this machine", name)
		}
	}
}

// TestForeign links a small program of ours (this one) for the other systems, and reads what was made of it.
func TestForeign(t *testing.T) {
	tc, err := findToolchain(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	tc.program = mainPackage + "/package"
	for _, target := range targets[:3] {
		program, err := tc.build(t.Context(), target, "1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(program, []byte(tc.root)) {
			t.Errorf("%s: holds a path of this machine", target)
		}
		all, shipped, err := platformFiles(target, program, "1.2.3", "base")
		if err != nil {
			t.Fatal(err)
		}
		if info, err := buildinfo.Read(bytes.NewReader(shipped.data)); err != nil || info.GoVersion != tc.version {
			t.Errorf("%s: %v, %v", target, info, err)
		}
		if target.os == "windows" {
			f, err := pe.NewFile(bytes.NewReader(shipped.data))
			if err != nil || f.OptionalHeader.(*pe.OptionalHeader64).Subsystem != pe.IMAGE_SUBSYSTEM_WINDOWS_GUI {
				t.Errorf("it would open a console (%v)", err)
			}
			if got := len(readResources(t, shipped.data)); got != len(icoSizes)+3 {
				t.Errorf("%d resources", got)
			}
			continue
		}
		checkDarwin(t, target, all, shipped.data)
	}
}

func checkDarwin(t *testing.T, target target, all []entry, program []byte) {
	t.Helper()
	find := func(end string) []byte {
		return all[slices.IndexFunc(all, func(e entry) bool { return strings.HasSuffix(e.name, end) })].data
	}
	if err := verifyMachO(program, find("/Info.plist"), find("/CodeResources")); err != nil {
		t.Errorf("%s: %v", target, err)
	}
	f, err := macho.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range f.Loads {
		const buildVersion = 0x32
		if b := l.Raw(); f.ByteOrder.Uint32(b) == buildVersion && f.ByteOrder.Uint32(b[12:]) != 12<<16 {
			t.Errorf("%s: linked for macOS %#x, Info.plist says %s", target, f.ByteOrder.Uint32(b[12:]), oldestMacOS)
		}
	}
}
