//go:build !linux

package localport

import "net"

// sameUser can't be asked of this system without privileges: the token has to do, which others can't see here.
func sameUser(net.Conn) bool { return true }
