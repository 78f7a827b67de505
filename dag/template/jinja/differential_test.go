package jinja

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gust/dag/template/pyvalue"
)

const contextJSON = `{"a": 1, "f": 2.5, "s": "hello World", "empty": "", "n": null, "t": true,
"xs": [3, 1, 2], "words": ["pear", "Apple", "fig"], "d": {"z": 1, "a": [1, "x"], "k": {"q": null}},
"rows": [{"name": "b", "n": 2}, {"name": "a", "n": 1}, {"name": "B", "n": 3}],
"text": "line one\nline two is longer\n\nend", "html": "<b>\"x\" & 'y'</b>"}`

// testGlobals are the names of the case files, fresh for every evaluation because templates may change them.
func testGlobals(t testing.TB) Globals {
	t.Helper()
	v, err := pyvalue.DecodeJSON([]byte(contextJSON))
	if err != nil {
		t.Fatal(err)
	}
	d, ok := v.(*pyvalue.Dict)
	if !ok {
		t.Fatalf("context is a %T", v)
	}
	var names []string
	for _, k := range d.Keys() {
		names = append(names, k.(string))
	}
	return Globals{Names: names, Lookup: func(_ *pyvalue.State, name string) (any, bool, error) {
		v, ok := d.Get(name)
		return v, ok, nil
	}}
}

func render(t testing.TB, env *Env, text string) (string, error) {
	t.Helper()
	tpl, err := env.Parse(text)
	if err != nil {
		return "", err
	}
	return tpl.Execute(context.Background(), testGlobals(t))
}

// cases reads a case file: one template per line; a line that begins with a blank continues the one before.
func cases(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
		if strings.HasPrefix(line, " ") && len(list) > 0 {
			list[len(list)-1] += "\n" + line
			continue
		}
		list = append(list, line)
	}
	return list
}

var update = flag.Bool("update", false, "write testdata/templates.out.json")

// TestTemplates renders every template of the case file and compares with what is on record, null for an error. The
// record was checked against Jinja2 by TestAgainstJinja, which needs Python.
func TestTemplates(t *testing.T) {
	t.Parallel()
	const record = "testdata/templates.out.json"
	list := cases(t, "testdata/templates.txt")
	outs := make([]*string, len(list))
	env := NewEnv(pyvalue.Limits{})
	for i, text := range list {
		if out, err := render(t, env, text); err == nil {
			outs[i] = &out
		}
	}
	if *update {
		data, err := json.MarshalIndent(outs, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(record, append(data, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var want []*string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(outs) {
		t.Fatalf("%d templates, but %d on record; run go test -run TestTemplates -update", len(outs), len(want))
	}
	for i, text := range list {
		switch {
		case (outs[i] == nil) != (want[i] == nil):
			t.Errorf("%s\n an error: %v, on record: %v", text, outs[i] == nil, want[i] == nil)
		case outs[i] != nil && *outs[i] != *want[i]:
			t.Errorf("%s\n got %q\nwant %q", text, *outs[i], *want[i])
		}
	}
}

// TestAgainstJinja renders every template of the case file with Jinja2 too: the texts must be the same, and where
// Jinja2 fails this package must.
func TestAgainstJinja(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import jinja2").Run(); err != nil {
		t.Skip("python3 with jinja2 is not installed (pip install jinja2)")
	}
	list := cases(t, "testdata/templates.txt")
	answers := oracle(t, list, false)
	env := NewEnv(pyvalue.Limits{})
	for i, text := range list {
		want := answers[i]
		got, err := render(t, env, text)
		switch {
		case err != nil && want.Error == "":
			t.Errorf("%s\n got error %v\nwant %q", text, err, want.Out)
		case err == nil && want.Error != "":
			t.Errorf("%s\n got %q\nwant error %s", text, got, want.Error)
		case err == nil && got != want.Out:
			t.Errorf("%s\n got %q\nwant %q", text, got, want.Out)
		}
	}
}

type oracleAnswer struct {
	Out   any
	Error string
}

func oracle(t *testing.T, templates []string, native bool) []oracleAnswer {
	t.Helper()
	var input bytes.Buffer
	enc := json.NewEncoder(&input)
	for _, text := range templates {
		if err := enc.Encode(map[string]any{"template": text, "native": native}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "testdata/oracle.py")
	cmd.Stdin = &input
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oracle: %v\n%s", err, stderr.String())
	}
	var answers []oracleAnswer
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n"), "\n") {
		var a oracleAnswer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(templates) {
		t.Fatalf("the oracle answered %d of %d templates", len(answers), len(templates))
	}
	return answers
}
