package tasklog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gust/dag"
)

const (
	// flushAfter is how long a line may stay in memory while its attempt runs.
	flushAfter = 100 * time.Millisecond
	// flushSize is how many bytes are gathered at most before they are written out.
	flushSize = 64 << 10
	// keepBuffer is the largest buffer that is kept for the next attempt.
	keepBuffer = 16 << 10
)

// DefaultLogger is the "logger" field of lines that name no other.
const DefaultLogger = "task"

// LoggerKey is the attribute with which a logger names the source of its lines, for example
// log.With(tasklog.LoggerKey, "task.stdout").
const LoggerKey = "logger"

// Files writes the logs of attempts below a base folder. The zero value of every field but Base is usable. A problem
// with a log file never reaches the task that logs: it goes to OnError.
type Files struct {
	// Base is the folder ([logging] base_log_folder). It is created when needed.
	Base string
	// Mask hides secrets in every text that is written; nil hides nothing.
	Mask func(string) string
	// Level is the least level that is written; nil means INFO.
	Level slog.Leveler
	// OnError is told about a log that cannot be written: once when it begins, and again only after a write has
	// succeeded in between. A full disk is told as an error for which errors.Is(err, syscall.ENOSPC) holds.
	OnError func(error)

	failing atomic.Bool
}

// Open returns the log of an attempt. It touches no file before a line is written.
func (f *Files) Open(a dag.Attempt) *Log { return &Log{files: f, attempt: a} }

// Append writes a single line to an attempt's log and closes the file again, for what happens to a parked attempt.
func (f *Files) Append(a dag.Attempt, level slog.Level, logger, message string) {
	l := f.Open(a)
	l.Logger().LogAttrs(context.Background(), level, message, slog.String(LoggerKey, logger))
	l.Close()
}

func (f *Files) mask(text string) string {
	if f.Mask == nil {
		return text
	}
	return f.Mask(text)
}

func (f *Files) report(err error) {
	if err == nil {
		if f.failing.Load() {
			f.failing.Store(false)
		}
		return
	}
	if f.failing.Swap(true) || f.OnError == nil {
		return
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("the disk with the task logs (%s) is full; log lines are being lost: %w", f.Base, err)
	}
	f.OnError(err)
}

// Log is the log of one attempt. It is safe for concurrent use. Close it when the attempt leaves the worker; lines
// logged later still reach the file, each with an open and a close of its own.
type Log struct {
	files   *Files
	attempt dag.Attempt

	mu     sync.Mutex
	buf    *[]byte
	file   *os.File
	timer  *time.Timer
	closed bool
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Logger returns a logger whose lines go to this log.
func (l *Log) Logger() *slog.Logger { return slog.New(&handler{log: l}) }

// Close writes out what is left and closes the file.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.flush()
	l.release()
}

// Flush writes out what is left; the log stays open.
func (l *Log) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
}

// write appends one line.
func (l *Log) write(encode func([]byte) []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf == nil {
		l.buf = buffers.Get().(*[]byte)
	}
	*l.buf = encode(*l.buf)
	switch {
	case l.closed:
		l.flush()
		l.release()
	case len(*l.buf) >= flushSize:
		l.flush()
	case l.timer == nil:
		l.timer = time.AfterFunc(flushAfter, l.Flush)
	}
}

// flush empties the buffer into the file. It leaves the file open. l.mu is held.
func (l *Log) flush() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.buf == nil || len(*l.buf) == 0 {
		return
	}
	err := l.open()
	if err == nil {
		_, err = l.file.Write(*l.buf)
	}
	*l.buf = (*l.buf)[:0]
	l.files.report(err)
}

func (l *Log) open() error {
	if l.file != nil {
		return nil
	}
	path := Path(l.files.Base, l.attempt)
	file, err := openAppend(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeDir(filepath.Dir(path)); err == nil {
			file, err = openAppend(path)
		}
	}
	if err != nil {
		return fmt.Errorf("open task log: %w", err)
	}
	l.file = file
	return nil
}

// makeDir is os.MkdirAll for a folder whose parents usually exist: one call instead of several.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o750); err == nil {
		return nil
	}
	return os.MkdirAll(dir, 0o750)
}

func openAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
}

// release gives the file and the buffer back. l.mu is held.
func (l *Log) release() {
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			l.files.report(fmt.Errorf("close task log: %w", err))
		}
		l.file = nil
	}
	if l.buf != nil {
		if cap(*l.buf) <= keepBuffer {
			buffers.Put(l.buf)
		}
		l.buf = nil
	}
}
