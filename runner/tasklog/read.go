package tasklog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often a followed log is looked at when no file event comes, and how often Ended is asked.
const pollEvery = 250 * time.Millisecond

// Reader prints log files.
type Reader struct {
	// W receives the lines.
	W io.Writer
	// JSON prints the lines as they are stored; otherwise they are rendered for people:
	//
	//	[2026-11-21T10:00:00.000+0000] {task} INFO - message key=value
	JSON bool

	rest []byte // an incomplete last line
}

// Print prints the file as it is now. A file that does not exist is an error that satisfies errors.Is(err,
// fs.ErrNotExist).
func (r *Reader) Print(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read task log: %w", err)
	}
	defer file.Close()
	if err := r.drain(file); err != nil {
		return err
	}
	return r.finish()
}

// Follow prints the file and what is added to it, until ended reports that the attempt has ended and everything is
// printed, or ctx ends (which is no error). It waits for a file that does not exist yet. ended is asked a few times
// a second and may be nil: then only ctx ends it.
func (r *Reader) Follow(ctx context.Context, path string, ended func(ctx context.Context) (bool, error)) error {
	events, stop := watch(path)
	defer stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var file *os.File
	defer func() {
		if file != nil {
			_ = file.Close() // only read
		}
	}()
	for {
		over := false
		if ended != nil {
			var err error
			if over, err = ended(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if file == nil {
			var err error
			if file, err = os.Open(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("follow task log: %w", err)
			}
		}
		if file != nil {
			if err := r.drain(file); err != nil {
				return err
			}
		}
		if over {
			return r.finish()
		}
		if !r.wait(ctx, file, events, tick.C) {
			return r.finish()
		}
	}
}

// wait returns at the next tick, after printing what events announce meanwhile. It reports whether ctx goes on.
func (r *Reader) wait(ctx context.Context, file *os.File, events <-chan fsnotify.Event, tick <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick:
			return true
		case _, open := <-events:
			if !open {
				events = nil
			} else if file == nil || r.drain(file) != nil {
				return true // the caller opens it, or meets the error again
			}
		}
	}
}

// watch announces writes into the file. Without file events (an unusual file system, no watches left, no folder yet)
// the channel is nil and the ticks do.
func watch(path string) (<-chan fsnotify.Event, func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	if err := w.Add(filepath.Dir(path)); err != nil {
		_ = w.Close() // nothing was watched
		return nil, func() {}
	}
	return w.Events, func() { _ = w.Close() } // only read
}

// drain prints every complete line that follows the last one printed.
func (r *Reader) drain(file io.Reader) error {
	chunk := make([]byte, 32<<10)
	for {
		n, err := file.Read(chunk)
		r.rest = append(r.rest, chunk[:n]...)
		end := bytes.LastIndexByte(r.rest, '\n') + 1
		if end > 0 {
			if err := r.lines(r.rest[:end]); err != nil {
				return err
			}
			r.rest = append(r.rest[:0], r.rest[end:]...)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read task log: %w", err)
		}
	}
}

// finish prints a last line that a crash has cut short.
func (r *Reader) finish() error {
	if len(r.rest) == 0 {
		return nil
	}
	last := append(r.rest, '\n')
	r.rest = nil
	return r.lines(last)
}

func (r *Reader) lines(text []byte) error {
	if !r.JSON {
		var b bytes.Buffer
		for line := range bytes.Lines(text) {
			b.WriteString(Render(bytes.TrimSuffix(line, []byte("\n"))))
			b.WriteByte('\n')
		}
		text = b.Bytes()
	}
	if _, err := r.W.Write(text); err != nil {
		return fmt.Errorf("print task log: %w", err)
	}
	return nil
}

// Render turns one stored line into one for people. A line that is not a JSON object is returned as it is. Texts of
// several lines (a stack) follow on lines of their own.
func Render(line []byte) string {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return string(line)
	}
	var timestamp, level, event, logger string
	var attrs, blocks strings.Builder
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return string(line)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return string(line)
		}
		text, isText := plain(raw)
		switch name, _ := key.(string); {
		case name == "timestamp":
			timestamp = text
		case name == "level":
			level = text
		case name == "event":
			event = text
		case name == LoggerKey:
			logger = text
		case isText && strings.Contains(text, "\n"):
			fmt.Fprintf(&blocks, "\n%s:\n%s", name, strings.TrimRight(text, "\n"))
		case isText && strings.ContainsAny(text, " \"="):
			fmt.Fprintf(&attrs, " %s=%q", name, text)
		default:
			fmt.Fprintf(&attrs, " %s=%s", name, text)
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, timestamp); err == nil {
		timestamp = at.UTC().Format("2006-01-02T15:04:05.000-0700")
	}
	return fmt.Sprintf("[%s] {%s} %s - %s%s%s",
		timestamp, logger, strings.ToUpper(level), event, attrs.String(), blocks.String())
}

// plain is a JSON value as text, and whether it is a JSON string.
func plain(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	return string(raw), false
}
