package dagfile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/dag/dagfile"
)

var update = flag.Bool("update", false, "rewrite the expected files under testdata")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func glob(t *testing.T, pattern string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < least {
		t.Fatalf("%s: %d cases, expected at least %d", pattern, len(files), least)
	}
	return files
}

// TestBad loads every x.bad.yaml and compares all of its problems, word for word, with x.bad.txt.
func TestBad(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/bad/*.bad.yaml", 75) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f, err := dagfile.Load(path, options(t))
			if err != nil {
				t.Fatal(err)
			}
			if !f.HasErrors() {
				t.Errorf("the file loads without an error")
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", []byte(dagfile.Text(f.Problems)))
		})
	}
}

// TestGood loads every good case without an error and compares its DAGs and warnings with the golden file.
func TestGood(t *testing.T) {
	t.Parallel()
	files := append(glob(t, "testdata/good/*.yaml", 20), glob(t, "testdata/dagfactory/*.yml", 10)...)
	for _, path := range files {
		if dagfile.IsDefaultsName(path) {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f, err := dagfile.Load(path, options(t))
			if err != nil {
				t.Fatal(err)
			}
			if f.HasErrors() {
				t.Errorf("problems:\n%s", dagfile.Text(f.Problems))
			}
			var out bytes.Buffer
			out.WriteString(dagfile.Text(f.Problems))
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			for _, d := range f.DAGs {
				roundTrip(t, d)
				shown := *d
				shown.Version = "" // follows from the rest
				if err := enc.Encode(&shown); err != nil {
					t.Fatal(err)
				}
			}
			golden(t, strings.TrimSuffix(path, filepath.Ext(path))+".json", out.Bytes())
		})
	}
}

// roundTrip checks that a DAG survives JSON without loss.
func roundTrip(t testing.TB, d *dag.DAG) {
	t.Helper()
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back dag.DAG
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	version, err := back.ContentVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version != d.Version {
		t.Errorf("DAG %s has version %s after a round trip through JSON, before %s", d.ID, version, d.Version)
	}
}
