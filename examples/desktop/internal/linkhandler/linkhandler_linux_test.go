package linkhandler

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRegister: asked for, it is there, in the user's own folders; undone, nothing is left.
func TestRegister(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	const program = "/opt/a b/huisclos"
	if registered(program) {
		t.Error("registered unasked")
	}
	for range 2 {
		if err := register(program); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "data", "applications", "huisclos.desktop"))
	if err != nil || string(raw) != entry(program) || !registered(program) || registered("/elsewhere") {
		t.Errorf("%s, %v", raw, err)
	}
	for range 2 {
		if err := unregister(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "applications", "huisclos.desktop")); !errors.Is(err, os.ErrNotExist) || registered(program) {
		t.Error(err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "config", "mimeapps.list"))
	if err != nil || string(list) != section+"\n" {
		t.Errorf("%q, %v", list, err)
	}
	// What "go run" and "go test" build is gone soon: nothing is to point there.
	if Available() || !errors.Is(Register(), ErrUnavailable) {
		t.Error("a program that doesn't stay can be registered")
	}
}
