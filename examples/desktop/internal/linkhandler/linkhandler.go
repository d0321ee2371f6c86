package linkhandler

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Scheme is that of the links.
const Scheme = "huisclos"

// ErrUnavailable says that this system, or where the program lies, doesn't allow it.
var ErrUnavailable = errors.New("links can't be opened with this program here")

// Available reports whether it can be asked for.
func Available() bool {
	_, err := program()
	return supported && err == nil
}

// Registered reports whether links are opened with this program.
func Registered() bool {
	path, err := program()
	return err == nil && registered(path)
}

// Register has links opened with this program. ErrUnavailable, and the system's errors.
func Register() error {
	path, err := program()
	if err != nil || !supported {
		return ErrUnavailable
	}
	return register(path)
}

// Unregister undoes that, wherever the program was then.
func Unregister() error {
	if !supported {
		return ErrUnavailable
	}
	return unregister()
}

// program is where this program lies, if it stays there: not what "go run" builds.
func program() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if strings.Contains(path, "go-build") || strings.ContainsAny(path, "\"`$\\%\n\r") && filepath.Separator == '/' {
		return "", ErrUnavailable
	}
	return path, nil
}
