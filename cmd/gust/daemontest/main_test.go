//go:build linux

package daemontest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(faultyVar) != "" {
		os.Exit(faultyDaemon())
	}
	dir, err := os.MkdirTemp("", "gust-daemontest-")
	if err == nil {
		binary = filepath.Join(dir, "gust")
		err = build(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build gust:", err)
		_ = os.RemoveAll(dir) // it is in the system's temporary folder
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}))
}

// noteSources looks at every source file. The program is not part of the test binary, so this is what makes go test run
// again, instead of repeating an old result, when the program has changed.
var noteSources = sync.OnceFunc(func() {
	_ = filepath.WalkDir(filepath.Join("..", "..", ".."), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && len(e.Name()) > 2 && e.Name()[0] == '.' {
			return fs.SkipDir
		}
		return nil // what cannot be looked at cannot have changed the program
	})
})

func build(path string) error {
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "gust/cmd/gust")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
