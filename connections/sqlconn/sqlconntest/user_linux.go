package sqlconntest

import (
	"os"
	"os/exec"
	"syscall"
)

// nobody is the user and group the servers run as when the tests run as root: PostgreSQL refuses to be root.
const nobody = 65534

// give makes the folder the server's.
func give(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(dir, nobody, nobody)
}

func asOther(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}
