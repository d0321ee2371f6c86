package localport

import (
	"os/exec"
	"syscall"
)

// otherUser makes a command run as nobody.
func otherUser(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}
