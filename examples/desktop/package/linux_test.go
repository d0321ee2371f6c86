package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDesktopEntry(t *testing.T) {
	got := map[string]string{}
	lines := strings.Split(strings.TrimSpace(desktopEntry), "\n")
	if lines[0] != "[Desktop Entry]" {
		t.Errorf("begins with %q", lines[0])
	}
	for _, line := range lines[1:] {
		key, value, found := strings.Cut(line, "=")
		if !found || value == "" || got[key] != "" {
			t.Errorf("line %q", line)
		}
		got[key] = value
	}
	for key, want := range map[string]string{
		"Type": "Application", "Name": "huisclos", "Exec": "huisclos -- %u", "Icon": "huisclos", "Terminal": "false",
		"MimeType": "x-scheme-handler/huisclos;",
	} {
		if got[key] != want {
			t.Errorf("%s=%s, want %s", key, got[key], want)
		}
	}
	for _, key := range []string{"GenericName", "Comment", "Keywords"} {
		if got[key] == "" || got[key+"[fr]"] == "" {
			t.Errorf("%s is not in both languages", key)
		}
	}
}

// installer unpacks the Linux archive's files and returns a function that runs install.sh as user id in home.
func installer(t *testing.T) func(id, home string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	dir := t.TempDir()
	for _, e := range append(linuxFiles(), entry{"huisclos", 0o755, []byte("the program")}) {
		file := filepath.Join(dir, e.name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, e.data, e.mode); err != nil {
			t.Fatal(err)
		}
	}
	return func(id, home string, args ...string) (string, error) {
		tools := t.TempDir() // before the real ones: an id that answers, and an xdg-mime that changes nothing
		for name, body := range map[string]string{"id": "echo " + id, "xdg-mime": `echo "xdg-mime $*"`, "update-desktop-database": "exit 1"} {
			if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "sh", append([]string{filepath.Join(dir, "install.sh")}, args...)...)
		cmd.Dir = "/"
		cmd.Env = []string{"HOME=" + home, "PATH=" + tools + ":" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

func files(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInstall(t *testing.T) {
	install := installer(t)
	home := filepath.Join(t.TempDir(), "Maître d'Œuvre (été)")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is an update
		if out, err := install("1000", home); err != nil || !strings.Contains(out, "xdg-mime default huisclos.desktop x-scheme-handler/huisclos") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	want := []string{
		".local/bin/huisclos", ".local/share/applications/huisclos.desktop",
		".local/share/icons/hicolor/256x256/apps/huisclos.png", ".local/share/icons/hicolor/scalable/apps/huisclos.svg",
	}
	if got := files(t, home); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("it wrote %q, want %q", got, want)
	}
	program := filepath.Join(home, want[0])
	if info, err := os.Stat(program); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	text, err := os.ReadFile(filepath.Join(home, want[1]))
	if err != nil || string(text) != strings.Replace(desktopEntry, "Exec=huisclos", `Exec="`+program+`"`, 1) {
		t.Errorf("%v\n%s", err, text)
	}

	kept := filepath.Join(home, ".config", "huisclos", "huisclos.age")
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := install("1000", home, "--uninstall"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := files(t, home); len(got) != 1 || got[0] != ".config/huisclos/huisclos.age" {
		t.Errorf("after --uninstall there is %q", got)
	}
}

func TestInstallRefused(t *testing.T) {
	install := installer(t)
	for name, tt := range map[string]struct {
		id, home string
		args     []string
		want     string
	}{
		"root":              {"0", "", nil, "not as root"},
		"quote in the path": {"1000", `a"b`, nil, "can't hold"},
		"dollar":            {"1000", `a$(id)b`, nil, "can't hold"},
		"backquote":         {"1000", "a`id`b", nil, "can't hold"},
		"per cent":          {"1000", `a%ub`, nil, "can't hold"},
		"backslash":         {"1000", `a\b`, nil, "can't hold"},
		"line break":        {"1000", "a\nExec=evil", nil, "can't hold"},
		"an argument":       {"1000", "a", []string{"--prefix=/usr"}, "unknown argument"},
		"root that removes": {"0", "a", []string{"--uninstall"}, "not as root"},
		"no full path":      {"1000", "relative", nil, "not a full path"},
		"empty home":        {"1000", "empty", nil, "HOME is not set"},
	} {
		root := t.TempDir()
		home := filepath.Join(root, tt.home)
		switch tt.home {
		case "relative":
			home = tt.home
		case "empty":
			home = ""
		}
		out, err := install(tt.id, home, tt.args...)
		if err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, %q", name, err, out)
		}
		if got := files(t, root); len(got) != 0 {
			t.Errorf("%s: it wrote %q", name, got)
		}
	}
}
