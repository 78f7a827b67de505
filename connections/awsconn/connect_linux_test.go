package awsconn

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestConnectTimeout connects to a socket whose queue is full: Linux then drops what a client sends to open a
// connection.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }() // the process ends soon
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	full := false
	for range 20 {
		c, err := net.DialTimeout("tcp", addr, 50*time.Millisecond)
		if err != nil {
			full = true
			break
		}
		defer func() { _ = c.Close() }()
	}
	if !full {
		t.Skip("this system accepts connections beyond the queue of a socket")
	}
	config := record{"connect_timeout": 0.05, "retries": record{"max_attempts": 0}}
	c := newFake(t, false).conn(t, record{"endpoint_url": "http://" + addr, "config_kwargs": config})
	start := time.Now()
	err = call(t, testPool(), c, Params{})
	if err == nil || !strings.Contains(err.Error(), "i/o timeout") {
		t.Errorf("error %v, want a timeout", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
