package instance

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestInstance: a second start reaches the first, and nobody when it has ended, or was killed.
func TestInstance(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if _, ok := Hand(dir, "x"); ok {
		t.Fatal("somebody is there")
	}
	links := make(chan string, 10)
	i, err := Listen(dir, func(link string) string {
		links <- link
		return "http://127.0.0.1:1/#T"
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"huisclos:1-x", ""} {
		if url, ok := Hand(dir, link); !ok || url != "http://127.0.0.1:1/#T" || <-links != link {
			t.Errorf("%q: %q, %v", link, url, ok)
		}
	}
	if _, ok := Hand(dir, strings.Repeat("x", MaxLink+1)); ok || len(links) > 0 {
		t.Error("a link that is too long was taken")
	}
	c, err := net.Dial("unix", filepath.Join(dir, socketName)) // whoever says nothing holds nobody up
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Hand(dir, ""); !ok {
		t.Error("held up")
	}
	_ = c.Close()
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := Hand(dir, ""); ok {
		t.Error("it goes on")
	}
	if err := os.WriteFile(filepath.Join(dir, socketName), nil, 0o600); err != nil { // what a killed one leaves
		t.Fatal(err)
	}
	if i, err = Listen(dir, func(string) string { return "x" }); err != nil {
		t.Fatal(err)
	}
	if _, ok := Hand(dir, ""); !ok {
		t.Error("nobody is there")
	}
	_ = i.Close()
}

// TestShared: a directory that others may enter is used by neither.
func TestShared(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs modes")
	}
	dir := t.TempDir()
	i, err := Listen(dir, func(string) string { return "x" })
	if err == nil {
		defer func() { _ = i.Close() }()
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, ok := Hand(dir, "secret"); ok {
		t.Error("a link was given to who knows whom")
	}
	if _, err := Listen(dir, nil); !errors.Is(err, ErrShared) {
		t.Error(err)
	}
}
