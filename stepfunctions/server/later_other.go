//go:build !unix

package server

import (
	"errors"
	"net"
	"os"
	"time"
)

// hungUp reads from the connection for a moment: a client that waits for its answer sends nothing.
func hungUp(conn net.Conn) bool {
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return true
	}
	n, err := conn.Read(make([]byte, 1))
	return isEnd(n, err, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) })
}
