package dagfile

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	yamlLine     = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)
	missingAlias = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	// parserError are the messages for which the YAML library counts lines from 0.
	parserError = regexp.MustCompile(`^did not find expected (?:key|node content|<|',' or|'-' indicator)`)
)

// reportSyntax places an error of the YAML library, which names a line at most.
func reportSyntax(src *source, rep *reporter, err error) {
	message, line := err.Error(), int32(1)
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		message = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = int32(min(n, len(src.text)+1))
		}
		if parserError.MatchString(message) && m[1] != "" {
			line++
		}
	}
	if m := missingAlias.FindStringSubmatch(message); m != nil {
		reportAlias(src, rep, m[1])
		return
	}
	if strings.Contains(message, "tab character") || strings.Contains(message, "cannot start any token") {
		line = src.tabbed(line)
	}
	text := src.line(line)
	key := strings.TrimLeft(text, " \t")
	at := pos{src, place{line, int32(len(text)-len(key)) + 1}}
	p := Problem{Message: "not valid YAML: " + message}
	_, value, _ := strings.Cut(key, ": ")
	value = strings.TrimLeft(value, " ")
	switch {
	case strings.HasPrefix(key, "\t"), strings.Contains(text[:len(text)-len(key)], "\t"):
		p.Hint = "indent with spaces, not tabs"
	case strings.Contains(message, "cannot start any token") && value != "" && strings.ContainsAny(value[:1], "@`%"):
		p.Hint = fmt.Sprintf("quote the value: %q", value)
		at.col += int32(utf8.RuneCountInString(key[:len(key)-len(value)]))
	case strings.Contains(message, "mapping values are not allowed"):
		p.Hint = "check the indentation, and quote a value that contains \": \""
	case strings.Contains(message, "could not find expected ':'"), strings.Contains(message, "did not find expected"):
		p.Hint = "check the indentation and the quotes of this line and the one before"
	case strings.Contains(message, "unexpected end of stream"):
		p.Hint = "a quote or bracket is not closed"
	}
	for _, e := range src.expanded(place{line, 1}, place{line + 1, 1}) {
		p.Hint = strings.TrimPrefix(p.Hint+fmt.Sprintf("; the line holds the value of $%s", e.name), "; ")
	}
	rep.fail(at, "", p)
}

func reportAlias(src *source, rep *reporter, name string) {
	at := place{1, 1}
	if i := bytes.Index(src.text, []byte("*"+name)); i >= 0 {
		at.over(src.text[:i])
	}
	rep.fail(pos{src, at}, "", Problem{
		Message: fmt.Sprintf("unknown anchor %q", name), Hint: "an anchor (&" + name + ") must come before its aliases",
	})
}

// tabbed returns the first line at or shortly after n that is indented with a tab, or n.
func (s *source) tabbed(n int32) int32 {
	for line := n; line <= n+2; line++ {
		text := s.line(line)
		if indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]; strings.Contains(indent, "\t") {
			return line
		}
	}
	return n
}
