package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// screen is a terminal with a region at its bottom that is redrawn in place; what is written scrolls above it. Without a
// terminal there is no region and writing is all it does. It is safe for concurrent use.
type screen struct {
	mu     sync.Mutex
	w      io.Writer
	live   bool
	region []string
	drawn  int
	rest   []byte // an incomplete line, held back so that it is not torn by the region
}

func newScreen(w io.Writer) *screen { return &screen{w: w, live: terminal(w)} }

// Write prints complete lines above the region.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		return s.w.Write(p)
	}
	s.rest = append(s.rest, p...)
	end := bytes.LastIndexByte(s.rest, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	var b bytes.Buffer
	s.erase(&b)
	b.Write(s.rest[:end])
	s.rest = append(s.rest[:0], s.rest[end:]...)
	s.draw(&b)
	_, err := s.w.Write(b.Bytes())
	return len(p), err
}

// show replaces the region.
func (s *screen) show(region []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.region = region
	if !s.live {
		return
	}
	var b bytes.Buffer
	s.erase(&b)
	s.draw(&b)
	discard(s.w.Write(b.Bytes()))
}

// leave prints the region a last time as ordinary lines, which stay.
func (s *screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live {
		s.drawn, s.region = 0, nil
	}
}

func (s *screen) erase(b *bytes.Buffer) {
	if s.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\x1b[J", s.drawn)
	}
	s.drawn = 0
}

func (s *screen) draw(b *bytes.Buffer) {
	for _, line := range s.region {
		// Without wrapping one line of the region stays one line of the screen.
		b.WriteString("\x1b[?7l" + line + "\x1b[?7h\n")
	}
	s.drawn = len(s.region)
}

// Colours of task states on a terminal, near Airflow's.
var stateColours = map[string]string{
	"success": "32", "failed": "31", "running": "92", "queued": "90", "scheduled": "90", "skipped": "95",
	"upstream_failed": "33", "up_for_retry": "93", "up_for_reschedule": "96", "deferred": "35", "none": "90",
}

// paint colours a text by a state; without colours it returns it unchanged.
func paint(colours bool, state, text string) string {
	code, ok := stateColours[state]
	if !colours || !ok {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// stateSymbols mark a state in one column, for eyes that do not tell the colours apart.
var stateSymbols = map[string]string{
	"success": "✔", "failed": "✘", "running": "▶", "queued": "·", "scheduled": "·", "skipped": "↷",
	"upstream_failed": "⊘", "up_for_retry": "↻", "up_for_reschedule": "↻", "deferred": "⏸", "none": " ",
}

func symbol(state string) string {
	if s, ok := stateSymbols[state]; ok {
		return s
	}
	return " "
}

func pad(text string, width int) string {
	if n := width - len([]rune(text)); n > 0 {
		return text + strings.Repeat(" ", n)
	}
	return text
}
