//go:build unix

package pyworker

import (
	"context"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gust/internal/childprocess"
)

//go:embed worker/*.py
var workerFiles embed.FS

const (
	// startTimeout is how long an interpreter may take to greet.
	startTimeout = 30 * time.Second
	// stopTimeout is how long it may take to end when its socket was closed.
	stopTimeout = 5 * time.Second
	// tailBytes is how much of what it prints is kept for error messages.
	tailBytes = 4 << 10
)

// bootstrap is what the interpreter runs: it reads the modules of the worker from the socket, which is descriptor 3, and
// starts the server. It must be understood by Python 2.7 and later, so that an old interpreter can say that it is too old.
const bootstrap = `
import sys
if sys.version_info < (3, 8):
    sys.stderr.write("GUST-OLD %d.%d\n" % tuple(sys.version_info[:2]))
    sys.exit(70)
import importlib.abc, importlib.machinery, json, os, struct
def read(n):
    data = b""
    while len(data) < n:
        part = os.read(3, n - len(data))
        if not part:
            sys.exit(70)
        data += part
    return data
class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in sources:
            return importlib.machinery.ModuleSpec(name, self, origin="<gust>/%s.py" % name)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.__file__ = "<gust>/%s.py" % module.__name__
        exec(compile(sources[module.__name__], module.__file__, "exec"), module.__dict__)
sources = json.loads(read(struct.unpack(">I", read(4))[0]).decode())
sys.meta_path.insert(0, Loader())
import gust_server
gust_server.main(3)
`

// workerSources is the worker as the bootstrap reads it: the length, then a JSON object of module names to sources.
var workerSources = sync.OnceValues(func() ([]byte, error) {
	entries, err := workerFiles.ReadDir("worker")
	if err != nil {
		return nil, err
	}
	sources := make(map[string]string, len(entries))
	for _, e := range entries {
		text, err := workerFiles.ReadFile("worker/" + e.Name())
		if err != nil {
			return nil, err
		}
		sources[e.Name()[:len(e.Name())-len(".py")]] = string(text)
	}
	body, err := json.Marshal(sources)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...), nil
})

// interpreter is a running Python that forks a process for each call.
type interpreter struct {
	path    string
	child   *childprocess.Child
	control *net.UnixConn
	version string // "3.12.1"

	// sending keeps the orders and their descriptors apart.
	sending sync.Mutex

	mu    sync.Mutex
	next  int
	calls map[int]chan notice // of running calls; each gets a "started" and an "ended" at most
	ended bool
	err   error // set before gone is closed

	gone  chan struct{} // closed when it can take no more calls
	tail  tail
	tasks sync.WaitGroup
}

// startInterpreter starts the program and waits for its greeting.
func startInterpreter(ctx context.Context, path, dir string, env []string, starter *childprocess.Starter) (*interpreter, error) {
	sources, err := workerSources()
	if err != nil {
		return nil, err
	}
	local, remote, err := socketPair()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, local.Close(), remote.Close())
	}
	conn, err := net.FileConn(local) // a copy
	err = errors.Join(err, local.Close())
	if err != nil {
		return nil, errors.Join(err, remote.Close(), outR.Close(), outW.Close())
	}
	p := &interpreter{
		path: path, control: conn.(*net.UnixConn), calls: map[int]chan notice{}, gone: make(chan struct{}),
	}
	p.child, err = starter.Start(path, []string{path, "-c", bootstrap}, &os.ProcAttr{
		Dir: dir, Env: env, Files: []*os.File{starter.Null(), outW, outW, remote},
	})
	if err = errors.Join(err, outW.Close(), remote.Close()); err != nil {
		return nil, errors.Join(err, outR.Close(), p.control.Close())
	}
	p.tasks.Go(func() { p.tail.read(outR) })
	if err := p.greet(ctx, sources); err != nil {
		childprocess.SignalGroup(p.child.Pid, syscall.SIGKILL)
		p.child.Await()
		state, waitErr := p.child.Reap()
		_ = outR.SetReadDeadline(time.Now().Add(time.Second))
		p.tasks.Wait()
		return nil, errors.Join(p.unusable(err, state), waitErr, p.control.Close())
	}
	listened := make(chan struct{})
	p.tasks.Go(func() { p.listen(); close(listened) })
	p.tasks.Go(func() { p.wait(listened, outR) })
	return p, nil
}

// wait sees the interpreter to its end. What it said until then is delivered before it is called gone.
func (p *interpreter) wait(listened chan struct{}, out *os.File) {
	p.child.Await()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	childprocess.SignalGroup(p.child.Pid, syscall.SIGKILL)
	state, err := p.child.Reap()
	if err == nil {
		err = fmt.Errorf("it ended with %s", state)
	}
	rest := time.Now().Add(time.Second) // a process that left its group may hold its files
	_ = p.control.SetReadDeadline(rest)
	_ = out.SetReadDeadline(rest)
	<-listened
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.gone)
}

func socketPair() (local, remote *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("a socket for Python: %w", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "python"), os.NewFile(uintptr(fds[1]), "python"), nil
}

func (p *interpreter) greet(ctx context.Context, sources []byte) error {
	deadline := time.Now().Add(startTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := p.control.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.control.SetDeadline(time.Now()) })
	defer stop()
	if _, err := p.control.Write(sources); err != nil {
		return err
	}
	// One byte at a time: what follows the greeting belongs to listen.
	var line []byte
	for one := make([]byte, 1); ; line = append(line, one[0]) {
		if _, err := io.ReadFull(p.control, one); err != nil {
			return err
		}
		if one[0] == '\n' || len(line) > 1<<12 {
			break
		}
	}
	var hello notice
	if err := json.Unmarshal(line, &hello); err != nil || hello.Version != protocolVersion {
		return fmt.Errorf("it greeted with %q; expected protocol version %d", line, protocolVersion)
	}
	p.version = hello.Python
	return p.control.SetDeadline(time.Time{})
}

// unusable explains why an interpreter did not start.
func (p *interpreter) unusable(err error, state *os.ProcessState) error {
	said := p.tail.String()
	var old string
	if n, _ := fmt.Sscanf(said, "GUST-OLD %s", &old); n == 1 {
		return &InterpreterError{
			Name: p.path, Problem: "is Python " + old, Hint: "Python 3.8 or later is needed: install it and set python.interpreter",
		}
	}
	problem := "did not start"
	if state != nil {
		problem += " (" + state.String() + ")"
	}
	switch {
	case said != "":
		problem += ": " + said
	case !errors.Is(err, io.EOF):
		problem += ": " + err.Error()
	}
	return &InterpreterError{Name: p.path, Problem: problem, Hint: "check that it is a working Python 3.8 or later", Err: err}
}

// listen hands what the interpreter says to its calls, until its socket closes.
func (p *interpreter) listen() {
	defer p.kill() // one that says nothing any more is of no use
	r := newReader(p.control, 1<<16)
	for {
		var n notice
		if err := r.next(&n); err != nil {
			return
		}
		number := n.Started
		if n.Ended != 0 {
			number = n.Ended
		}
		p.mu.Lock()
		ch := p.calls[number]
		if n.Ended != 0 {
			delete(p.calls, number)
		}
		p.mu.Unlock()
		if ch != nil {
			ch <- n
		}
	}
}

func (p *interpreter) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// begin has the interpreter fork. The files are those of the call's process and are closed.
func (p *interpreter) begin(files []*os.File) (int, chan notice, error) {
	ch := make(chan notice, 2)
	p.mu.Lock()
	p.next++
	number := p.next
	p.calls[number] = ch
	p.mu.Unlock()
	err := p.tell(order{Run: number}, files)
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return number, ch, err
}

func (p *interpreter) tell(o order, files []*os.File) error {
	line, err := encodeLine(o)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	_, _, err = p.control.WriteMsgUnix(line, rights, nil)
	return err
}

func (p *interpreter) signal(number int, sig syscall.Signal) {
	_ = p.tell(order{Kill: number, Signal: int(sig)}, nil) // one that is gone has taken its calls along
}

// stop ends the interpreter and every call that it still runs, and waits for it.
func (p *interpreter) stop() {
	_ = p.control.CloseWrite() // it ends when its socket does
	timer := time.AfterFunc(stopTimeout, p.kill)
	defer timer.Stop()
	p.tasks.Wait()
	_ = p.control.Close() // nobody uses it any more
}

// kill ends the interpreter at once; the kernel ends its calls (Linux), or the end of their sockets does.
func (p *interpreter) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended { // otherwise its number may be somebody else's
		childprocess.SignalGroup(p.child.Pid, syscall.SIGKILL)
	}
}

// tail keeps the end of what an interpreter prints. Calls have their own output; this is for one that cannot start.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) read(r *os.File) {
	defer func() { _ = r.Close() }() // only read
	buf := make([]byte, 4<<10)
	for {
		n, err := r.Read(buf)
		t.mu.Lock()
		t.text = append(t.text, buf[:n]...)
		if len(t.text) > tailBytes {
			t.text = append([]byte(nil), t.text[len(t.text)-tailBytes:]...)
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := string(t.text)
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	return text
}
