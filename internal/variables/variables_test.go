package variables

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type rows map[string]Row

func (r rows) VariableGet(_ context.Context, key string) (*Row, error) {
	if key == "broken" {
		return nil, errors.New("database is locked")
	}
	row, ok := r[key]
	if !ok {
		return nil, ErrNotFound
	}
	return &row, nil
}

func (r rows) VariableList(context.Context) ([]Row, error) {
	var all []Row
	for _, row := range r {
		all = append(all, row)
	}
	return all, nil
}

func (r rows) VariableSet(_ context.Context, row *Row) error { r[row.Key] = *row; return nil }

func (r rows) VariableDelete(_ context.Context, key string) error {
	if _, ok := r[key]; !ok {
		return ErrNotFound
	}
	delete(r, key)
	return nil
}

// reverse is a sealer that turns texts around and marks them with its key.
type reverse struct{ key string }

func (s reverse) Seal(plain string) (string, error) {
	b := []byte(plain)
	slices.Reverse(b)
	return s.key + ":" + string(b), nil
}

func (s reverse) Open(sealed string) (string, error) {
	rest, ok := strings.CutPrefix(sealed, s.key+":")
	if !ok {
		return "", errors.New("cannot be decrypted")
	}
	b := []byte(rest)
	slices.Reverse(b)
	return string(b), nil
}

func (s reverse) Rotate(sealed string) (string, error) {
	_, rest, ok := strings.Cut(sealed, ":")
	if !ok {
		return "", errors.New("cannot be decrypted")
	}
	return s.key + ":" + rest, nil
}

type masker struct{ seen map[string][]any }

func (m *masker) AddNamed(name string, value any) { m.seen[name] = append(m.seen[name], value) }

func fixture(environment map[string]string) (*Variables, rows, *masker) {
	r, m := rows{}, &masker{seen: map[string][]any{}}
	return New(Options{
		Rows: r, Sealer: reverse{key: "k1"}, Masker: m,
		Lookup: func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
		Environ: func() []string {
			var all []string
			for name, value := range environment {
				all = append(all, name+"="+value)
			}
			return all
		},
	}), r, m
}

func TestGet(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v, r, m := fixture(map[string]string{
		"GUST_VAR_BOTH": "gust", "AIRFLOW_VAR_BOTH": "airflow", "AIRFLOW_VAR_EMPTY": "", "AIRFLOW_VAR_ONE": "1", "HOME": "/",
	})
	if err := errors.Join(v.Set(ctx, "one", "database", ""), v.Set(ctx, "mine", `{"a": [1, 2.5], "token": "t"}`,
		"d")); err != nil {
		t.Fatal(err)
	}
	if row := r["one"]; row.Value != "k1:esabatad" || !row.Encrypted {
		t.Errorf("row %+v is not sealed", row)
	}
	for key, want := range map[string]string{"both": "gust", "Both": "gust", "empty": "", "one": "1",
		"mine": `{"a": [1, 2.5], "token": "t"}`} {
		if got, err := v.Get(ctx, key); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", key, got, err, want)
		}
	}
	got, err := v.GetJSON(ctx, "mine")
	if diff := cmp.Diff(map[string]any{"a": []any{int64(1), 2.5}, "token": "t"}, got); diff != "" || err != nil {
		t.Errorf("GetJSON (%v, -want +got):\n%s", err, diff)
	}
	if len(m.seen["mine"]) < 2 {
		t.Error("the values inside JSON were not shown to the masker")
	}
	_, err = v.GetJSON(ctx, "both")
	if err == nil || err.Error() != `variable "both" is not JSON: 1:1: unexpected character or end` {
		t.Errorf("error %v", err)
	}
	_, err = v.Get(ctx, "mien")
	if want := "Variable mien does not exist; did you mean \"mine\"?; define it with GUST_VAR_MIEN or with `gust variables set mien VALUE`"; err == nil || err.Error() != want {
		t.Errorf("error\n got %v\nwant %s", err, want)
	}
	if got, err := v.GetOr(ctx, "nothing", "def"); got != "def" || err != nil {
		t.Errorf("GetOr: %q %v", got, err)
	}
	if _, err := v.GetOr(ctx, "broken", "def"); err == nil {
		t.Error("GetOr hides a database that fails")
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v, r, _ := fixture(map[string]string{"GUST_VAR_BOTH": "gust", "AIRFLOW_VAR_BOTH": "x", "AIRFLOW_VAR_ONE": "1", "HOME": "/"})
	if err := errors.Join(v.Set(ctx, "one", "database", ""), v.Set(ctx, "mine", "x", "d")); err != nil {
		t.Fatal(err)
	}
	r["old"] = Row{Key: "old", Value: "plain"}
	if got, err := v.Get(ctx, "old"); got != "plain" || err != nil {
		t.Errorf("a row that is not encrypted: %q %v", got, err)
	}
	r["lost"] = Row{Key: "lost", Value: "k0:x", Encrypted: true}
	if _, err := v.Get(ctx, "lost"); err == nil || !strings.Contains(err.Error(), `variable "lost" in the database`) {
		t.Errorf("error %v", err)
	}
	entries, err := v.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		line := e.Key + " " + e.Source
		if e.Shadowed {
			line += " shadowed"
		}
		if e.Err != nil {
			line += " error"
		}
		lines = append(lines, line)
	}
	want := []string{
		"both environment", "lost database error", "mine database", "old database", "one environment",
		"one database shadowed",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestSetDelete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v, r, _ := fixture(map[string]string{"GUST_VAR_ENV": "x"})
	if err := v.SetJSON(ctx, "j", map[string]any{"b": "<&>", "a": 1}, "desc"); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Get(ctx, "j"); got != "{\n  \"a\": 1,\n  \"b\": \"<&>\"\n}" || err != nil ||
		r["j"].Description != "desc" {
		t.Errorf("%q %v", got, err)
	}
	for _, key := range []string{"", strings.Repeat("x", 251)} {
		if err := v.Set(ctx, key, "x", ""); err == nil {
			t.Errorf("the key %q was accepted", key)
		}
	}
	if err := v.Delete(ctx, "j"); err != nil {
		t.Error(err)
	}
	var missing *NotFoundError
	if err := v.Delete(ctx, "j"); !errors.As(err, &missing) {
		t.Errorf("error %v", err)
	}
	if err := v.Delete(ctx, "env"); err == nil || !strings.Contains(err.Error(), "GUST_VAR_ENV") {
		t.Errorf("error %v, want one that names the environment variable", err)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v, r, _ := fixture(nil)
	if err := v.Set(ctx, "a", "x", "d"); err != nil {
		t.Fatal(err)
	}
	r["plain"] = Row{Key: "plain", Value: "y"}
	v.Sealer = reverse{key: "k2"}
	if n, err := v.Rotate(ctx); n != 2 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	want := rows{"a": {Key: "a", Value: "k2:x", Description: "d", Encrypted: true}, "plain": {Key: "plain",
		Value: "k2:y", Encrypted: true}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	r["bad"] = Row{Key: "bad", Value: "garbage", Encrypted: true}
	v.Sealer = reverse{key: "k3"}
	if _, err := v.Rotate(ctx); err == nil || r["a"].Value != "k2:x" {
		t.Errorf("error %v, row %+v: a rotation that fails must change nothing", err, r["a"])
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	source, _, _ := fixture(nil)
	for key, value := range map[string]string{
		"text": "plain", "number": "5", "quoted": `"q"`, "object": "{\n  \"a\": [\n    1\n  ]\n}",
		"wrapped": "{\n  \"value\": 1\n}", "bool": "true", "big": "12345678901234567",
	} {
		description := ""
		if key == "text" {
			description = "what it is"
		}
		if err := source.Set(ctx, key, value, description); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []string{"json", "yaml"} {
		data, err := source.Export(ctx, format)
		if err != nil {
			t.Fatal(err)
		}
		target, _, _ := fixture(nil)
		if _, err := target.Import(ctx, "v."+format, data, Fail); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(source.Rows, target.Rows); diff != "" {
			t.Errorf("%s does not give the same variables (-want +got):\n%s", format, diff)
		}
	}
	if _, err := source.Export(ctx, "env"); err == nil || !strings.Contains(err.Error(), "several lines") {
		t.Errorf("error %v", err)
	}
	if _, err := source.Export(ctx, "toml"); err == nil {
		t.Error("exported as toml")
	}
	if err := errors.Join(source.Delete(ctx, "object"), source.Delete(ctx, "wrapped")); err != nil {
		t.Fatal(err)
	}
	data, err := source.Export(ctx, "env")
	if want := "big=12345678901234567\nbool=true\nnumber=5\nquoted=\"q\"\ntext=plain\n"; string(data) != want ||
		err != nil {
		t.Errorf("env export %q %v", data, err)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	source, _, _ := fixture(nil)
	if err := source.Set(ctx, "text", "old", ""); err != nil {
		t.Fatal(err)
	}
	result, err := source.Import(ctx, "v.env", []byte("# c\n\ntext=new\nmore=x=y\n"), Skip)
	if diff := cmp.Diff(ImportResult{Set: []string{"more"}, Skipped: []string{"text"}}, result); diff != "" || err != nil {
		t.Errorf("skip (%v, -want +got):\n%s", err, diff)
	}
	_, err = source.Import(ctx, "v.env", []byte("text=new\nother=x\n"), Fail)
	if err == nil || err.Error() != "these keys exist already: text; nothing was imported" {
		t.Errorf("error %v", err)
	}
	if _, err := source.Import(ctx, "v.yaml", []byte("text: {value: new, description: null}\ndate: 2026-01-02\n"),
		Overwrite); err != nil {
		t.Error(err)
	}
	for key, want := range map[string]string{"text": "new", "more": "x=y", "date": "2026-01-02"} {
		if got, err := source.Get(ctx, key); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", key, got, err, want)
		}
	}
}

func TestImportErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"v.json", "{\n \"a\": x}", "v.json: not JSON: 2:7: unexpected character or end"},
		{"v.json", "[1]", "v.json: the file does not hold an object of variables by key"},
		{"dir/v.yaml", "a: {1: x}", `v.yaml: variable "a": a key inside the value is not a text; put it in quotes`},
		{"v.yaml", "a: 1\na: 2\n", `v.yaml: not YAML: unmarshal errors:` +
			"\n  line 2: mapping key \"a\" already defined at line 1"},
		{"v.env", "a", `v.env: line 1 has no "="; expected KEY=VALUE`},
		{"v.env", "\n=x", `v.env: line 2 has nothing before "="; expected KEY=VALUE`},
		{"v.env", "a=", `v.env: line 1 has nothing after "="; expected KEY=VALUE`},
		{"v.env", "a=1\na=2", `v.env: line 2: the key "a" has multiple values`},
		{"v.toml", "a=1", "v.toml: unsupported file format; expected a name that ends in .json, .yaml, .yml or .env"},
	} {
		v, r, _ := fixture(nil)
		_, err := v.Import(t.Context(), tc.name, []byte(tc.text), Overwrite)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s %q: error\n got %v\nwant %s", tc.name, tc.text, err, tc.want)
		}
		if len(r) > 0 {
			t.Errorf("%s %q: %d variables were stored", tc.name, tc.text, len(r))
		}
	}
	v, _, _ := fixture(nil)
	if _, err := v.Import(t.Context(), "v.json", []byte("{}"), "sometimes"); err == nil {
		t.Error("an unknown action was accepted")
	}
}
