package dagfile_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"gust/dag/dagfile"
)

const malformed = "testdata/malformed.txt"

// TestMalformed reads every case of malformed.txt, which is "=== " and a name, a pipeline file, "---->", and all of its
// problems word for word. Each of them must be an error. -update writes the problems anew.
func TestMalformed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(malformed)
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(text), "=== ")[1:]
	if len(cases) < 110 {
		t.Errorf("%d cases, expected at least 110", len(cases))
	}
	loader := dagfile.NewLoader(options(t))
	var out bytes.Buffer
	seen := map[string]bool{}
	for _, c := range cases {
		name, rest, _ := strings.Cut(c, "\n")
		file, _, _ := strings.Cut(rest, "---->\n")
		if seen[name] {
			t.Errorf("two cases are called %q", name)
		}
		seen[name] = true
		f := loader.Parse("testdata/x.yaml", []byte(file))
		if !f.HasErrors() {
			t.Errorf("%s: the file loads without an error", name)
		}
		out.WriteString("=== " + name + "\n" + file + "---->\n" + strings.ReplaceAll(dagfile.Text(f.Problems), "testdata/x.yaml:", ""))
	}
	golden(t, malformed, out.Bytes())
}
