package dagfile_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gust/dag/dagfile"
	"gust/internal/param"
	"gust/operators"
)

// machine has a parameter in a language of its own: a text, the name of its file, or a mapping. The word "bad" is wrong
// in it.
type machine struct {
	noop
	Definition any `param:"definition" ext:".asl" required:"true"`
}

func (m *machine) Validate() error {
	switch v := m.Definition.(type) {
	case string:
		for i, line := range strings.Split(v, "\n") {
			if col := strings.Index(line, "bad"); col >= 0 {
				return &param.Error{Path: []string{"definition"}, Problem: "it is bad", Line: i + 1, Column: col + 1}
			}
		}
	case map[string]any:
		if v["States"] == "bad" {
			return &param.Error{Path: []string{"definition", "States"}, Problem: "it is bad"}
		}
	}
	return nil
}

// TestTextOfAFile follows a problem to where its text stands.
func TestTextOfAFile(t *testing.T) {
	t.Parallel()
	options := dagfile.Options{Operators: operators.NewRegistry()}
	if err := options.Operators.Register(operators.Spec{Name: "Machine", New: func() operators.Operator { return &machine{} }}); err != nil {
		t.Fatal(err)
	}
	const pipeline = "d:\n  schedule: null\n  tasks:\n    m:\n      operator: Machine\n      definition: %s\n"
	root := tree(t, map[string]string{"good.asl": "{% $x %} {{ a", "machines/bad.asl": "{\n  \"a\": bad}"})
	for definition, want := range map[string]string{
		"good.asl":                        "",
		"\"{% $states %}\"":               "",
		"machines/bad.asl":                "machines/bad.asl:2:8: d.tasks.m.definition: it is bad",
		"none.asl":                        "d.yaml:6:19: d.tasks.m.definition: there is no file \"none.asl\"",
		"../x.asl":                        "d.yaml:6:19: d.tasks.m.definition: the file \"../x.asl\" lies outside",
		"a bad text":                      "d.yaml:6:21: d.tasks.m.definition: it is bad",
		"|\n        one\n        two bad": "d.yaml:8:13: d.tasks.m.definition: it is bad",
		"\n        Comment: c\n        States: bad": "d.yaml:8:17: d.tasks.m.definition.States: it is bad",
	} {
		path := filepath.Join(root, "d.yaml")
		file := dagfile.NewLoader(options).Parse(path, []byte(fmt.Sprintf(pipeline, definition)))
		got := strings.ReplaceAll(dagfile.Text(file.Problems), root+"/", "")
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", definition, got, want)
		}
		if name := filepath.Join(root, definition); strings.HasSuffix(definition, "bad.asl") && !slices.Contains(file.Depends, name) {
			t.Errorf("%s: a change of the file is not seen: %v", definition, file.Depends)
		}
		if strings.HasSuffix(definition, "good.asl") && file.DAGs[0].Tasks[0].Params["definition"] != definition {
			t.Errorf("the task holds %v instead of the file's name", file.DAGs[0].Tasks[0].Params)
		}
	}
}
