package daemontest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gust-daemontest-")
	if err == nil {
		binary = filepath.Join(dir, "gust")
		err = build(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build gust:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}))
}

func build(path string) error {
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "gust/cmd/gust")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
