//go:build unix

package transport_test

import (
	"syscall"
	"time"
)

// unixTime is the real clock, also inside a synctest bubble, where time.Now is virtual.
type unixTime struct{ syscall.Timeval }

func (u *unixTime) read() { _ = syscall.Gettimeofday(&u.Timeval) }

func (u *unixTime) sub(t time.Time) time.Duration {
	return time.Duration(int64(u.Sec)*1e9 + int64(u.Usec)*1e3 - t.UnixNano())
}
