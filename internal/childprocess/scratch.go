//go:build unix

package childprocess

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// scratch hands out empty temporary directories. One that is given back as it was handed out is used again: making and
// removing a directory costs as much as starting a shell.
type scratch struct {
	mu   sync.Mutex
	free []string
}

// TemporaryPrefix begins the names of temporary files and folders of every process.
const TemporaryPrefix = "gust-bash-"

// TemporaryName begins the names of this process's temporary directories and files; home is a HomeID. From the name
// SweepOrphans knows whose they were.
func TemporaryName(home string) string {
	return TemporaryPrefix + home + "-" + ParentMark()[len(parentVar):] + "-"
}

// maxScratch bounds the directories kept.
const maxScratch = 64

// get returns an empty directory, a new one if need be, whose name begins with name.
func (s *scratch) get(name string) (string, error) {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		dir := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		if untouched(dir) { // somebody may tidy the system's temporary folder
			return dir, nil
		}
		_ = os.RemoveAll(dir) // what is left is in the system's temporary folder
	} else {
		s.mu.Unlock()
	}
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		return "", fmt.Errorf("a temporary directory for the command: %w", err)
	}
	return dir, nil
}

func (s *scratch) put(dir string) {
	if untouched(dir) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.free) < maxScratch {
			s.free = append(s.free, dir)
			return
		}
	}
	_ = os.RemoveAll(dir) // what is left is in the system's temporary folder
}

// untouched reports whether the directory is there, empty, and as MkdirTemp made it.
func untouched(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		return false
	}
	_, err = f.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

func (s *scratch) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dir := range s.free {
		_ = os.RemoveAll(dir) // as above
	}
	s.free = nil
}

// Directory returns an empty temporary directory for a command, and a function that takes it back; home is a HomeID.
func (s *Starter) Directory(home string) (dir string, done func(), err error) {
	dir, err = s.scratch.get(TemporaryName(home))
	return dir, func() { s.scratch.put(dir) }, err
}
