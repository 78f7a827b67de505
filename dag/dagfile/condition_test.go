package dagfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gust/dag"
	"gust/dag/dagfile"
	"gust/dag/dagfile/modern"
)

// TestConditionText: what a condition on assets prints is read as the same condition.
func TestConditionText(t *testing.T) {
	t.Parallel()
	loader := dagfile.NewLoader(options(t))
	var condition func(depth int) *rapid.Generator[dag.AssetCondition]
	condition = func(depth int) *rapid.Generator[dag.AssetCondition] {
		return rapid.Custom(func(t *rapid.T) dag.AssetCondition {
			kind := 0
			if depth < 4 {
				kind = rapid.IntRange(0, 2).Draw(t, "kind")
			}
			if kind == 0 {
				uri := rapid.StringMatching(`[a-z][a-z0-9]{0,3}://[A-Za-z0-9_/.%:?=-]{1,12}`).Draw(t, "uri")
				return dag.AssetCondition{Asset: &dag.Asset{Name: uri, URI: uri}}
			}
			parts := rapid.SliceOfN(condition(depth+1), 2, 3).Draw(t, "parts")
			if kind == 1 {
				return dag.AssetCondition{All: parts}
			}
			return dag.AssetCondition{Any: parts}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		want := condition(0).Draw(t, "condition")
		text := fmt.Sprintf("a: {schedule: {datasets: %q}, tasks: {a: {operator: EmptyOperator}}}\n", want.String())
		f := loader.Parse("testdata/x.yaml", []byte(text))
		if f.HasErrors() || len(f.DAGs) != 1 {
			t.Fatalf("%s%s", text, dagfile.Text(f.Problems))
		}
		if diff := cmp.Diff(&want, f.DAGs[0].Schedule.Assets); diff != "" {
			t.Fatalf("%s(-want +got):\n%s", text, diff)
		}
	})
}

// TestModernMeansTheSame: a file whose old spellings are rewritten defines the same DAGs.
func TestModernMeansTheSame(t *testing.T) {
	t.Parallel()
	loader := dagfile.NewLoader(options(t))
	rewritten := 0
	for _, path := range append(glob(t, "testdata/good/*.yaml", 20), glob(t, "testdata/dagfactory/*.yml", 10)...) {
		if dagfile.IsDefaultsName(path) {
			continue
		}
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, changes, err := modern.Rewrite(old, false)
		if err != nil {
			t.Fatal(err)
		}
		rewritten += len(changes)
		want, got := loader.Parse(path, old), loader.Parse(path, text)
		if got.HasErrors() {
			t.Errorf("%s:\n%s", filepath.Base(path), dagfile.Text(got.Problems))
		}
		if diff := cmp.Diff(meaning(t, want), meaning(t, got)); diff != "" {
			t.Errorf("%s (-old +new):\n%s", filepath.Base(path), diff)
		}
	}
	if rewritten < 20 {
		t.Errorf("only %d places were rewritten", rewritten)
	}
}

// meaning is what a file defines, without how it is written.
func meaning(t *testing.T, f *dagfile.File) string {
	t.Helper()
	for _, d := range f.DAGs {
		d.Version = ""
		for _, task := range d.Tasks {
			task.Written = ""
		}
	}
	raw, err := json.MarshalIndent(f.DAGs, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
