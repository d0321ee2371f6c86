package localport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// sameUser reports whether the other end of a loopback connection belongs to this user, as the kernel says. Where it
// won't say at all (no /proc) the token has to do; where it doesn't know the connection, nobody gets in.
func sameUser(c net.Conn) bool {
	peer, ok := c.RemoteAddr().(*net.TCPAddr)
	own, ok2 := c.LocalAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return false
	}
	known := false
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		uid, found, err := owner(table, peer, own)
		if err == nil {
			known = true
		}
		if found {
			return uid == os.Getuid()
		}
	}
	return !known
}

// owner looks up the user of the socket that is local at peer and remote at own. The tables give addresses as the
// kernel's words in hexadecimal, the port, and the user in the eighth column.
func owner(table string, peer, own *net.TCPAddr) (uid int, found bool, err error) {
	f, err := os.Open(table)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = f.Close() }()
	local, remote := tableAddress(peer), tableAddress(own)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		columns := strings.Fields(lines.Text())
		if len(columns) < 8 || !strings.HasSuffix(columns[1], local) || !strings.HasSuffix(columns[2], remote) {
			continue
		}
		uid, err := strconv.Atoi(columns[7])
		return uid, err == nil, err
	}
	return 0, false, lines.Err()
}

// tableAddress is how both tables end an IPv4 address and its port.
func tableAddress(a *net.TCPAddr) string {
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(a.IP.To4()), a.Port)
}
