package docs

import (
	"regexp"
	"strings"
	"testing"
)

// normal are the parts of an output that differ from one run to the next.
var normal = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?`), "TIME"},
	{regexp.MustCompile(`\d{8}T\d{6}`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d{3}\b`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DATE"},
	{regexp.MustCompile(`\b(duration|took)=\S+`), "$1=DURATION"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ms|µs|ns|s|m|h))+(\s|\)|$)`), "DURATION$4"},
	{regexp.MustCompile(`-t(\d)-[0-9a-f]{24}`), "-t$1-HASH"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "HASH"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`process \d+ on \S+`), "process PID on HOST"},
	{regexp.MustCompile(`=\+=|={3,}`), "="},
	{regexp.MustCompile(`-{10,}|─+`), "-"},
	{regexp.MustCompile(`(=\s*)+=`), "="},
	{regexp.MustCompile(`\s+`), " "},
}

func normalLines(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		for _, n := range normal {
			line = n.pattern.ReplaceAllString(line, n.with)
		}
		out[i] = strings.TrimSpace(line)
	}
	return out
}

// match reports whether the lines are those of the pattern, in which "..." is any number of lines, or, at the end of a
// line, the rest of that line.
func match(pattern, lines []string) bool {
	if len(pattern) == 0 {
		return len(lines) == 0
	}
	if pattern[0] == "..." {
		for n := range len(lines) + 1 {
			if match(pattern[1:], lines[n:]) {
				return true
			}
		}
		return false
	}
	if len(lines) == 0 {
		return false
	}
	same := lines[0] == pattern[0]
	if begin, cut := strings.CutSuffix(pattern[0], "..."); cut {
		same = strings.HasPrefix(lines[0], begin)
	}
	return same && match(pattern[1:], lines[1:])
}

// TestMatch: the comparison tells what differs for a reason from what differs.
func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, lines string
		want           bool
	}{
		{"a\n...\nc", "a\nb\nb\nc", true},
		{"a\n...\nc", "a\nc", true},
		{"a\n...", "a", true},
		{"a\n...\nc", "a\nb", false},
		{"...\nb", "a\na", false},
		{"2026-11-22T00:14:10.285407+00:00: success in 3.1s", "2027-01-02T10:00:00+00:00: success in 9ms", true},
		{"manual__2026-11-22T00:14:10+00:00: success in 3.1s", "manual__2027-01-02T10:00:00+00:00: failed in 9ms", false},
		{"orders of 2026-11-22", "orders of 2030-01-01", true},
		{"a | b\n====+====", "a   |   b\n======+======", true},
		{"a | b", "a | c", false},
		{"a | ...", "a | c", true},
		{"b | ...", "a | c", false},
		{"00:14:10.305  extract  success  (4ms)", "11:59:59.000  extract           success  (1.5s)", true},
		{"try 1 of 3", "try 2 of 3", false},
		{"32 slots", "33 slots", false},
	} {
		pattern, lines := normalLines(strings.Split(c.pattern, "\n")), normalLines(strings.Split(c.lines, "\n"))
		if got := match(pattern, lines); got != c.want {
			t.Errorf("%q against %q: %v", c.pattern, c.lines, got)
		}
	}
}
