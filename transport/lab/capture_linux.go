package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// captureSocket opens a packet socket in a namespace: it sees every IP packet that any interface there sends or receives.
func captureSocket(n *namespace) (*os.File, error) {
	var file *os.File
	err := n.do(func() error {
		all := int(uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8)
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
		if err != nil {
			return err
		}
		// A burst must not pass unseen.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		file = os.NewFile(uintptr(fd), "capture:"+n.name)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("capture in %s: %w", n.name, err)
	}
	return file, nil
}

// startCapture captures what a host sends and receives. With keep, the packets are kept, and not only counted.
func startCapture(n *namespace, keep bool) (*capture, error) {
	file, err := captureSocket(n)
	if err != nil {
		return nil, err
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := newCapture(n.name, keep)
	c.stop = func() { _ = file.Close() }
	c.drop = func() (n int) {
		_ = conn.Control(func(fd uintptr) { // once it is closed there is no more to be had
			if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
				n = int(s.Drops)
			}
		})
		return n
	}
	c.tasks.Go(func() {
		buffer, control := make([]byte, 1<<17), make([]byte, 256)
		for {
			var size, extra int
			var from unix.Sockaddr
			var failed error
			err := conn.Read(func(fd uintptr) bool {
				size, extra, _, from, failed = unix.Recvmsg(int(fd), buffer, control, 0)
				return failed != unix.EAGAIN
			})
			if err != nil || failed != nil {
				return
			}
			link, ok := from.(*unix.SockaddrLinklayer)
			if !ok || link.Hatype == unix.ARPHRD_LOOPBACK {
				continue // what a host says to itself
			}
			c.packet(passedAt(control[:extra]), link.Pkttype == unix.PACKET_OUTGOING, buffer[:size])
		}
	})
	return c, nil
}

// passedAt is when the kernel saw a packet, which may have waited for us since.
func passedAt(control []byte) time.Time {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			seconds, rest := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return time.Unix(int64(seconds), int64(rest))
		}
	}
	return time.Now()
}
