package childprocess

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Starter starts processes that the kernel kills when this program dies.
//
// Linux delivers the parent death signal when the thread that forked ends, not the process. A goroutine's thread may
// end at any time, so all children are started from goroutines that are locked to their threads until Close. A thread
// that forks is suspended until the child runs its program, so there is one for each processor.
type Starter struct {
	stdin    *os.File
	scratch  scratch
	requests chan startRequest
	closed   chan struct{}
	threads  sync.WaitGroup
	once     sync.Once
}

type startRequest struct {
	path  string
	args  []string
	attr  *os.ProcAttr
	reply chan startReply
}

type startReply struct {
	child *Child
	err   error
}

// NewStarter starts the threads. Close ends them.
func NewStarter() (*Starter, error) {
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("standard input for commands: %w", err)
	}
	s := &Starter{stdin: stdin, requests: make(chan startRequest), closed: make(chan struct{})}
	for range runtime.GOMAXPROCS(0) {
		s.threads.Go(s.loop)
	}
	return s, nil
}

func (s *Starter) loop() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for {
		select {
		case r := <-s.requests:
			r.attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			proc, err := os.StartProcess(r.path, r.args, r.attr)
			r.reply <- startReply{&Child{proc}, err}
		case <-s.closed:
			return
		}
	}
}

// Close ends the threads, and with them every command that still runs. An attempt that a stop has left behind gets an error
// when it starts a command afterwards.
func (s *Starter) Close() error {
	s.once.Do(func() { close(s.closed) })
	s.threads.Wait()
	s.scratch.remove()
	if err := s.stdin.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Start starts a process in a process group of its own.
func (s *Starter) Start(path string, args []string, attr *os.ProcAttr) (*Child, error) {
	reply := make(chan startReply, 1)
	select {
	case s.requests <- startRequest{path, args, attr, reply}:
		r := <-reply
		return r.child, r.err
	case <-s.closed:
		return nil, errors.New("the daemon stops")
	}
}

// Child is a started process.
type Child struct{ *os.Process }

// Await returns when the process has ended. It does not reap it: the number of a zombie's group cannot be taken over.
func (c *Child) Await() {
	for {
		err := unix.Waitid(unix.P_PID, c.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Reap returns how the process ended.
func (c *Child) Reap() (*os.ProcessState, error) { return c.Wait() }

// Null is an open /dev/null, the standard input of children.
func (s *Starter) Null() *os.File { return s.stdin }
