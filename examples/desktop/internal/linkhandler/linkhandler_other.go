//go:build !linux && !windows

package linkhandler

const supported = false

func registered(string) bool { return false }

func register(string) error { return ErrUnavailable }

func unregister() error { return ErrUnavailable }
