package dagfile

import (
	"regexp"
	"strings"
)

// signature is what a function's definition says about its parameters, read from the source without running it.
type signature struct {
	name string
	// names are the parameters that can be given by name, in order.
	names    []string
	optional map[string]bool // has a default
	// positional are those before a "/".
	positional map[string]bool
	// wildcard is set by **kwargs.
	wildcard bool
}

func (s *signature) String() string { return s.name + "(" + strings.Join(s.names, ", ") + ")" }

// readSignature finds a function that is defined at the top level of a Python text; nil when there is none, or its
// definition is not understood.
func readSignature(text, name string) *signature {
	if strings.ContainsAny(name, ".\n\\") {
		return nil
	}
	def, err := regexp.Compile(`(?m)^(?:async[ \t]+)?def[ \t]+` + regexp.QuoteMeta(name) + `[ \t]*(?:\[[^\]]*\])?[ \t]*\(`)
	if err != nil {
		return nil
	}
	found := def.FindAllStringIndex(text, -1)
	if found == nil {
		return nil
	}
	parts, ok := parameters(text[found[len(found)-1][1]:]) // the last definition counts, as in Python
	if !ok {
		return nil
	}
	s := &signature{name: name, optional: map[string]bool{}, positional: map[string]bool{}}
	for _, part := range parts {
		part = strings.TrimSpace(part)
		switch {
		case part == "", part == "*":
		case part == "/":
			for _, n := range s.names {
				s.positional[n] = true
			}
		case strings.HasPrefix(part, "**"):
			s.wildcard = true
		case strings.HasPrefix(part, "*"):
		default:
			end := strings.IndexAny(part, ":=")
			n := part
			if end >= 0 {
				n = part[:end]
			}
			n = strings.TrimSpace(n)
			s.names = append(s.names, n)
			s.optional[n] = hasDefault(part)
		}
	}
	return s
}

// hasDefault reports whether a parameter has "=" outside of brackets: an annotation may hold one inside.
func hasDefault(part string) bool {
	depth := 0
	for i := range len(part) {
		switch part[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '=':
			if depth == 0 {
				return true
			}
		}
	}
	return false
}

// parameters splits the text behind "(" at the commas up to its ")", without comments. Strings are replaced by an empty
// one.
func parameters(text string) ([]string, bool) {
	var parts []string
	var part strings.Builder
	depth := 1
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '#':
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return nil, false
			}
			i += end
		case '\'', '"':
			end := stringEnd(text[i:])
			if end < 0 {
				return nil, false
			}
			part.WriteString(`""`)
			i += end - 1
		case '(', '[', '{':
			depth++
			part.WriteByte(c)
		case ')', ']', '}':
			if depth--; depth == 0 {
				return append(parts, part.String()), c == ')'
			}
			part.WriteByte(c)
		case ',':
			if depth == 1 {
				parts = append(parts, part.String())
				part.Reset()
				continue
			}
			part.WriteByte(c)
		default:
			part.WriteByte(c)
		}
	}
	return nil, false
}

// stringEnd is the length of the string literal that a text begins with, -1 when it does not end.
func stringEnd(text string) int {
	quote := text[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text, triple) {
		quote = triple
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote)
		case len(quote) == 1 && text[i] == '\n':
			return -1
		}
	}
	return -1
}
