package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"gust/dag/template/pyvalue"
)

var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v",
	'\n': "",
}

// unescape reads the escapes of a Python string literal. An unknown one keeps its backslash.
func unescape(s string) (string, *Error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		if text, ok := simpleEscapes[c]; ok {
			b.WriteString(text)
			continue
		}
		if n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; n > 0 {
			if i+n >= len(s) {
				return "", pyvalue.Errorf("the escape \\%c needs %d hexadecimal digits", c, n)
			}
			code, err := strconv.ParseUint(s[i+1:i+1+n], 16, 32)
			if err != nil || code > utf8.MaxRune {
				return "", pyvalue.Errorf("the escape \\%s is not a character", s[i:i+1+n])
			}
			b.WriteRune(rune(code))
			i += n
			continue
		}
		if '0' <= c && c <= '7' {
			n := 1
			for n < 3 && i+n < len(s) && '0' <= s[i+n] && s[i+n] <= '7' {
				n++
			}
			code, err := strconv.ParseUint(s[i:i+n], 8, 16)
			if err != nil {
				return "", pyvalue.Errorf("the escape \\%s is not a character", s[i:i+n])
			}
			b.WriteRune(rune(code))
			i += n - 1
			continue
		}
		b.WriteByte('\\')
		b.WriteByte(c)
	}
	return b.String(), nil
}
