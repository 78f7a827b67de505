//go:build linux

package daemontest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// daemon is a started program.
type daemon struct {
	h      *house
	cmd    *exec.Cmd
	log    transcript
	orders io.Writer     // of a faulty daemon
	done   chan struct{} // the process has ended
	read   chan struct{} // all of its output has been read
}

// start starts a command, usually a daemon, and returns at once.
func (h *house) start(args ...string) *daemon {
	h.t.Helper()
	return h.launch(exec.Command(binary, args...))
}

// launch starts a process of the house.
func (h *house) launch(cmd *exec.Cmd) *daemon {
	h.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	d := &daemon{h: h, cmd: cmd, done: make(chan struct{}), read: make(chan struct{})}
	d.cmd.Env, d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = append(d.cmd.Env, h.env...), h.dir, w, w
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = d.cmd.Start()
	_ = w.Close() // the child has its own
	if err != nil {
		_ = r.Close() // nothing will be read
		h.t.Fatal(err)
	}
	go func() {
		defer close(d.read)
		defer r.Close()
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			d.log.add(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() {
		_ = d.cmd.Wait() // the state says how it ended
		close(d.done)
		// A survivor may hold the pipe; its silence is not waited for.
		_ = r.SetReadDeadline(time.Now().Add(time.Second))
	}()
	h.daemons++
	number := h.daemons
	h.t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // ended is fine
		<-d.done
		<-d.read
		if h.t.Failed() && number > h.daemons-3 { // the last ones tell what went wrong
			h.t.Logf("process %d said:\n%s", d.cmd.Process.Pid, d.log.tail(40))
		}
	})
	return d
}

const readyText = "gust is ready"

// ready waits until the daemon serves.
func (d *daemon) ready() *daemon {
	d.h.t.Helper()
	d.says(readyText)
	return d
}

// says waits until the output holds text.
func (d *daemon) says(text string) {
	d.h.t.Helper()
	if !d.saysOrEnds(text) {
		d.h.t.Fatalf("the process ended with code %d without saying %q:\n%s", d.code(), text, d.log.tail(40))
	}
}

// saysOrEnds waits until the output holds text; false when the process ended without it.
func (d *daemon) saysOrEnds(text string) bool {
	d.h.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		found, changed := d.log.has(text)
		if found {
			return true
		}
		select {
		case <-changed:
		case <-d.read:
			found, _ = d.log.has(text)
			return found
		case <-deadline.C:
			d.h.t.Fatalf("the process did not say %q within %s:\n%s", text, patience, d.log.tail(40))
		}
	}
}

// kill is kill -9. It returns when the process is gone.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // ended is fine
	<-d.done
}

func (d *daemon) signal(s syscall.Signal) {
	d.h.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.h.t.Fatalf("%s: %v", s, err)
	}
}

// exit waits for the end and returns the exit code.
func (d *daemon) exit() int {
	d.h.t.Helper()
	select {
	case <-d.done:
	case <-time.After(patience):
		d.signal(syscall.SIGQUIT) // it says where it hangs
		<-d.done
		<-d.read
		d.h.t.Fatalf("the process does not end:\n%s", d.log.tail(400))
	}
	<-d.read
	return d.code()
}

func (d *daemon) code() int {
	<-d.done
	return d.cmd.ProcessState.ExitCode()
}

// stop ends a daemon in order and wants it to say so.
func (d *daemon) stop() {
	d.h.t.Helper()
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 0 {
		d.h.t.Errorf("exit code %d after SIGTERM, want 0:\n%s", code, d.log.tail(40))
	}
}

// transcript is the output so far.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (l *transcript) add(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (l *transcript) has(text string) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return bytes.Contains(l.text.Bytes(), []byte(text)), l.changed
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *transcript) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	// That the journal's name is known when a file is read is of no interest here, and is said for every task.
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "$JOURNAL was replaced") })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// proc is a living process that carries a house's mark.
type proc struct {
	pid     int
	started uint64 // clock ticks since the boot
	command string
	attempt string // GUST_CTX_* of the attempt, "" for none
}

func (p proc) String() string { return fmt.Sprintf("%d %q of attempt %q", p.pid, p.command, p.attempt) }

// processes are the living processes of the house, the daemon among them.
func (h *house) processes() []proc {
	h.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		h.t.Fatal(err)
	}
	var found []proc
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !bytes.Contains(environ, []byte(h.mark+"\x00")) {
			continue
		}
		started, ok := startOf(pid)
		if !ok {
			continue
		}
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		p := proc{pid: pid, started: started, command: string(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))}
		for _, name := range []string{"DAG_ID", "DAG_RUN_ID", "TASK_ID", "TRY_NUMBER"} {
			_, value, ok := bytes.Cut(environ, []byte("GUST_CTX_"+name+"="))
			if ok {
				value, _, _ = bytes.Cut(value, []byte{0})
				p.attempt += "/" + string(value)
			}
		}
		found = append(found, p)
	}
	return found
}

// startOf is when a process started; false when it is gone or a zombie.
func startOf(pid int) (uint64, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return 0, false
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil
}

// orphans are the processes of the house that are older than the daemon.
func (d *daemon) orphans() []proc {
	d.h.t.Helper()
	born, ok := startOf(d.cmd.Process.Pid)
	if !ok {
		d.h.t.Fatalf("the daemon is gone:\n%s", d.log.tail(40))
	}
	var old []proc
	for _, p := range d.h.processes() {
		if p.pid != d.cmd.Process.Pid && p.started < born {
			old = append(old, p)
		}
	}
	return old
}
