package linkhandler

import (
	"errors"

	"golang.org/x/sys/windows/registry"
)

const supported = true

const (
	root    = `Software\Classes\` + Scheme
	command = root + `\shell\open\command`
)

func commandLine(program string) string { return `"` + program + `" -- "%1"` }

func registered(program string) bool {
	k, err := registry.OpenKey(registry.CURRENT_USER, command, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer func() { _ = k.Close() }()
	is, _, err := k.GetStringValue("")
	return err == nil && is == commandLine(program)
}

func register(program string) error {
	for _, v := range []struct{ path, name, value string }{
		{root, "", "URL:" + Scheme}, {root, "URL Protocol", ""}, {command, "", commandLine(program)},
	} {
		k, _, err := registry.CreateKey(registry.CURRENT_USER, v.path, registry.SET_VALUE)
		if err != nil {
			return err
		}
		if err := errors.Join(k.SetStringValue(v.name, v.value), k.Close()); err != nil {
			return err
		}
	}
	return nil
}

func unregister() error {
	for _, path := range []string{command, root + `\shell\open`, root + `\shell`, root} {
		if err := registry.DeleteKey(registry.CURRENT_USER, path); err != nil && !errors.Is(err, registry.ErrNotExist) {
			return err
		}
	}
	return nil
}
