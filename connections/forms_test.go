package connections

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

func readCases[T any](t testing.TB, name string) []T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no case", name)
	}
	return cases
}

type parseCase struct {
	URI                           string
	Type                          string
	Login, Password, Host, Schema *string
	Port                          int
	Extra                         map[string]any
}

func TestParseURI(t *testing.T) {
	t.Parallel()
	for _, tc := range readCases[parseCase](t, "parse.yaml") {
		t.Run(tc.URI, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("c", tc.URI)
			if err != nil {
				t.Fatal(err)
			}
			got := parseCase{
				URI: tc.URI, Type: c.Type, Login: c.Login, Password: c.Password, Host: c.Host, Schema: c.Schema, Port: c.Port,
			}
			if c.Extra != nil {
				if err := json.Unmarshal(c.Extra, &got.Extra); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tc, got); diff != "" {
				t.Errorf("parsed connection (-want +got):\n%s", diff)
			}
		})
	}
}

func TestURI(t *testing.T) {
	t.Parallel()
	type generateCase struct {
		Type                          string
		Login, Password, Host, Schema *string
		Port                          int
		Extra, URI                    string
	}
	for _, tc := range readCases[generateCase](t, "generate.yaml") {
		t.Run(tc.URI, func(t *testing.T) {
			t.Parallel()
			c := &Connection{
				Type: tc.Type, Login: tc.Login, Password: tc.Password, Host: tc.Host, Schema: tc.Schema, Port: tc.Port,
			}
			if tc.Extra != "" {
				c.Extra = json.RawMessage(tc.Extra)
			}
			if got := c.URI(); got != tc.URI {
				t.Errorf("URI() = %s, want %s", got, tc.URI)
			}
		})
	}
}

// TestMalformed reads testdata/malformed.txtar: for each name a file NAME with the text and a file NAME.error with the
// exact error. No error may contain one of the marked secrets.
func TestMalformed(t *testing.T) {
	t.Parallel()
	ar, err := txtar.ParseFile(filepath.Join("testdata", "malformed.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	update := os.Getenv("UPDATE_TESTDATA") != ""
	n := 0
	for i, f := range ar.Files {
		name, isText := strings.CutSuffix(f.Name, ".text")
		if !isText {
			continue
		}
		n++
		want := ar.Files[i+1]
		if want.Name != name+".error" {
			t.Fatalf("%s is followed by %s", f.Name, want.Name)
		}
		got := "no error\n"
		if _, err := Parse("my_conn", string(f.Data)); err != nil {
			got = err.Error() + "\n"
		}
		if strings.Contains(got, "SECRET") {
			t.Errorf("%s: the error shows the secret: %s", name, got)
		}
		if update {
			ar.Files[i+1].Data = []byte(got)
			continue
		}
		if got != string(want.Data) {
			t.Errorf("%s: error\n got %swant %s", name, got, want.Data)
		}
	}
	if n < 25 {
		t.Errorf("%d cases, want at least 25", n)
	}
	if update {
		if err := os.WriteFile(filepath.Join("testdata", "malformed.txtar"), txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// genConnection draws connections whose URI form is not ambiguous (see URI).
func genConnection() *rapid.Generator[*Connection] {
	value := rapid.String()
	optional := func(t *rapid.T, name string) *string {
		if !rapid.Bool().Draw(t, "has "+name) {
			return nil
		}
		return new(value.Draw(t, name))
	}
	return rapid.Custom(func(t *rapid.T) *Connection {
		c := &Connection{
			ID: "c", Type: rapid.StringMatching(`[a-z][a-z0-9_.+]{0,8}`).Draw(t, "type"),
			Login: optional(t, "login"), Password: optional(t, "password"),
			Host:   new(rapid.StringMatching(`(https?://)?[a-z0-9.\-ä%/ @:\[\]]{1,9}|`).Draw(t, "host")),
			Schema: new(value.Draw(t, "schema")),
			Port:   rapid.IntRange(0, 65535).Draw(t, "port"),
		}
		c.Type = normalType(c.Type)
		if strings.Contains(strings.TrimPrefix(strings.TrimPrefix(*c.Host, "https://"), "http://"), "://") {
			c.Host = new("")
		}
		if text(c.Login) == "" && c.Password == nil {
			c.Login = nil
			if *c.Host == "" {
				c.Port = 0
			}
		} else if c.Login == nil {
			c.Login = new("") // ":pw@" reads as an empty login
		}
		if rapid.Bool().Draw(t, "has extra") {
			extra := rapid.MapOf(value, rapid.OneOf(
				rapid.Map(value, func(s string) any { return s }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
				rapid.Map(rapid.Map(rapid.MapOf(value, value), func(m map[string]string) any { return m }),
					func(v any) any { return v }),
			)).Draw(t, "extra")
			c.Extra, _ = json.Marshal(extra)
		}
		return c
	})
}

func sameConnection(t interface{ Fatal(...any) }, want, got *Connection) string {
	canonical := func(c *Connection) map[string]any {
		extra, err := c.ExtraMap()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{
			"id": c.ID, "type": c.Type, "description": c.Description, "host": c.Host, "login": c.Login,
			"password": c.Password, "schema": c.Schema, "port": c.Port, "extra": extra, "has extra": c.Extra != nil,
		}
	}
	return cmp.Diff(canonical(want), canonical(got))
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := genConnection().Draw(t, "connection")
		back, err := Parse("c", c.URI())
		if err != nil {
			t.Fatalf("%s: %v", c.URI(), err)
		}
		if diff := sameConnection(t, c, back); diff != "" {
			t.Fatalf("%s reads back differently (-want +got):\n%s", c.URI(), diff)
		}
		back, err = Parse("c", c.JSON())
		if err != nil {
			t.Fatalf("%s: %v", c.JSON(), err)
		}
		if string(c.Extra) == "{}" {
			c.Extra = nil // as_json leaves an empty extra out
		}
		if diff := sameConnection(t, c, back); diff != "" {
			t.Fatalf("%s reads back differently (-want +got):\n%s", c.JSON(), diff)
		}
	})
}

func FuzzParseURI(f *testing.F) {
	for _, tc := range readCases[parseCase](f, "parse.yaml") {
		f.Add(tc.URI)
	}
	for _, s := range []string{
		"", "{", `{"extra": "{\"a\": 1}"}`, "://", "a://b://c://d", "x://[::1", "x://h:99999", "x://%zz%", "aws://@:@:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse("c", s)
		if err != nil {
			return
		}
		again, err := Parse("c", c.URI())
		if err != nil {
			if strings.Contains(strings.TrimPrefix(text(c.Host), "https://"), "://") || !validScheme(c.Type) {
				return // JSON can hold a host or type that the URI form cannot
			}
			t.Fatalf("%q gives the URI %q, which is refused: %v", s, c.URI(), err)
		}
		if first, second := again.URI(), c.URI(); first != second {
			third, err := Parse("c", first)
			if err != nil || third.URI() != first {
				t.Fatalf("%q: the URI does not settle: %q, %q", s, second, first)
			}
		}
		_ = c.String()
		_ = c.JSON()
	})
}
