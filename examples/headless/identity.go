package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/huisclos/huisclos/crypto"
)

// maxIdentity is more than the text of an identity has.
const maxIdentity = 4096

// loadIdentity reads an identity from a file, or makes one and the file. It refuses a file that others may read:
// whoever has it is the person.
func loadIdentity(path string) (*crypto.Identity, error) {
	identity, err := readIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return identity, err
	}
	identity, err = makeIdentity(path)
	if errors.Is(err, fs.ErrExist) { // another start was faster
		return readIdentity(path)
	}
	return identity, err
}

func readIdentity(path string) (*crypto.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, badInput("--identity: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, badInput("--identity: %w", err)
	case !info.Mode().IsRegular():
		return nil, badInput("--identity: %s is not a file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, badInput("--identity: others may read %s: run chmod 600 on it, or use another if they have", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return nil, badInput("--identity: %w", err)
	}
	identity, err := crypto.ParseIdentity(string(text))
	clear(text)
	if err != nil {
		return nil, badInput("--identity: %s: %w", path, err)
	}
	return identity, nil
}

func makeIdentity(path string) (*crypto.Identity, error) {
	identity := crypto.GenerateIdentity()
	text, err := identity.Export()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, badInput("--identity: %w", err)
	}
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, badInput("--identity: %w", errors.Join(err, os.Remove(path)))
	}
	return identity, nil
}
