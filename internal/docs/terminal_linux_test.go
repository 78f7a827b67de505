package docs

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// makeRun does what `make run` does once the program is built, on a terminal, and returns what the terminal shows when
// the run has ended.
func (s *session) makeRun() []string {
	s.t.Helper()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		s.t.Fatal(err)
	}
	recipe := regexp.MustCompile(`(?m)^run:.*\n\t\./bin/gust (.*)$`).FindSubmatch(makefile)
	if recipe == nil {
		s.t.Fatal("the Makefile's target run does not start ./bin/gust")
	}
	screen, user := terminal(s.t)
	gust := exec.Command(filepath.Join(s.dir, "bin", "gust"), strings.Fields(string(recipe[1]))...)
	gust.Dir, gust.Env = s.dir, append(s.environ(), "TERM=xterm")
	gust.Stdin, gust.Stdout, gust.Stderr = user, user, user
	if err := gust.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = user.Close() // the program has its own
	defer screen.Close()
	shown := &view{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(shown, screen) // ends with the program
	}()
	deadline := time.Now().Add(patience)
	for !strings.Contains(shown.text(), "stop it with Ctrl-C") && time.Now().Before(deadline) {
		s.pause(10 * time.Millisecond)
	}
	_ = gust.Process.Signal(syscall.SIGINT) // it may have ended
	err = gust.Wait()
	<-read
	if err != nil {
		s.t.Errorf("%s: make run: %v", s.page, err)
	}
	return s.lines(shown.text())
}

// terminal opens a pseudo-terminal.
func terminal(t *testing.T) (screen, user *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	user, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	return screen, user
}

// view is what a terminal shows, of the few things that the program asks of one: lines, colours, going up, erasing.
type view struct {
	mu    sync.Mutex
	lines []string
	rest  string
}

var controls = regexp.MustCompile(`\x1b\[\??[0-9;]*[a-zA-Z]`)

func (v *view) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rest += string(p)
	for {
		line, rest, whole := strings.Cut(v.rest, "\n")
		if !whole {
			return len(p), nil
		}
		v.rest = rest
		for _, c := range controls.FindAllString(line, -1) {
			if up, ok := strings.CutSuffix(strings.TrimPrefix(c, "\x1b["), "A"); ok {
				n, _ := strconv.Atoi(up) // digits by the pattern
				v.lines = slices.Delete(v.lines, max(0, len(v.lines)-n), len(v.lines))
			}
		}
		v.lines = append(v.lines, strings.TrimRight(controls.ReplaceAllString(line, ""), "\r"))
	}
}

func (v *view) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.lines, "\n")
}
