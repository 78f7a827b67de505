package connections

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustParse(t testing.TB, id, text string) *Connection {
	t.Helper()
	c, err := Parse(id, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const secretive = `{"conn_type": "aws", "login": "AKIA", "password": "pass/SECRET1", "host": "https://u:hostSECRET2@h",
	"extra": {"aws_session_token": "SECRET3", "assume_role_with_web_identity_token_file": "/run/token",
	"session_kwargs": {"aws_secret_access_key": "SECRET4"}, "token": {"a": ["SECRET5", 7654321, true, null]},
	"config_kwargs": {"proxies": {"https": "http://user:SECRET6%2F@proxy:3128"}}, "region_name": "eu-west-1", "api-key": "SECRET7"}}`

func TestMasked(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "c", secretive)
	want := `{"conn_type": "aws", "host": "https://u:***@h", "login": "AKIA", "password": "***", "extra": {"aws_session_token": "***", ` +
		`"assume_role_with_web_identity_token_file": "/run/token", "session_kwargs": {"aws_secret_access_key": "***"}, ` +
		`"token": {"a": ["***", "***", true, null]}, "config_kwargs": {"proxies": {"https": "http://user:***@proxy:3128"}}, ` +
		`"region_name": "eu-west-1", "api-key": "***"}}`
	if got := c.Masked().JSON(); got != want {
		t.Errorf("masked\n got %s\nwant %s", got, want)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "c", c, "value", *c)
	marshalled, err := json.Marshal(map[string]any{"c": c, "v": *c})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(marshalled) + fmt.Sprint(c, *c) + fmt.Sprintf("%v %+v %#v %s %q", c, c, *c, *c, c)
	if strings.Contains(shown, "SECRET") || strings.Contains(shown, "7654321") {
		t.Errorf("a secret is shown: %s", shown)
	}
	if !strings.Contains(c.JSON(), "SECRET1") || !strings.Contains(c.URI(), "SECRET3") {
		t.Error("the connection itself was masked")
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	got := mustParse(t, "c", secretive).Secrets()
	want := []string{"pass/SECRET1", "hostSECRET2", "SECRET3", "SECRET4", "SECRET5", "7654321", "SECRET6%2F", "SECRET6/",
		"SECRET7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestSensitiveKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"password": true, "aws_secret_access_key": true, "aws_session_token": true, "Authorization": true, "API-KEY": true,
		"x_apikey": true, "private_key": true, "keyfile_dict": true, "passphrase": true, "aws_access_key_id": false,
		"region_name": false, "token_file": false, "private_key_path": false, "": false,
	} {
		if got := SensitiveKey(key); got != want {
			t.Errorf("SensitiveKey(%q) = %v, want %v", key, got, want)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	m := &Masker{}
	if got := m.Mask("nothing registered"); got != "nothing registered" {
		t.Error(got)
	}
	m.Add("", "tiny", "secret", "cretin", "pass/word+1", "line one of it\nline two of it", `quo"te\d`, "a/b")
	for in, want := range map[string]string{
		"":                           "",
		"tiny and a%2Fb stay":        "tiny and a%2Fb stay",
		"a secret.":                  "a ***.",
		"secretsecret":               "***",
		"secretin and secre":         "*** and secre", // overlapping secrets leave no rest
		"url pass%2Fword%2B1":        "url ***",
		"raw pass/word+1":            "raw ***",
		"line two of it":             "***",
		"x line one of it\nline two": "x ***\nline two",
		`{"p":"quo\"te\\d"}`:         `{"p":"***"}`,
		"the last byte: s":           "the last byte: s",
		"sesecret ssecre secret":     "se*** ssecre ***",
		"ünïcode secret ünïcode":     "ünïcode *** ünïcode",
	} {
		if got := m.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
	if got := (*Masker)(nil).Mask("x"); got != "x" {
		t.Error("a nil masker changes texts")
	}
}

func TestMaskAllocations(t *testing.T) {
	m := &Masker{}
	m.Add("secret")
	clean := strings.Repeat("nothing to hide in this line; ", 10)
	if n := testing.AllocsPerRun(100, func() { m.Mask(clean) }); n != 0 {
		t.Errorf("%v allocations for a clean line, want none", n)
	}
}

func TestMaskNamed(t *testing.T) {
	t.Parallel()
	m := &Masker{}
	m.AddNamed("db_password", "hunter22")
	m.AddNamed("config", map[string]any{"api_key": "key12345", "plain": "visible", "url": "http://u:urlpass@h",
		"token": []any{"token777"}})
	got := m.Mask("hunter22 key12345 visible urlpass token777")
	if want := "*** *** visible *** ***"; got != want {
		t.Errorf("masked %q, want %q", got, want)
	}
}

// TestMaskProperty compares with marking every byte of every occurrence.
func TestMaskProperty(t *testing.T) {
	t.Parallel()
	letters := rapid.StringMatching(`[ab]{5,7}`)
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(letters, 0, 4).Draw(t, "secrets")
		s := rapid.StringMatching(`[abc]{0,40}`).Draw(t, "text")
		hidden := make([]bool, len(s))
		for _, secret := range secrets {
			for i := range s {
				if strings.HasPrefix(s[i:], secret) {
					for j := range secret {
						hidden[i+j] = true
					}
				}
			}
		}
		var want strings.Builder
		for i := range s {
			if !hidden[i] {
				want.WriteByte(s[i])
			} else if i == 0 || !hidden[i-1] {
				want.WriteString(Hidden)
			}
		}
		m := &Masker{}
		m.Add(secrets...)
		if got := m.Mask(s); got != want.String() {
			t.Fatalf("Mask(%q) with %q = %q, want %q", s, secrets, got, want.String())
		}
		var out bytes.Buffer
		w := m.Writer(&out)
		text := s + "\n" + s
		for rest := text; rest != ""; {
			n := min(rapid.IntRange(1, 9).Draw(t, "chunk"), len(rest))
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want.String()+"\n"+want.String() {
			t.Fatalf("written %q, want %q twice", got, want.String())
		}
	})
}

func TestMaskLongLine(t *testing.T) {
	t.Parallel()
	m := &Masker{}
	m.Add("theSECRET")
	var out bytes.Buffer
	w := m.Writer(&out)
	line := strings.Repeat("x", maxLine-4) + "theSECRET" + strings.Repeat("y", maxLine) + "theSE"
	for i := 0; i < len(line); i += 1000 {
		if _, err := io.WriteString(w, line[i:min(i+1000, len(line))]); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() == 0 {
		t.Error("nothing of a long line was written")
	}
	if _, err := io.WriteString(w, "CRET\n"); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("x", maxLine-4) + Hidden + strings.Repeat("y", maxLine) + Hidden + "\n"
	if got := out.String(); got != want {
		t.Errorf("%d bytes written, want %d; secret shown: %v", len(got), len(want), strings.Contains(got, "SECRET"))
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

func TestMaskWriterFailure(t *testing.T) {
	t.Parallel()
	w := (&Masker{}).Writer(failingWriter{})
	if _, err := io.WriteString(w, "line\n"); err == nil {
		t.Error("the failure is lost")
	}
}

func TestMaskHandler(t *testing.T) {
	t.Parallel()
	m := &Masker{}
	m.Add("theSECRET")
	var out bytes.Buffer
	log := slog.New(m.Handler(slog.NewJSONHandler(&out, nil)))
	type inner struct{ Text string }
	log.With("a", "theSECRET", slog.Group("g", "b", "x theSECRET y")).WithGroup("h").Error("message theSECRET",
		"err", fmt.Errorf("wrapped: %w", errors.New("theSECRET")), "struct", inner{"theSECRET"}, "bytes", []byte("theSECRET"),
		"password", "never shown", "token", []string{"never shown"}, "n", 5, "ok", inner{"fine"}, "map", map[string]string{"k": "theSECRET"})
	if s := out.String(); strings.Contains(s, "SECRET") || strings.Contains(s, "never shown") {
		t.Errorf("a secret is logged: %s", s)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "ERROR", "msg": "message ***", "a": "***", "g": map[string]any{"b": "x *** y"},
		"h": map[string]any{
			"err": "wrapped: ***", "struct": "{Text:***}", "bytes": "***", "password": "***", "token": "***", "n": 5.0,
			"ok": map[string]any{"Text": "fine"}, "map": "map[k:***]",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if log.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the next handler's level is ignored")
	}
}

func TestMaskerConcurrency(t *testing.T) {
	t.Parallel()
	m := &Masker{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				secret := fmt.Sprintf("secret-%d-%d", i, j)
				m.Add(secret)
				if got := m.Mask("x " + secret); got != "x "+Hidden {
					t.Errorf("Mask = %q right after Add(%q)", got, secret)
				}
			}
		})
	}
	wg.Wait()
	if got := m.Mask("secret-0-0 secret-7-49"); got != "*** ***" {
		t.Errorf("a secret was lost: %q", got)
	}
}

func BenchmarkMask(b *testing.B) {
	m := &Masker{}
	for i := range 50 {
		m.Add(fmt.Sprintf("%c%cSecretNumber%d", 'A'+i%26, 'a'+i%7, i))
	}
	line := strings.Repeat("2026-01-01 INFO a line of ordinary task output, a little long; ", 3)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		m.Mask(line)
	}
}
