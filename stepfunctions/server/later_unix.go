//go:build unix

package server

import (
	"errors"
	"net"
	"syscall"
)

// hungUp looks at a connection without waiting and without taking anything from it.
func hungUp(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var n int
	var readErr error
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, readErr = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err != nil || isEnd(n, readErr, func(err error) bool {
		return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
	})
}
