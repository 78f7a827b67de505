package childprocess

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// SweepOrphans kills what commands of an earlier daemon with this home folder left running: after a kill -9 the kernel
// ends the shells, but not what they had started. Their temporary directories go too. It returns how many processes it
// killed. Commands whose daemon (or foreground `gust`) is still alive are left alone. Call it before the first command is
// started.
func SweepOrphans(home string) (killed int, err error) {
	prefix := []byte(attemptVar + HomeID(home) + "/")
	killed, err = sweep(func(env []byte) bool {
		if _, ok := variable(env, prefix); !ok {
			return false
		}
		parent, ok := variable(env, []byte(parentVar))
		return !ok || !alive(string(parent[len(parentVar):]))
	})
	removeTemporary(TemporaryPrefix + HomeID(home) + "-")
	return killed, err
}

// removeTemporary removes the temporary directories and files of processes that are gone. What cannot be removed is in the
// system's temporary folder.
func removeTemporary(prefix string) {
	dir, err := os.Open(os.TempDir())
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }() // only read
	names, _ := dir.Readdirnames(-1)   // those read before an error count
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if parent, _, ok := strings.Cut(rest, "-"); ok && !alive(parent) {
			_ = os.RemoveAll(filepath.Join(os.TempDir(), name))
		}
	}
}

// EndCommands kills what this process's own commands with this home folder are, and all they started, however they took
// leave of their group. It is for a stop that does not wait for them, after which no further command may be started. It
// returns how many processes it killed.
func EndCommands(home string) (killed int, err error) {
	prefix, parent := []byte(attemptVar+HomeID(home)+"/"), []byte(ParentMark())
	return sweep(func(env []byte) bool {
		if _, ok := variable(env, prefix); !ok {
			return false
		}
		mark, ok := variable(env, parent)
		return ok && len(mark) == len(parent)
	})
}

// KillMarked kills every process with this attempt's mark.
func KillMarked(marker string) {
	_, _ = sweep(func(env []byte) bool { // an unreadable /proc leaves nothing to do
		mark, ok := variable(env, []byte(marker))
		return ok && len(mark) == len(marker)
	})
}

// maxPasses bounds the passes over /proc: a process may fork while it is being killed.
const maxPasses = 5

func sweep(match func(env []byte) bool) (int, error) {
	killed := map[int]bool{}
	for range maxPasses {
		found, err := sweepOnce(match)
		if err != nil {
			return len(killed), fmt.Errorf("sweeping orphaned commands: %w", err)
		}
		before := len(killed)
		for _, pid := range found {
			killed[pid] = true
		}
		if len(killed) == before {
			break
		}
	}
	return len(killed), nil
}

func sweepOnce(match func(env []byte) bool) ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // only read
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var killed []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if killIf(pid, match) {
			killed = append(killed, pid)
		}
	}
	return killed, nil
}

// killIf holds the process by a descriptor while it looks, so that a number that is reused meanwhile is not hit.
func killIf(pid int, match func(env []byte) bool) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !match(env) {
		return false
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // only a handle
	env, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !match(env) {
		return false
	}
	group, err := unix.Getpgid(pid)
	killed := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
	if err == nil && group > 1 && group != unix.Getpgrp() {
		_ = unix.Kill(-group, unix.SIGKILL) // the attempt's group: what dropped its environment; ESRCH when none is left
	}
	return killed
}

func variable(env, prefix []byte) ([]byte, bool) {
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.HasPrefix(entry, prefix) {
			return entry, true
		}
	}
	return nil, false
}

// ParentMark names this process: its number and start time, which together are never reused.
var ParentMark = sync.OnceValue(func() string {
	pid := os.Getpid()
	return fmt.Sprintf("%s%d.%s", parentVar, pid, startTime(pid))
})

func alive(parent string) bool {
	number, start, ok := strings.Cut(parent, ".")
	pid, err := strconv.Atoi(number)
	return ok && err == nil && start != "" && startTime(pid) == start
}

// startTime is the process's start in clock ticks since the boot, or "" when there is no such process.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field, the program's name in parentheses, may hold anything; the start is the 22nd.
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	fields := strings.Fields(string(rest))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}
