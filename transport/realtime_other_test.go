//go:build !unix

package transport_test

import "time"

// unixTime is not to be had here: real times show as zero.
type unixTime struct{}

func (*unixTime) read()                       {}
func (*unixTime) sub(time.Time) time.Duration { return 0 }
