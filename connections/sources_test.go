package connections

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func environment(vars map[string]string) *Environment {
	return NewEnvironment(
		func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		func() []string {
			var out []string
			for k, v := range vars {
				out = append(out, k+"="+v)
			}
			return out
		})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	e := environment(map[string]string{
		"GUST_CONN_BOTH": "http://gust", "AIRFLOW_CONN_BOTH": "http://airflow",
		"AIRFLOW_CONN_MY_DB": ` {"conn_type": "postgres", "host": "db"} `,
		"GUST_CONN_EMPTY":    "  ", "AIRFLOW_CONN_EMPTY": "http://second", "AIRFLOW_CONN_BAD": "aws://AKIA:SECRET",
		"AIRFLOW_CONN_": "http://x", "PATH": "/bin",
		"GUST_CONN_NOTHING": "",
	})
	ids, err := e.List(t.Context())
	if diff := cmp.Diff([]string{"bad", "both", "empty", "my_db"}, ids); diff != "" || err != nil {
		t.Errorf("ids (%v, -want +got):\n%s", err, diff)
	}
	for id, want := range map[string]string{"both": "http://gust", "Both": "http://gust", "my_db": "postgres://db",
		"empty": "http://second"} {
		c, err := e.Get(t.Context(), id)
		if err != nil || c == nil || c.URI() != want || c.ID != id {
			t.Errorf("%s: %v %v, want %s", id, c, err, want)
		}
	}
	for _, id := range []string{"nothing", "absent"} {
		if c, err := e.Get(t.Context(), id); c != nil || err != nil {
			t.Errorf("%s: %v %v, want neither", id, c, err)
		}
	}
	_, err = e.Get(t.Context(), "bad")
	var form *FormError
	if !errors.As(err, &form) || !strings.HasPrefix(err.Error(),
		`environment variable AIRFLOW_CONN_BAD: connection "bad": invalid connection string aws://***: `) {
		t.Errorf("error %v", err)
	}
	t.Run("of the process", func(t *testing.T) {
		if _, err := NewEnvironment(nil, nil).List(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestFiles reads testdata/files.txtar: files to load, and for each NAME.want with every id's URI or error.
func TestFiles(t *testing.T) {
	t.Parallel()
	ar, err := txtar.ParseFile(filepath.Join("testdata", "files.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	update := os.Getenv("UPDATE_TESTDATA") != ""
	folder := t.TempDir()
	for i, f := range ar.Files {
		if strings.HasSuffix(f.Name, ".want") {
			continue
		}
		if ar.Files[i+1].Name != f.Name+".want" {
			t.Fatalf("%s is followed by %s", f.Name, ar.Files[i+1].Name)
		}
		path := filepath.Join(folder, f.Name)
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		source := NewFile(path)
		ids, err := source.List(t.Context())
		if err != nil {
			got.WriteString(err.Error() + "\n")
		}
		for _, id := range ids {
			c, err := source.Get(t.Context(), id)
			if err != nil {
				got.WriteString(err.Error() + "\n")
			} else {
				got.WriteString(id + "=" + c.URI() + "\n")
			}
		}
		if strings.Contains(got.String(), "SECRET") {
			t.Errorf("%s: an error shows a secret: %s", f.Name, got.String())
		}
		if update {
			ar.Files[i+1].Data = []byte(got.String())
		} else if diff := cmp.Diff(string(ar.Files[i+1].Data), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
	if update {
		if err := os.WriteFile(filepath.Join("testdata", "files.txtar"), txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "connections.yaml")
	f := NewFile(path)
	get := func() string {
		c, err := f.Get(t.Context(), "a")
		if err != nil {
			return err.Error()
		}
		if c == nil {
			return "none"
		}
		return c.URI()
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(); got != "none" {
		t.Errorf("without a file: %s", got)
	}
	for _, uri := range []string{"http://one", "http://two"} { // same size, maybe the same time
		write("a: " + uri + "\n")
		if got := get(); got != uri {
			t.Errorf("%s, want %s", got, uri)
		}
	}
	f.now = func() time.Time { return time.Now().Add(time.Hour) } // the file is old now
	get()
	before := f.byID
	get()
	if len(before) != 1 || !f.loaded || f.stamp.fresh {
		t.Errorf("an old file is not kept: %+v", f.stamp)
	}
	write("a: {}: {}")
	if got := get(); !strings.HasPrefix(got, "connections.yaml:1:1: not YAML: ") {
		t.Errorf("broken file: %s", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != "none" {
		t.Errorf("after the file was removed: %s", got)
	}
	if sources := FilesIn(folder); len(sources) != 4 || sources[2].Name() != "file connections.json" {
		t.Errorf("sources %v", sources)
	}
}

// broken is a source that fails.
type broken struct{ Fixed }

func (broken) Get(context.Context, string) (*Connection, error) {
	return nil, errors.New("database is locked")
}

func TestResolver(t *testing.T) {
	t.Parallel()
	m := &Masker{}
	r := NewResolver(m,
		environment(map[string]string{"GUST_CONN_A": "http://u:fromenv1@h", "GUST_CONN_BAD": "aws://x:y"}),
		NewFixed("built in", mustParse(t, "a", "http://fixed"), mustParse(t, "aws_default", "aws://k:builtinsecret@")))
	c, err := r.Connection(t.Context(), "a")
	if err != nil || c.PasswordOr("") != "fromenv1" {
		t.Fatalf("%v %v, want the environment's", c, err)
	}
	if got := m.Mask("fromenv1 builtinsecret"); got != "*** builtinsecret" {
		t.Errorf("masked %q: secrets are registered when they are looked up", got)
	}
	_, err = r.Connection(t.Context(), "aws_defalt")
	var missing *NotFoundError
	want := &NotFoundError{ID: "aws_defalt", Known: []string{"a", "aws_default", "bad"}, Nearest: "aws_default"}
	if !errors.As(err, &missing) || cmp.Diff(want, missing) != "" || !IsNotFound(err) {
		t.Errorf("error %#v, want %#v", err, want)
	}
	if _, err := r.Connection(t.Context(), "bad"); err == nil || IsNotFound(err) {
		t.Errorf("error %v, want the form's", err)
	}
	if _, err := r.Connection(t.Context(), "no id"); err == nil || !strings.Contains(err.Error(),
		"not a legal connection id") {
		t.Errorf("error %v", err)
	}
	entries, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		line := e.ID + " " + e.Source
		if e.Shadowed {
			line += " shadowed"
		}
		if e.Err != nil {
			line += " error"
		}
		got = append(got, line)
	}
	if diff := cmp.Diff([]string{"a environment", "a built in shadowed", "aws_default built in",
		"bad environment error"}, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if e, err := r.Find(t.Context(), "a"); err != nil || e.Source != "environment" {
		t.Errorf("Find: %+v %v", e, err)
	}
	if _, err := r.Find(t.Context(), "none"); !IsNotFound(err) {
		t.Errorf("Find: %v", err)
	}
	_, err = NewResolver(nil, &broken{}, NewFixed("x", mustParse(t, "a", "http://x"))).Connection(t.Context(), "a")
	if err == nil || err.Error() != `look up connection "a": database is locked` {
		t.Errorf("error %v: a source that fails must not be passed over", err)
	}
}

// rows is a Rows in memory.
type rows struct {
	mu   sync.Mutex
	byID map[string]Row
}

func (r *rows) ConnectionGet(_ context.Context, id string) (*Row, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.byID[id]
	if !ok {
		return nil, ErrNotFound
	}
	return &row, nil
}

func (r *rows) ConnectionList(context.Context) ([]Row, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Row
	for _, row := range r.byID {
		all = append(all, row)
	}
	return all, nil
}

func (r *rows) ConnectionPut(_ context.Context, row *Row, overwrite bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.byID[row.ID]; ok && !overwrite {
		return ErrExists
	}
	r.byID[row.ID] = *row
	return nil
}

func (r *rows) ConnectionDelete(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.byID[id]; !ok {
		return ErrNotFound
	}
	delete(r.byID, id)
	return nil
}

const keyOne, keyTwo = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func TestDatabase(t *testing.T) {
	t.Parallel()
	r := &rows{byID: map[string]Row{}}
	d := NewDatabase(r, NewKeyring(keyOne, ""))
	for _, text := range []string{secretive, "aws://", "aws:///?__extra__=%7B%7D", "http://u:p@h:1/s?a=b",
		`{"conn_type": "x", "description": "d \"q\" ä"}`} {
		c := mustParse(t, "c", text)
		if err := d.Add(t.Context(), c, true); err != nil {
			t.Fatal(err)
		}
		row := r.byID["c"]
		if strings.Contains(row.Sealed, "SECRET") || row.Type != c.Type {
			t.Errorf("row %+v", row)
		}
		back, err := d.Get(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		if diff := sameConnection(t, c, back); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	if err := d.Add(t.Context(), mustParse(t, "c", "aws://"), false); !errors.Is(err, ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	for _, c := range []*Connection{{ID: "c d", Type: "aws"}, {ID: "c"}, {ID: "c", Type: "aws", Extra: []byte("[]")}} {
		if err := d.Add(t.Context(), c, true); err == nil {
			t.Errorf("%v was added", c)
		}
	}
	if c, err := d.Get(t.Context(), "none"); c != nil || err != nil {
		t.Errorf("%v %v, want neither", c, err)
	}
	moved := r.byID["c"]
	moved.ID = "other"
	r.byID["other"] = moved
	if _, err := d.Get(t.Context(), "other"); err == nil || !strings.Contains(err.Error(),
		"does not match the connection's id") {
		t.Errorf("error %v: a row was moved to another id", err)
	}
	delete(r.byID, "other")
	ids, err := d.List(t.Context())
	if err != nil || !slices.Equal(ids, []string{"c"}) {
		t.Errorf("ids %v %v", ids, err)
	}
	if err := d.Delete(t.Context(), "c"); err != nil {
		t.Error(err)
	}
	if err := d.Delete(t.Context(), "c"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
}

func TestDatabaseRotate(t *testing.T) {
	t.Parallel()
	r := &rows{byID: map[string]Row{}}
	if err := NewDatabase(r, NewKeyring(keyOne, "")).Add(t.Context(), mustParse(t, "c", secretive), false); err != nil {
		t.Fatal(err)
	}
	wrong := NewDatabase(r, NewKeyring(keyTwo, ""))
	if _, err := wrong.Get(t.Context(), "c"); err == nil || !strings.Contains(err.Error(),
		`connection "c" in the database: cannot be decrypted with the keys of GUST_FERNET_KEY`) {
		t.Errorf("error %v", err)
	}
	if _, err := wrong.Rotate(t.Context()); err == nil {
		t.Error("rotated without the old key")
	}
	if n, err := NewDatabase(r, NewKeyring(keyTwo+", "+keyOne, "")).Rotate(t.Context()); n != 1 || err != nil {
		t.Errorf("rotated %d, %v", n, err)
	}
	if _, err := wrong.Get(t.Context(), "c"); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "fernet.key")
	if _, err := NewKeyring("", path).Open("x"); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("error %v, want that the key file is missing", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("reading created a key file")
	}
	sealed := make([]string, 16)
	var wg sync.WaitGroup
	for i := range sealed {
		wg.Go(func() { // as many processes would
			var err error
			if sealed[i], err = NewKeyring("", path).Seal("text"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, s := range sealed {
		if plain, err := NewKeyring("", path).Open(s); err != nil || plain != "text" {
			t.Errorf("%d: %q %v: the writers used different keys", i, plain, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v, want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".fernet-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeyring("", path).Seal("x"); err == nil || !strings.Contains(err.Error(), "can be read by others (mode 0644); run `chmod 600 "+path) {
		t.Errorf("error %v, want one about the mode", err)
	}
	for _, keys := range []string{"short", keyOne + ",x", ","} {
		_, err := NewKeyring(keys, "").Seal("x")
		if err == nil || !strings.Contains(err.Error(), "GUST_FERNET_KEY") || strings.Contains(err.Error(), keyOne) {
			t.Errorf("%q: error %v", keys, err)
		}
	}
	if plain, err := NewKeyring(keyOne, "").Open("gAAAAA_tampered"); err == nil {
		t.Errorf("opened %q", plain)
	}
}

func TestExportImport(t *testing.T) {
	t.Parallel()
	conns := []*Connection{
		mustParse(t, "z_db", "postgres://u:p%20w@h:5432/s"), mustParse(t, "a", `{"conn_type": "aws", "description": "ä \"d\"", "extra": {"verify": false, "n": {"a": [1]}}}`),
		mustParse(t, "e", "aws:///?__extra__=%7B%7D"), {ID: "only_type", Type: "http"},
	}
	for _, tc := range []struct{ format, serialization, name string }{
		{"json", "", "c.json"}, {"yaml", "", "c.yaml"}, {"yaml", "", "C.YML"}, {"env", "json", "c.env"}, {"env", "uri", "c.env"}, {"env", "", "c.env"},
	} {
		data, err := Export(conns, tc.format, tc.serialization)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Import(tc.name, data)
		if err != nil || len(back) != len(conns) {
			t.Fatalf("%v: %v\n%s", tc, err, data)
		}
		for i, want := range slices.SortedFunc(slices.Values(conns), func(a, b *Connection) int { return strings.Compare(a.ID, b.ID) }) {
			if tc.format == "env" && tc.serialization != "json" {
				want = mustParse(t, want.ID, want.URI())
			}
			if tc.serialization == "json" && string(want.Extra) == "{}" {
				want = mustParse(t, want.ID, want.JSON())
			}
			if diff := sameConnection(t, want, back[i]); diff != "" {
				t.Errorf("%v (-want +got):\n%s", tc, diff)
			}
		}
	}
	data, err := Export(conns[:1], "json", "")
	want := "{\n  \"z_db\": {\n    \"conn_type\": \"postgres\",\n    \"description\": null,\n    \"login\": \"u\",\n    \"password\": \"p w\",\n" +
		"    \"host\": \"h\",\n    \"port\": 5432,\n    \"schema\": \"s\",\n    \"extra\": null\n  }\n}\n"
	if diff := cmp.Diff(want, string(data)); diff != "" || err != nil {
		t.Errorf("export (%v, -want +got):\n%s", err, diff)
	}
	for _, bad := range [][2]string{{"toml", ""}, {"json", "uri"}, {"env", "yaml"}} {
		if _, err := Export(conns, bad[0], bad[1]); err == nil {
			t.Errorf("exported as %v", bad)
		}
	}
	_, err = Import("c.yaml", []byte("a: aws://x:y\nb: {conn_typ: x}\nc: aws://\n"))
	wantErr := "c.yaml:1:4: connection \"a\": invalid connection string aws://***: the port could not be cast to an integer value; " + portHint +
		"\nc.yaml:2:5: connection \"b\": unknown key \"conn_typ\"; expected one of conn_type, description, host, login, password, schema, port, extra; did you mean \"conn_type\"?"
	if err == nil || err.Error() != wantErr {
		t.Errorf("error\n got %v\nwant %s", err, wantErr)
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "c", `{"conn_type": "http", "host": "h", "login": "", "port": 80, "extra": {"n": 5, "f": 1.5, "l": [{"x": 1}]}}`)
	if c.HostOr("d") != "h" || c.LoginOr("d") != "d" || c.PasswordOr("d") != "d" || c.SchemaOr("d") != "d" {
		t.Error("an accessor is wrong")
	}
	got, err := c.Fields()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"conn_id": "c", "conn_type": "http", "description": nil, "host": "h", "login": "", "password": nil, "schema": nil, "port": 80,
		"extra": `{"n": 5, "f": 1.5, "l": [{"x": 1}]}`, "uri": "http://h:80/?__extra__=%7B%22n%22%3A+5%2C+%22f%22%3A+1.5%2C+%22l%22%3A+%5B%7B%22x%22%3A+1%7D%5D%7D",
		"extra_dejson": map[string]any{"n": int64(5), "f": 1.5, "l": []any{map[string]any{"x": int64(1)}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	same := mustParse(t, "c", c.JSON())
	other := mustParse(t, "d", c.JSON())
	if c.Fingerprint() != same.Fingerprint() || c.Fingerprint() == other.Fingerprint() {
		t.Error("fingerprints do not tell connections apart")
	}
	if err := CheckID(strings.Repeat("x", 251)); err == nil {
		t.Error("an id of 251 characters was accepted")
	}
}
