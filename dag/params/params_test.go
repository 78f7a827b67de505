package params_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
	"gust/dag/params"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, schema, want string }{
		{"none", `{}`, ""},
		{"airflow's own keywords", `{"type": "string", "section": "More", "values_display": {"a": "A"}, "examples": ["a"]}`, ""},
		{"own definitions", `{"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}`, ""},
		{"type", `{"type": "text"}`, "type: 'anyOf' failed"},
		{"minimum", `{"minimum": "1"}`, "minimum: got string, want number"},
		{"pattern", `{"pattern": "("}`, `pattern: "(" is not a valid regex`},
		{"file", `{"$ref": "file:///etc/passwd"}`, `failing loading "file:///etc/passwd": file:///etc/passwd is outside of the schema, and nothing is loaded`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var schema map[string]any
			if err := json.Unmarshal([]byte(c.schema), &schema); err != nil {
				t.Fatal(err)
			}
			_, err := params.Compile(schema)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	d := &dag.DAG{
		Params: json.RawMessage(`{"n": 3, "day": "2025-01-31", "free": [1], "list": ["a"]}`),
		ParamSchemas: json.RawMessage(`{
			"n": {"type": "integer", "minimum": 1, "maximum": 10}, "day": {"type": "string", "format": "date"},
			"must": {"type": ["string", "null"], "maxLength": 3}, "list": {"type": "array", "items": {"enum": ["a", "b"]}}
		}`),
	}
	for _, c := range []struct {
		name, conf string
		off        bool
		want       map[string]any
		errs       []string
	}{
		{"nothing given", `{}`, false, nil, []string{"param must: it has no default, and the run's conf gives no value"}},
		{"good", `{"must": "abc", "n": 10, "other": 1}`, false,
			map[string]any{"n": int64(10), "day": "2025-01-31", "free": []any{int64(1)}, "list": []any{"a"}, "must": "abc"}, nil},
		{"null", `{"must": null, "free": {}}`, false,
			map[string]any{"n": int64(3), "day": "2025-01-31", "free": map[string]any{}, "list": []any{"a"}, "must": nil}, nil},
		{"all wrong", `{"must": "abcd", "n": 11, "day": "tomorrow", "list": ["a", "c", "d"]}`, false, nil, []string{
			`param day: "tomorrow" is not a valid date`,
			"param list.1: value must be one of 'a', 'b'", "param list.2: value must be one of 'a', 'b'",
			"param must: maxLength: got 4, want 3", "param n: maximum: got 11, want 10",
		}},
		{"type", `{"must": 5, "n": 2.5}`, false, nil, []string{
			"param must: got number, want null or string", "param n: got number, want integer",
		}},
		{"overriding is off", `{"must": "abc", "n": 11}`, true, nil,
			[]string{"param must: it has no default, and the run's conf gives no value"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf, err := dag.DecodeJSON([]byte(c.conf))
			if err != nil {
				t.Fatal(err)
			}
			got, errs := params.Resolve(d, conf.(map[string]any), !c.off)
			var texts []string
			for _, e := range errs {
				texts = append(texts, e.Error())
			}
			if diff := cmp.Diff(c.errs, texts); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, got); c.want != nil && diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}
