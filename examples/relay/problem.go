package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/huisclos/huisclos/transport/relay"
)

// problem is what the operator has to mend, in one sentence.
type problem struct {
	text string
	err  error
}

// Error is the sentence.
func (p *problem) Error() string { return p.text }

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.err }

// sentence says what is wrong and what to do about it.
func sentence(err error) string {
	var p *problem
	var l *relay.ListenError
	switch {
	case errors.As(err, &p):
		return p.text
	case errors.Is(err, relay.ErrListen):
		return "-listen: want one IPv4 address, one IPv6 address, or one of each, without a zone; :443 alone means both"
	case !errors.As(err, &l):
		return err.Error()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s port %d is taken by another program: stop that one, or choose another port with -listen", l.Network, l.Address.Port())
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("the system doesn't let this program use port %d: run it by its systemd unit, which gives it CAP_NET_BIND_SERVICE, or choose a port above 1023 with -listen", l.Address.Port())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%v is no address of this machine: see -listen", l.Address.Addr())
	}
	return fmt.Sprintf("can't listen on %s %v: %s", l.Network, l.Address, reason(err))
}

// reason is the innermost thing the system says.
func reason(err error) string {
	var path *os.PathError
	var call *os.SyscallError
	switch {
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.As(err, &call):
		return call.Err.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
