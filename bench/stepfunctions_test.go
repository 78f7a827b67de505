package main

import (
	"io"
	"strings"
	"testing"
)

// TestStepFunctions runs the measurement with small numbers and without the peer.
func TestStepFunctions(t *testing.T) {
	t.Parallel()
	b := &bench{profile: profile{repeats: 1, executions: 20, waiting: 100}, dir: t.TempDir(), log: io.Discard}
	results, err := b.stepFunctions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 5 {
		t.Errorf("%d results", len(results))
	}
	for _, r := range results {
		if r.Value <= 0 && !strings.HasPrefix(r.Name, "memory") { // of a hundred, noise may be more than they take
			t.Errorf("%s: %v", r.Name, r.Value)
		}
	}
	if note := results[0].Note; !strings.Contains(note, "moto: not measured: its server is absent") {
		t.Errorf("note %q", note)
	}
}
