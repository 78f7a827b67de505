package dagfile

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"
)

// pos is a position in the expanded text of a source: 1-based line and column, columns in characters.
type pos struct {
	src *source
	place
}

// place is a line and column.
type place struct{ line, col int32 }

func (a place) before(b place) bool { return a.line < b.line || a.line == b.line && a.col < b.col }

// source is the text of a file after its environment variables were expanded, with the way back to the original.
type source struct {
	path       string
	text       []byte
	expansions []expansion
	names      []string // every variable the text refers to, in order, repeated
}

// expansion is one replaced variable. Positions are those of the text before (orig) and after (start, end) expansion.
type expansion struct {
	name, value        string
	start, end         place
	origStart, origEnd place
}

// newSource expands $NAME and ${NAME} as Python's os.path.expandvars does: everywhere, comments included; an unset
// variable stays as it is; there is no escape and no default syntax.
func newSource(path string, text []byte, getenv func(string) (string, bool)) *source {
	s := &source{path: path, text: text}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	s.text = text
	if bytes.IndexByte(text, '$') < 0 {
		return s
	}
	var out strings.Builder
	in, after := place{1, 1}, place{1, 1}
	copied, lastBrace := 0, bytes.LastIndexByte(text, '}')
	for i := 0; i < len(text); {
		name, length := variable(text[i:], i < lastBrace)
		if length == 0 {
			i++
			continue
		}
		s.names = append(s.names, name)
		value, set := getenv(name)
		if !set {
			i += length
			continue
		}
		out.Write(text[copied:i])
		in.over(text[copied:i])
		after.over(text[copied:i])
		e := expansion{name: name, value: value, start: after, origStart: in}
		out.WriteString(value)
		in.over(text[i : i+length])
		after.over([]byte(value))
		e.end, e.origEnd = after, in
		s.expansions = append(s.expansions, e)
		i += length
		copied = i
	}
	if len(s.expansions) > 0 {
		out.Write(text[copied:])
		s.text = []byte(out.String())
	}
	return s
}

// variable reads a reference at the start of text and returns its name and length, 0 for none. closed says that a "}"
// follows somewhere, so that many unclosed "${" do not each search the whole file.
func variable(text []byte, closed bool) (string, int) {
	if len(text) < 2 || text[0] != '$' {
		return "", 0
	}
	if text[1] == '{' {
		if !closed {
			return "", 0
		}
		end := bytes.IndexByte(text, '}')
		return string(text[2:end]), end + 1
	}
	n := 1
	for n < len(text) && isWord(text[n]) {
		n++
	}
	if n == 1 {
		return "", 0
	}
	return string(text[1:n]), n
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// over moves behind a text.
func (a *place) over(text []byte) {
	if n := bytes.Count(text, []byte{'\n'}); n > 0 {
		a.line += int32(n)
		a.col = 1
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	a.col += int32(utf8.RuneCount(text))
}

// locate returns the file, line and column of a position in the original text.
func (s *source) locate(p pos) (string, int, int) {
	at := s.original(p.place)
	return s.path, int(at.line), int(at.col)
}

func (s *source) original(p place) place {
	n := sort.Search(len(s.expansions), func(i int) bool { return p.before(s.expansions[i].start) })
	if n == 0 {
		return p
	}
	e := &s.expansions[n-1]
	switch {
	case p.before(e.end):
		return e.origStart
	case p.line == e.end.line:
		return place{e.origEnd.line, p.col - e.end.col + e.origEnd.col}
	}
	return place{p.line - e.end.line + e.origEnd.line, p.col}
}

// expanded returns the variables that were expanded between two places.
func (s *source) expanded(from, until place) []expansion {
	first := sort.Search(len(s.expansions), func(i int) bool { return !s.expansions[i].start.before(from) })
	last := first
	for last < len(s.expansions) && s.expansions[last].start.before(until) {
		last++
	}
	return s.expansions[first:last]
}

// line returns the expanded text of a 1-based line, or "".
func (s *source) line(n int32) string {
	rest := s.text
	for ; n > 1; n-- {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return ""
		}
		rest = rest[i+1:]
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return string(rest)
}
