package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"gust/dag/dagfile/modern"
	"gust/internal/app"
)

const (
	schemaFile = "../../examples/pipeline.schema.json"
	namesIt    = "# yaml-language-server: $schema=pipeline.schema.json\n"
)

// TestSchema holds the schema beside the examples to what `gust dags schema` prints, and the examples to the schema.
// `go test ./cmd/gust -run TestSchema -update` writes it.
func TestSchema(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := execute(t.Context(), []string{"dags", "schema"}, streams{in: strings.NewReader(""), out: &out, err: io.Discard}); code != codeOK {
		t.Fatalf("exit code %d", code)
	}
	if *update {
		if err := os.WriteFile(schemaFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, out.Bytes()) {
		t.Fatalf("%s is not what the command prints now; run `go test ./cmd/gust -run TestSchema -update`", schemaFile)
	}
	doc, err := jsonschema.UnmarshalJSON(&out)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("pipeline.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) < 5 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), namesIt) {
			t.Errorf("%s does not begin with %q", path, namesIt)
		}
		var x any
		if err := yaml.Unmarshal(text, &x); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %#v", path, err)
		}
	}
}

// TestMovedOperators: what `gust dags lint --fix` writes for an operator is a name of the same operator.
func TestMovedOperators(t *testing.T) {
	t.Parallel()
	registry, err := app.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, spec := range registry.Specs() {
		for _, name := range append([]string{spec.Name}, spec.Aliases...) {
			path := modern.Moved(name)
			if path == "" {
				continue
			}
			moved++
			if to, ok := registry.Lookup(path); !ok || to != spec {
				t.Errorf("%s is %s, and %s, which --fix writes for it, is not", name, spec.Name, path)
			}
		}
	}
	if moved < 10 {
		t.Errorf("only %d names have moved", moved)
	}
}
