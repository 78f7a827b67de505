package simtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a guard taken out of the engine.
type mutant struct{ breaks, file, guard, without string }

func readMutant(t *testing.T, path string) mutant {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "\n-----\n")
	if len(parts) != 3 {
		t.Fatalf("%s has %d parts, want a head, the guard, and what takes its place", path, len(parts))
	}
	breaks, file, _ := strings.Cut(parts[0], "\n")
	return mutant{
		breaks: strings.TrimPrefix(breaks, "breaks: "), file: strings.TrimPrefix(file, "file: "),
		guard: parts[1], without: strings.TrimSuffix(parts[2], "\n"),
	}
}

// overlay writes the mutated source and the file that shows it to the go command.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	source := filepath.Join(root, filepath.FromSlash(m.file))
	raw, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), m.guard); n != 1 {
		t.Fatalf("%s holds the guard %d times, want once: the source has moved on, and the mutant is to follow\n%s",
			m.file, n, m.guard)
	}
	dir := t.TempDir()
	mutated, list := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	text := strings.Replace(string(raw), m.guard, m.without, 1)
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{mutated: []byte(text), list: replace} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// TestMutants takes one guard after the other out of the engine, and expects the histories to show which invariant it
// upholds. Every invariant has one at least.
func TestMutants(t *testing.T) {
	if os.Getenv("GUST_TEST_FULL") == "" {
		t.Skip("compiles the engine for each guard: set GUST_TEST_FULL=1")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("testdata/mutants/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	caught, ran := map[string]bool{}, 0
	for _, path := range paths {
		m := readMutant(t, path)
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			ran++
			run := exec.CommandContext(t.Context(), "go", "test", "-overlay", m.overlay(t, root), "-count=1", "-timeout=3m",
				"-run=^TestHistories$", ".")
			run.Env = append(os.Environ(), "CGO_ENABLED=0", "GUST_SIM_HISTORIES=30000", "GUST_SIM_SEED=", "GUST_SIM_FIRST=",
				"GUST_SIM_INVARIANT="+m.breaks)
			out, err := run.CombinedOutput()
			text := string(out)
			switch {
			case err == nil:
				t.Fatalf("no history shows that the guard is missing")
			case !strings.Contains(text, m.breaks+": "):
				t.Fatalf("want a history that breaks %q:\n%s", m.breaks, text[max(0, len(text)-2000):])
			}
			caught[m.breaks] = true
		})
	}
	for _, invariant := range []string{runEnds, oneExecution, owned, once, notForgotten, limits} {
		if !caught[invariant] && ran == len(paths) {
			t.Errorf("no mutant shows that %q is watched", invariant)
		}
	}
}
