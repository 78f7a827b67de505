package docs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// home is where the pages say that the reader's copy of the project is.
const home = "/home/ada/gust"

// TestConsole runs what the pages show.
func TestConsole(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "gust")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", binary, "gust/cmd/gust")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	for _, p := range pages(t) {
		var shown []fence
		for _, f := range p.fences(t) {
			if f.kind == "console" || f.kind == "yaml" {
				shown = append(shown, f)
			}
		}
		if strings.Contains(p.text, "```console") {
			t.Run(p.path, func(t *testing.T) {
				t.Parallel()
				s := newSession(t, p.path, binary)
				for _, f := range shown {
					s.show(f)
				}
			})
		}
	}
}

// session is a shell in a copy of the project.
type session struct {
	t      *testing.T
	page   string
	dir    string
	input  io.Writer
	output *bufio.Reader
}

func newSession(t *testing.T, page, binary string) *session {
	t.Helper()
	// A short path: the home folder is part of what is compared, and of the name of a socket.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"examples", "config.yaml"} {
		if err := copyTree(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "gust")); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, page: page, dir: dir}
	s.startShell()
	return s
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode())
}

// environ is the environment of the reader: nothing of AWS, a free port, and state machines that wait less long.
func (s *session) environ() []string {
	return []string{
		"PATH=" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "TZ=UTC", "LC_ALL=C.UTF-8",
		"GUST__STEPFUNCTIONS__PORT=0", "GUST__STEPFUNCTIONS__WAIT_TIME_SCALE=0.3", "AWS_EC2_METADATA_DISABLED=true",
		"GUST__SCHEDULER__GRACEFUL_STOP_TIMEOUT=5",
	}
}

func (s *session) startShell() {
	shell := exec.Command("bash", "--norc", "--noprofile")
	shell.Dir, shell.Env = s.dir, s.environ()
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := shell.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	shell.Stdout, shell.Stderr = w, w
	if err := shell.Start(); err != nil {
		s.t.Skipf("bash cannot be started: %v", err)
	}
	_ = w.Close() // the shell has its own
	s.input, s.output = input, bufio.NewReader(r)
	s.t.Cleanup(func() {
		_ = input.Close()
		for _, pid := range children(shell.Process.Pid) { // a daemon in the background, or a command that hangs
			_ = syscall.Kill(-pid, syscall.SIGKILL) // a job is a process group; it may have ended
		}
		_ = shell.Wait() // its exit code is that of the last command
		_ = r.Close()
	})
	s.run("set -m") // %1 names the daemon in the background
}

// children are the processes that a process has started.
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, word := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(word); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

const patience = 20 * time.Second

var sentinel = regexp.MustCompile(`^--- done (\d+)\n$`)

// run runs one command in the shell and returns what it printed.
func (s *session) run(command string) (output string, code int) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.input, "%s\necho \"--- done $?\"\n", command); err != nil {
		s.t.Fatalf("%s: the shell has ended: %v", s.page, err)
	}
	type answer struct {
		text string
		code int
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		var b strings.Builder
		for {
			line, err := s.output.ReadString('\n')
			if m := sentinel.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1]) // digits by the pattern
				done <- answer{b.String(), n, nil}
				return
			}
			b.WriteString(line)
			if err != nil {
				done <- answer{b.String(), 0, err}
				return
			}
		}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-done:
		if a.err != nil {
			s.t.Fatalf("%s: $ %s: the shell has ended: %v\n%s", s.page, command, a.err, a.text)
		}
		return a.text, a.code
	case <-timer.C:
		s.t.Fatalf("%s: $ %s: no end after %s", s.page, command, patience)
	}
	return "", 0
}

var fileComment = regexp.MustCompile(`^# ([a-z_/.]+\.ya?ml)$`)

// show runs a fence, or writes the file that it is.
func (s *session) show(f fence) {
	s.t.Helper()
	if f.kind == "yaml" {
		if m := fileComment.FindStringSubmatch(f.lines[0]); m != nil {
			if err := os.WriteFile(filepath.Join(s.dir, m[1]), []byte(f.text()), 0o644); err != nil {
				s.t.Fatal(err)
			}
		}
		return
	}
	for i := 0; i < len(f.lines); {
		command, ok := strings.CutPrefix(f.lines[i], "$ ")
		if !ok {
			s.t.Fatalf("%s:%d: a console fence begins with a command: %q", s.page, f.line+i, f.lines[i])
		}
		at := f.line + i
		for i++; strings.HasSuffix(command, `\`); i++ {
			command += "\n" + f.lines[i]
		}
		first := i
		for i < len(f.lines) && !strings.HasPrefix(f.lines[i], "$ ") {
			i++
		}
		s.command(at, command, f.lines[first:i])
	}
}

// changing are the commands that are run once. Others look, and are repeated until they show what is expected: what a
// command before them has set off may take a moment.
var changing = regexp.MustCompile(`trigger|test|make|kill|sed|add|delete|set|import|sfn (create|run|start)|&$`)

func (s *session) command(line int, command string, want []string) {
	s.t.Helper()
	if command == "make run" {
		s.compare(line, command, s.makeRun(), want)
		return
	}
	deadline := time.Now().Add(patience / 2)
	for {
		out, _ := s.run(command)
		matches := match(normalLines(want), normalLines(s.lines(out)))
		if matches || changing.MatchString(command) || time.Now().After(deadline) {
			s.compare(line, command, s.lines(out), want)
			break
		}
		s.pause(20 * time.Millisecond)
	}
	if m := background.FindStringSubmatch(command); m != nil {
		s.await(filepath.Join(s.dir, m[1]), "gust is ready", "Stop it with Ctrl-C")
	}
	if strings.HasPrefix(command, "kill ") {
		// The reader is slower than a daemon that ends. A shell without a prompt keeps the number of a job that ended
		// while another command ran until it has listed it: the next daemon would not be %1.
		s.run("wait; jobs")
	}
}

// background is a daemon that is started in the background, and where its messages go.
var background = regexp.MustCompile(`> (\S+) &$`)

// await waits until a file says one of the texts.
func (s *session) await(file string, texts ...string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		have, err := os.ReadFile(file)
		if err == nil && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(string(have), text) }) {
			return
		}
		s.pause(10 * time.Millisecond)
	}
	have, _ := os.ReadFile(file)
	s.t.Fatalf("%s: %s does not say %q:\n%s", s.page, filepath.Base(file), texts, have)
}

func (s *session) pause(d time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.t.FailNow()
	}
}

// lines are the lines of an output, with the reader's home in the place of the test's.
func (s *session) lines(out string) []string {
	out = strings.TrimRight(strings.ReplaceAll(out, s.dir, home), "\n")
	if out == "" {
		return nil
	}
	lines := strings.Split(out, "\n")
	return slices.DeleteFunc(lines, func(line string) bool { return jobEnded.MatchString(line) })
}

// jobEnded is what a shell says about a job in the background that was killed.
var jobEnded = regexp.MustCompile(`^bash: line \d+: +\d+ (Killed|Terminated|Done|Exit)`)

func (s *session) compare(line int, command string, have, want []string) {
	s.t.Helper()
	if !match(normalLines(want), normalLines(have)) {
		s.t.Errorf("%s:%d: $ %s\nprints\n%s\nthe page shows\n%s", s.page, line, command, strings.Join(have, "\n"),
			strings.Join(want, "\n"))
	}
}
