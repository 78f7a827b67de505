//go:build unix

package childprocess

import (
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"
)

const (
	// maxLine is the longest line of a log; a longer one is cut into several.
	maxLine = 64 << 10
	// MaxValue is the longest last line that becomes an XCom.
	MaxValue = 4 << 20
)

// decoders turn output into text, by the normal name of its encoding.
var decoders = map[string]func([]byte) string{
	"utf8": utf8Text, "ascii": utf8Text, "usascii": utf8Text, "latin1": latin1Text, "iso88591": latin1Text,
}

func utf8Text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

func latin1Text(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// Decoder returns what turns output in an encoding into text: utf-8, ascii or latin-1 under any of their usual names.
func Decoder(encoding string) (func([]byte) string, bool) {
	d, ok := decoders[strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(encoding))]
	return d, ok
}

// Lines cuts a stream into lines, logs them, and keeps the last one. It holds one line at most, and of a long one no
// more than maxLine for the log and MaxValue for the XCom.
type Lines struct {
	Log    *slog.Logger
	Decode func([]byte) string
	// Keep asks for the last line.
	Keep bool

	line    []byte // of the current line, what is not logged yet
	started bool   // something of the current line was seen

	value   []byte // the current line, or the last one when !started
	tooLong bool
}

// Read consumes r until its end or an error, which is a pipe closed under it.
func (l *Lines) Read(r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		l.write(buf[:n])
		if err != nil {
			l.flush()
			return
		}
	}
}

func (l *Lines) write(p []byte) {
	for len(p) > 0 {
		end, found := len(p), false
		for i, c := range p {
			if c == '\n' {
				end, found = i, true
				break
			}
		}
		l.add(p[:end])
		if !found {
			return
		}
		l.finish()
		p = p[end+1:]
	}
}

func (l *Lines) add(p []byte) {
	if !l.started {
		l.started, l.value, l.tooLong = true, l.value[:0], false
	}
	if l.Keep {
		room := MaxValue - len(l.value)
		l.tooLong = l.tooLong || len(p) > room
		l.value = append(l.value, p[:min(len(p), room)]...)
	}
	l.line = append(l.line, p...)
	for len(l.line) > maxLine {
		cut := maxLine
		for i := 1; i < utf8.UTFMax && !utf8.RuneStart(l.line[cut]); i++ {
			cut--
		}
		l.emit(l.line[:cut])
		l.line = append(l.line[:0], l.line[cut:]...)
	}
}

func (l *Lines) finish() {
	l.emit(l.line)
	l.line, l.started = l.line[:0], false
}

func (l *Lines) flush() {
	if l.started {
		l.finish()
	}
}

func (l *Lines) emit(b []byte) { l.Log.Info(strings.TrimRight(l.Decode(b), "\r\t\v\f ")) }

// Last returns the last line without white space at its end; false when it was too long to keep.
func (l *Lines) Last() (string, bool) {
	return strings.TrimRight(l.Decode(l.value), "\r\n\t\v\f "), !l.tooLong
}
