package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// screen is a terminal with a region at its bottom that is redrawn in place; what is written scrolls above it. Without a
// terminal there is no region and writing is all it does. It is safe for concurrent use.
type screen struct {
	mu      sync.Mutex
	w       io.Writer
	live    bool
	colours bool
	// size is the terminal's size now, 0, 0 when it does not say.
	size   func() (columns, rows int)
	region []string
	drawn  []string // the lines of the region as they stand on the terminal
	rest   []byte   // an incomplete line, held back so that it is not torn by the region
}

func newScreen(w io.Writer) *screen {
	return &screen{
		w: w, live: terminal(w), colours: coloured(w),
		size: func() (int, int) { return terminalSize(w) },
	}
}

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
	if !s.live || slices.Equal(region, s.region) {
		return
	}
	s.region = region
	var b bytes.Buffer
	s.erase(&b)
	s.draw(&b)
	discard(s.w.Write(b.Bytes()))
}

// leave lets the region stand as ordinary lines.
func (s *screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drawn, s.region = nil, nil
}

// erase clears the region, line by line, and moves to where its first line was. After the terminal has become narrower its
// lines may take several rows each. (To clear the rest of the screen at once would, in some terminals, keep what is cleared
// in the scrollback.)
func (s *screen) erase(b *bytes.Buffer) {
	columns, _ := s.size()
	up := 0
	for _, line := range s.drawn {
		up++
		if width := visible(line); columns > 0 && width > columns {
			up += (width - 1) / columns
		}
	}
	if up > 0 {
		fmt.Fprintf(b, "\x1b[%dA%s\x1b[%dA", up, strings.Repeat("\x1b[2K\n", up), up)
	}
	s.drawn = nil
}

func (s *screen) draw(b *bytes.Buffer) {
	columns, rows := s.size()
	lines := s.region
	if rows > 1 && len(lines) >= rows {
		lines = lines[:rows-1] // what has left the screen at its top could not be redrawn
	}
	for _, line := range lines {
		if columns > 0 {
			line = clip(line, columns)
		}
		s.drawn = append(s.drawn, line)
		b.WriteString(line + "\n")
	}
}

// visible is how many columns a line with colours takes.
func visible(line string) int {
	n := 0
	for rest := line; rest != ""; {
		skip := escape(rest)
		if skip == 0 {
			_, skip = utf8.DecodeRuneInString(rest)
			n++
		}
		rest = rest[skip:]
	}
	return n
}

// clip cuts a line with colours to so many columns.
func clip(line string, columns int) string {
	if visible(line) <= columns {
		return line
	}
	n, coloured := 0, false
	for i := 0; i < len(line); {
		if skip := escape(line[i:]); skip > 0 {
			coloured = true
			i += skip
			continue
		}
		if n == columns-1 {
			line = line[:i] + "…"
			break
		}
		_, size := utf8.DecodeRuneInString(line[i:])
		n++
		i += size
	}
	if coloured {
		line += "\x1b[0m"
	}
	return line
}

// escape is the length of the colour sequence that text begins with, 0 for none.
func escape(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	return strings.IndexByte(text, 'm') + 1
}

// Colours of task states on a terminal, near Airflow's, and of states of a state machine.
var stateColours = map[string]string{
	"success": "32", "failed": "31", "running": "92", "queued": "90", "scheduled": "90", "skipped": "95",
	"upstream_failed": "33", "up_for_retry": "93", "up_for_reschedule": "96", "deferred": "35", "none": "90",
	"caught": "33", "aborted": "95",
}

// paint colours a text by a state; without colours it returns it unchanged.
func paint(colours bool, state, text string) string {
	code, ok := stateColours[state]
	if !colours || !ok || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// stateSymbols mark a state in one column, for eyes that do not tell the colours apart.
var stateSymbols = map[string]string{
	"success": "✓", "failed": "✗", "running": "●", "queued": "·", "scheduled": "·", "skipped": "-",
	"upstream_failed": "!", "up_for_retry": "↻", "up_for_reschedule": "↻", "deferred": "○", "none": " ",
	"caught": "!", "aborted": "-",
}

func symbol(state string) string {
	if s, ok := stateSymbols[state]; ok {
		return s
	}
	return " "
}

// pad fills a text up to a width, or cuts it down to it.
func pad(text string, width int) string {
	n := width - utf8.RuneCountInString(text)
	if n >= 0 {
		return text + strings.Repeat(" ", n)
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}
