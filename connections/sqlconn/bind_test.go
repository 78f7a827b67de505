package sqlconn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBind(t *testing.T) {
	t.Parallel()
	named := map[string]any{"a": 1, "b": "x", "ids": []any{1, 2}, "doc": map[string]any{"k": true}}
	for _, c := range []struct {
		name      string
		dialect   Dialect
		statement string
		params    any
		want      string
		args      []any
	}{
		{"nothing given, nothing changed", Postgres, "SELECT '50%%' % 2, %s", nil, "SELECT '50%%' % 2, %s", nil},
		{"percent s", Postgres, "SELECT %s, %s", []any{1, "x"}, "SELECT $1, $2", []any{"1", "x"}},
		{"percent s in MySQL", MySQL, "SELECT %s, %s", []any{1, "x"}, "SELECT ?, ?", []any{1, "x"}},
		{"percent s in SQLite", SQLite, "SELECT %s", []any{1.5}, "SELECT ?", []any{1.5}},
		{"named", Postgres, "SELECT %(b)s, %(a)s, %(b)s", named, "SELECT $1, $2, $1", []any{"x", "1"}},
		{"named in MySQL", MySQL, "SELECT %(b)s, %(b)s", named, "SELECT ?, ?", []any{"x", "x"}},
		{"question marks", MySQL, "SELECT ?, '?', `?`", []any{nil}, "SELECT ?, '?', `?`", []any{nil}},
		{"a question mark beside percent s is an operator", Postgres, "SELECT d ? %s", []any{"k"}, "SELECT d ? $1", []any{"k"}},
		{"colons", Postgres, "SELECT :a::text, x[lo:hi], ':a'", named, "SELECT $1::text, x[lo:hi], ':a'", []any{"1"}},
		{"colons in SQLite", SQLite, "SELECT :a, :b", named, "SELECT ?, ?", []any{1, "x"}},
		{"native", Postgres, "SELECT $2, $1", []any{true, 2.5}, "SELECT $2, $1", []any{"true", "2.5"}},
		{"doubled percent", MySQL, "SELECT 7 %% 2 WHERE n LIKE 'a%%' AND x = %s", []any{1}, "SELECT 7 % 2 WHERE n LIKE 'a%' AND x = ?", []any{1}},
		{"percent elsewhere", MySQL, "SELECT '%s', \"%s\" -- %s\n/* %s */ # %s\n, %s", []any{1}, "SELECT '%s', \"%s\" -- %s\n/* %s */ # %s\n, ?", []any{1}},
		{"an attack stays a value", SQLite, "SELECT %s", []any{"'; DROP TABLE t; --"}, "SELECT ?", []any{"'; DROP TABLE t; --"}},
		{"dollar quotes", Postgres, "SELECT $q$ %s $q$, %s", []any{1}, "SELECT $q$ %s $q$, $1", []any{"1"}},
		{"escaped quote", MySQL, `SELECT 'it\'s %s', %s`, []any{1}, `SELECT 'it\'s %s', ?`, []any{1}},
		{"list is an array", Postgres, "WHERE id = ANY(%(ids)s)", named, "WHERE id = ANY($1)", []any{`{"1","2"}`}},
		{"list is a set", MySQL, "WHERE id IN %(ids)s", named, "WHERE id IN (?, ?)", []any{1, 2}},
		{"list between parentheses", SQLite, "WHERE id IN ( %(ids)s )", named, "WHERE id IN ( ?, ? )", []any{1, 2}},
		{"mapping is JSON", Postgres, "SELECT %(doc)s", named, "SELECT $1", []any{`{"k":true}`}},
		{"array of texts", Postgres, "SELECT %s", []any{[]any{`a"b\`, nil, []any{"x"}}}, "SELECT $1", []any{`{"a\"b\\",NULL,{"x"}}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, args, err := Bind(c.dialect, c.statement, c.params)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if diff := cmp.Diff(c.args, args); diff != "" {
				t.Errorf("args (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBindRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect   Dialect
		statement string
		params    any
		want      string
	}{
		{Postgres, "SELECT %s", []any{1, 2}, "2 parameters are given, but the statement has 1 placeholders"},
		{Postgres, "SELECT %s, %s", []any{1}, "1 parameters are given, but the statement has 2 placeholders"},
		{Postgres, "SELECT %(nme)s", map[string]any{"name": 1}, `the statement asks for "nme", which is not given; expected one of name; did you mean "name"?`},
		{MySQL, "SELECT %(d)s, '%(day)s'", map[string]any{"day": 1, "d": 1}, "remove the quotes"},
		{MySQL, "WHERE x IN %s", []any{[]any{}}, "empty list"},
		{SQLite, "SELECT 1", "text", "parameters are string"},
	} {
		if _, _, err := Bind(c.dialect, c.statement, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.statement, err, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		dialect Dialect
		text    string
		want    []string
	}{
		{"one", Postgres, "SELECT 1", []string{"SELECT 1"}},
		{"several", Postgres, "SELECT 1; SELECT 2;\n;  ; -- end", []string{"SELECT 1", "SELECT 2"}},
		{"literals", Postgres, `SELECT ';', ";", $$;$$, E'\';' ; SELECT 2`, []string{`SELECT ';', ";", $$;$$, E'\';'`, "SELECT 2"}},
		{"a backslash is plain", Postgres, `SELECT '\'; SELECT 2`, []string{`SELECT '\'`, "SELECT 2"}},
		{"a backslash escapes", MySQL, `SELECT '\';'; SELECT 2`, []string{`SELECT '\';'`, "SELECT 2"}},
		{"comments", MySQL, "SELECT 1 # ;\n+ 1; /* ; */ SELECT 2 -- ;", []string{"SELECT 1 # ;\n+ 1", "/* ; */ SELECT 2 -- ;"}},
		{"two dashes may be minus", MySQL, "SELECT 1--1; SELECT 2", []string{"SELECT 1--1", "SELECT 2"}},
		{"nested comments", Postgres, "/* a /* ; */ ; */ SELECT 1; SELECT 2", []string{"/* a /* ; */ ; */ SELECT 1", "SELECT 2"}},
		{"a trigger", SQLite, "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET n = CASE WHEN 1 THEN 2 END; DELETE FROM c; END; SELECT 1",
			[]string{"CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET n = CASE WHEN 1 THEN 2 END; DELETE FROM c; END", "SELECT 1"}},
		{"a procedure", MySQL, "CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT 1; END IF; BEGIN SELECT 2; END; END; CALL p()",
			[]string{"CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT 1; END IF; BEGIN SELECT 2; END; END", "CALL p()"}},
		{"a transaction is no body", Postgres, "BEGIN; SELECT 1; END;", []string{"BEGIN", "SELECT 1", "END"}},
		{"a table called end", SQLite, "CREATE TABLE t (begin int); SELECT 1", []string{"CREATE TABLE t (begin int)", "SELECT 1"}},
		{"nothing", SQLite, " -- nothing\n", nil},
		{"open literal", SQLite, "SELECT 'a; b", []string{"SELECT 'a; b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Split(c.dialect, c.text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add("SELECT '%s', $a$;$a$, %(x)s -- ;\n; CREATE TRIGGER t BEGIN SELECT :x; END")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []Dialect{Postgres, MySQL, SQLite} {
			for _, s := range Split(d, text) {
				if strings.TrimSpace(s) == "" {
					t.Errorf("%s: an empty statement of %q", d, text)
				}
			}
			for _, params := range []any{[]any{1}, map[string]any{"x": 1}} {
				_, args, err := Bind(d, text, params)
				if err == nil && len(args) > len(text) {
					t.Errorf("%d values for %q", len(args), text)
				}
			}
		}
	})
}
