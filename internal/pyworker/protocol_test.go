//go:build unix

package pyworker

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReader(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		messages int
		err      error
	}{
		"":         {0, io.EOF},
		"{}\n{}\n": {2, io.EOF},
		"{}\n{":    {1, io.ErrUnexpectedEOF},
		`{"message":"` + strings.Repeat("x", 40<<10) + `"}` + "\n": {1, io.EOF},
		`{"message":"` + strings.Repeat("x", 70<<10) + `"}` + "\n": {0, errTooLong},
		strings.Repeat("x", 70<<10):                                {0, errTooLong},
	} {
		r, n := newReader(strings.NewReader(text), 64<<10), 0
		for {
			var m message
			err := r.next(&m)
			if err == nil {
				n++
				continue
			}
			if n != want.messages || !errors.Is(err, want.err) {
				t.Errorf("%.30q: %d messages, %v; want %d, %v", text, n, err, want.messages, want.err)
			}
			break
		}
	}
	var m message
	if err := newReader(strings.NewReader("nonsense\n"), 100).next(&m); err == nil || !strings.Contains(err.Error(), "is malformed") {
		t.Error(err)
	}
}

// TestSilence: a process that says something that means nothing is ended.
func TestSilence(t *testing.T) {
	t.Parallel()
	p, file := newPool(t, nil), module(t, `
import os, time
def say(text):
    for fd in range(3, 64):
        try:
            if os.readlink("/proc/self/fd/%d" % fd).startswith("socket:"): os.write(fd, text.encode())
        except OSError: pass
    time.sleep(1000)
`)
	for text, want := range map[string]string{"{}\n": "a message that says nothing", "nonsense\n": "is malformed"} {
		if _, err := callFunc(t, p, file, "say", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
