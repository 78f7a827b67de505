//go:build unix

package childprocess

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the chunks a stream arrives in, the lines are the same, and nothing is lost.
func TestLinesProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[a-z\n]{0,200}`).Draw(rt, "text")
		var log bytes.Buffer
		decode, _ := Decoder("UTF-8")
		l := Lines{Log: slog.New(slog.NewTextHandler(&log, nil)), Decode: decode, Keep: true}
		rest := text
		for rest != "" {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "n")
			l.write([]byte(rest[:n]))
			rest = rest[n:]
		}
		l.flush()
		want := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if text == "" {
			want = nil
		}
		if n := strings.Count(log.String(), "level=INFO"); n != len(want) {
			rt.Fatalf("%q: %d lines, want %d", text, n, len(want))
		}
		last, ok := l.Last()
		if len(want) > 0 && (last != want[len(want)-1] || !ok) {
			rt.Fatalf("%q: last %q, want %q", text, last, want[len(want)-1])
		}
	})
}
