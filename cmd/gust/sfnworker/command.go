package sfnworker

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killAfter is how long a command gets to end after SIGTERM.
const killAfter = 5 * time.Second

// maxErrors is how much of the end of standard error becomes the cause.
const maxErrors = 4000

// run runs a command in a process group of its own: the terminal's Ctrl-C is for the worker, which lets it end.
func run(ctx context.Context, command []string, input string, environ []string) result {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the user's command
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdin = strings.NewReader(input)
	stdout, stderr := &head{max: maxOutput}, &tail{max: maxErrors}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	if cmd.Process != nil && ctx.Err() != nil {
		// What of its group has not ended by itself ends now.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	code := "0"
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		code = strconv.Itoa(exit.ExitCode())
	case errors.As(err, &exit):
		code = exit.String()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return result{name: "Gust.CommandFailed", cause: err.Error()}
	}
	return judge(stdout.buf.Bytes(), stdout.cut, string(stderr.buf), code)
}

// head keeps the first bytes written to it.
type head struct {
	buf bytes.Buffer
	max int
	cut bool
}

func (h *head) Write(p []byte) (int, error) {
	room := h.max - h.buf.Len()
	if len(p) > room {
		h.cut = true
		h.buf.Write(p[:room])
		return len(p), nil
	}
	return h.buf.Write(p)
}

// tail keeps the last bytes written to it, and passes everything on to the worker's standard error.
type tail struct {
	buf []byte
	max int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return os.Stderr.Write(p)
}
