package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// spread asks ext4 to begin every folder below dir in a place of its own on the disk (chattr +T); see bench.folder.
// Other file systems ignore it.
func spread(dir string) (err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	flags, err := unix.IoctlGetInt(int(folder.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		const topDir = 0x20000 // FS_TOPDIR_FL
		err = unix.IoctlSetPointerInt(int(folder.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	_ = err // a file system without such flags does as well as it can
	return nil
}
