package sqlconn

import "strings"

// kind is what a span of SQL text is.
type kind int

const (
	code    kind = iota // one character that is none of the others
	word                // a keyword, a name without quotes, a number
	literal             // a string or a quoted name, quotes included
	comment
)

// span is a piece of SQL text.
type span struct {
	kind       kind
	start, end int
}

// scanner walks through SQL text. It knows what a database takes for a literal and for a comment, and nothing else.
type scanner struct {
	dialect Dialect
	text    string
}

// next returns the span that begins at i.
func (s scanner) next(i int) span {
	rest := s.text[i:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--") && s.dashes(rest), c == '#' && s.dialect == MySQL:
		return span{comment, i, i + lineEnd(rest)}
	case strings.HasPrefix(rest, "/*"):
		return span{comment, i, i + s.block(rest)}
	case c == '\'', c == '"', c == '`' && s.dialect != Postgres:
		return span{literal, i, i + quoted(rest, c, s.escapes(i, c))}
	case c == '[' && s.dialect == SQLite:
		return span{literal, i, i + quoted(rest, ']', false)}
	case c == '$' && s.dialect == Postgres && !s.inWord(i):
		if n := dollarQuoted(rest); n > 0 {
			return span{literal, i, i + n}
		}
	case wordChar(c):
		n := 1
		for n < len(rest) && wordChar(rest[n]) {
			n++
		}
		return span{word, i, i + n}
	}
	return span{code, i, i + 1}
}

// dashes reports whether -- begins a comment: in MySQL only before white space.
func (s scanner) dashes(rest string) bool {
	return s.dialect != MySQL || len(rest) == 2 || blank(rest[2])
}

func lineEnd(rest string) int {
	if n := strings.IndexByte(rest, '\n'); n >= 0 {
		return n
	}
	return len(rest)
}

// block is the length of a /* comment */; PostgreSQL's nest.
func (s scanner) block(rest string) int {
	depth := 1
	for n := 2; n < len(rest); n++ {
		switch {
		case strings.HasPrefix(rest[n:], "*/"):
			if depth--; depth == 0 {
				return n + 2
			}
			n++
		case s.dialect == Postgres && strings.HasPrefix(rest[n:], "/*"):
			depth++
			n++
		}
	}
	return len(rest)
}

// escapes reports whether a backslash escapes in the literal at i: in MySQL's strings, and in PostgreSQL's E'...'.
func (s scanner) escapes(i int, quote byte) bool {
	switch s.dialect {
	case MySQL:
		return quote != '`'
	case Postgres:
		return quote == '\'' && i > 0 && (s.text[i-1] == 'E' || s.text[i-1] == 'e') && !s.inWord(i-1)
	}
	return false
}

// inWord reports whether the character before i belongs to a word.
func (s scanner) inWord(i int) bool { return i > 0 && wordChar(s.text[i-1]) }

// quoted is the length of a literal; a doubled quote is part of it. One that is not closed reaches to the end.
func quoted(rest string, quote byte, escapes bool) int {
	for n := 1; n < len(rest); n++ {
		switch {
		case rest[n] == '\\' && escapes:
			n++
		case rest[n] == quote:
			if n+1 < len(rest) && rest[n+1] == quote {
				n++
				continue
			}
			return n + 1
		}
	}
	return len(rest)
}

// dollarQuoted is the length of $tag$...$tag$, or 0.
func dollarQuoted(rest string) int {
	n := 1
	for n < len(rest) && wordChar(rest[n]) {
		n++
	}
	if n == len(rest) || rest[n] != '$' || n > 1 && rest[1] >= '0' && rest[1] <= '9' {
		return 0
	}
	tag := rest[:n+1]
	end := strings.Index(rest[n+1:], tag)
	if end < 0 {
		return len(rest)
	}
	return n + 1 + end + len(tag)
}

func blank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func wordChar(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// Split cuts a text into its statements, at the semicolons outside of literals, comments and the bodies of triggers and
// procedures (BEGIN ... END). Statements that are empty or comments alone are dropped.
func Split(dialect Dialect, text string) []string {
	var out []string
	s := scanner{dialect, text}
	var head []string // the first words of the statement
	depth, start := 0, 0
	some := false // the statement holds more than comments
	cut := func(end int) {
		if statement := strings.TrimSpace(text[start:end]); some && statement != "" {
			out = append(out, statement)
		}
		start, head, depth, some = end+1, nil, 0, false
	}
	for i := 0; i < len(text); {
		sp := s.next(i)
		switch {
		case sp.kind == code && text[i] == ';' && depth == 0:
			cut(i)
		case sp.kind == word:
			w := strings.ToUpper(text[i:sp.end])
			if len(head) < 8 {
				head = append(head, w)
			}
			if compound(head) {
				depth = max(0, depth+nesting(w, s.after(sp.end)))
			}
			some = true
		case sp.kind == literal, sp.kind == code && !blank(text[i]) && text[i] != ';':
			some = true
		}
		i = sp.end
	}
	cut(len(text))
	return out
}

// compound reports whether a statement may have a body.
func compound(head []string) bool {
	if head[0] != "CREATE" && head[0] != "ALTER" {
		return false
	}
	for _, w := range head[1:] {
		switch w {
		case "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT":
			return true
		case "TABLE", "VIEW", "INDEX":
			return false
		}
	}
	return false
}

// nesting is what a word does to the depth of a body. IF, LOOP, WHILE and REPEAT are not counted, nor are their ENDs.
func nesting(w, following string) int {
	switch w {
	case "BEGIN", "CASE":
		if following != "CASE" {
			return 1
		}
	case "END":
		switch following {
		case "IF", "LOOP", "WHILE", "REPEAT":
			return 0
		}
		return -1
	}
	return 0
}

// after is the next word in upper case, "" when something else follows.
func (s scanner) after(i int) string {
	for i < len(s.text) {
		sp := s.next(i)
		switch {
		case sp.kind == word:
			return strings.ToUpper(s.text[i:sp.end])
		case sp.kind == comment, blank(s.text[i]):
			i = sp.end
		default:
			return ""
		}
	}
	return ""
}
