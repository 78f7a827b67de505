package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gust/connections"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func registry(t *testing.T) *operators.Registry {
	t.Helper()
	r := operators.NewRegistry()
	if err := Register(r, sensors.Defaults{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, registry(t))
}

// tree makes folders (names that end in a slash) and files.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o700)
		} else {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func look(t *testing.T, mode string, params map[string]any, task *operatorstest.Task) (bool, error) {
	t.Helper()
	all := map[string]any{}
	for k, v := range params {
		all[k] = v
	}
	if mode != "" {
		all["mode"] = mode
	}
	op := operatorstest.Build(t, registry(t), "FileSensor", all)
	if mode != "" {
		res, err := op.Execute(t.Context(), task)
		return res.RescheduleAt.IsZero() && err == nil, err
	}
	d, err := op.(operators.Parker).Park(t.Context(), task)
	if err != nil {
		return false, err
	}
	r := triggers.NewRegistry()
	if err := files.Register(r); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Key(d.Trigger.Args); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	v := c.Check(t.Context(), now, []triggers.Wait{{Args: d.Trigger.Args}})[0]
	if v.Event == nil {
		if v.Err == nil && v.Again.Sub(now) != time.Minute {
			t.Errorf("next look after %s", v.Again.Sub(now))
		}
		return false, v.Err
	}
	_, err = op.(operators.Parker).Finish(t.Context(), task, v.Event, nil)
	return true, err
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	dir := tree(t, "data/one.csv", "data/two.txt", "data/.hidden.csv", "data/deep/er/three.json", "empty/inner/", "odd[1].csv", "a/b/c/d.x")
	for _, c := range []struct {
		path      string
		recursive bool
		want      bool
	}{
		{"data/one.csv", false, true}, {"data/none.csv", false, false}, {"data", false, true}, {"empty", false, false},
		{"data/*.csv", false, true}, {"data/*.json", false, false}, {"data/t?o.txt", false, true},
		{"data/[!o]*.txt", false, true}, {"data/[!t]*.txt", false, false}, {"data/[a-z]ne.csv", false, true},
		{"data/.h*", false, true}, {"*/one.csv", false, true}, {"*/*/three.json", false, false},
		{"**/three.json", false, false}, {"**/three.json", true, true}, {"**/one.csv", true, true}, {"data/**/one.csv", true, true},
		{"**", true, true}, {"empty/**", true, false}, {"*", false, true}, {"empty/*", false, false},
		{"odd[1].csv", false, false}, {"odd[[]1].csv", false, true}, {"data/one.csv/more", false, false},
		{"data/one.csv/*", false, false}, {"nowhere/*", false, false}, {"a/**/d.x", true, true}, {"[", false, false},
	} {
		for _, mode := range []string{"", "reschedule"} {
			got, err := look(t, mode, map[string]any{"filepath": filepath.Join(dir, c.path), "recursive": c.recursive}, operatorstest.NewTask(t))
			if err != nil || got != c.want {
				t.Errorf("%s (recursive %v, mode %q): %v, %v; want %v", c.path, c.recursive, mode, got, err, c.want)
			}
		}
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	dir := tree(t, "x")
	task := operatorstest.NewTask(t)
	task.Connections["fs_data"] = &connections.Connection{ID: "fs_data", Type: "fs", Extra: []byte(`{"path":"` + dir + `"}`)}
	task.Connections["fs_bad"] = &connections.Connection{ID: "fs_bad", Type: "fs", Extra: []byte(`{"path":7}`)}
	if ok, err := look(t, "", map[string]any{"filepath": "x", "fs_conn_id": "fs_data"}, task); !ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := look(t, "", map[string]any{"filepath": filepath.Join(dir, "x"), "fs_conn_id": "fs_data"}, task); !ok || err != nil {
		t.Error("an absolute path is not below the connection's:", ok, err)
	}
	if ok, err := look(t, "", map[string]any{"filepath": "files_test.go"}, task); !ok || err != nil {
		t.Error("without fs_default paths are relative to the working folder:", ok, err)
	}
	if _, err := look(t, "", map[string]any{"filepath": "x", "fs_conn_id": "fs_gone"}, task); !connections.IsNotFound(err) {
		t.Error(err)
	}
	if _, err := look(t, "reschedule", map[string]any{"filepath": "x", "fs_conn_id": "fs_bad"}, task); err == nil {
		t.Error("a path that is no text was accepted")
	}
	if _, err := look(t, "", map[string]any{"filepath": ""}, task); err == nil || !operators.NoRetry(err) {
		t.Error(err)
	}
}

func TestUnreadableFolder(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root reads every folder")
	}
	dir := tree(t, "closed/x")
	if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := look(t, "", map[string]any{"filepath": dir + "/closed/*"}, operatorstest.NewTask(t)); err == nil {
		t.Error("a folder that cannot be read is no error")
	}
}
