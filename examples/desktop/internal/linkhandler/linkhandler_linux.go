package linkhandler

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const supported = true

// places are the .desktop file and the mimeapps.list (XDG Base Directory Specification).
func places() (entryPath, listPath string, err error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return "", "", err
	}
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", "", err
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "applications", entryName), filepath.Join(config, "mimeapps.list"), nil
}

func registered(program string) bool {
	entryPath, listPath, err := places()
	if err != nil {
		return false
	}
	is, err := os.ReadFile(entryPath)
	list, err2 := os.ReadFile(listPath)
	return err == nil && err2 == nil && string(is) == entry(program) && slices.ContainsFunc(strings.Split(string(list), "\n"), isOurs)
}

func register(program string) error {
	entryPath, listPath, err := places()
	if err != nil {
		return err
	}
	return errors.Join(replace(entryPath, func(string) string { return entry(program) }), replace(listPath, withDefault))
}

func unregister() error {
	entryPath, listPath, err := places()
	if err != nil {
		return err
	}
	if err := os.Remove(entryPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(listPath); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return replace(listPath, withoutDefault)
}

// replace writes a file anew, whole or not at all.
func replace(path string, change func(string) string) error {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved // some keep their settings elsewhere
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	next := change(string(old))
	if err == nil && next == string(old) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".huisclos-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(next)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
