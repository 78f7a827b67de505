package dag

import (
	"strings"
	"unicode"
)

// IsImportPath reports whether a text is a dotted Python name, such as "sample.add_days". A macro of a DAG whose value is
// one is the function of that name.
func IsImportPath(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		for i, r := range p {
			if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
				return false
			}
		}
		if p == "" {
			return false
		}
	}
	return len(parts) > 1
}
