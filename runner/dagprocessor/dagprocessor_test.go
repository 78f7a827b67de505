package dagprocessor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/dag/dagfile"
	"gust/operators"
	"gust/runner/dagprocessor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type empty struct{}

func (empty) Execute(context.Context, operators.Task) (operators.Result, error) {
	return operators.Done(nil), nil
}

type bash struct {
	empty
	Command string `param:"bash_command" template:"true" ext:".sh"`
}

// recorder is a sink that keeps what was delivered.
type recorder struct {
	mu      sync.Mutex
	loaded  []string // paths, relative to root
	files   map[string]dagprocessor.FileResult
	scanned [][]string
	root    string
	changed chan struct{}
}

func (r *recorder) FileLoaded(f dagprocessor.FileResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = append(r.loaded, r.rel(f.Path))
	r.files[r.rel(f.Path)] = f
	r.hint()
}

func (r *recorder) Scanned(files []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rel := []string{}
	for _, f := range files {
		rel = append(rel, r.rel(f))
	}
	r.scanned = append(r.scanned, rel)
	r.hint()
}

func (r *recorder) hint() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *recorder) rel(path string) string {
	rel, err := filepath.Rel(r.root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(rel)
}

// take returns the paths loaded since the last call, sorted.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.loaded
	r.loaded = nil
	slices.Sort(out)
	return out
}

// wait blocks until ok holds, which must be within a second: the promise of the package.
func (r *recorder) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(time.Second)
	for {
		r.mu.Lock()
		holds := ok()
		r.mu.Unlock()
		if holds {
			return
		}
		select {
		case <-r.changed:
		case <-limit:
			t.Fatalf("not within a second: %s", what)
		}
	}
}

type folder struct {
	t    *testing.T
	root string
	p    *dagprocessor.Processor
	sink *recorder
	env  map[string]string
	now  time.Time
}

func newFolder(t *testing.T, change func(*dagprocessor.Options), files map[string]string) *folder {
	t.Helper()
	f := &folder{t: t, root: t.TempDir(), env: map[string]string{}, now: time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)}
	for name, text := range files {
		f.write(name, text)
	}
	reg := operators.NewRegistry()
	for name, op := range map[string]func() operators.Operator{
		"EmptyOperator": func() operators.Operator { return &empty{} },
		"BashOperator":  func() operators.Operator { return &bash{} },
	} {
		if err := reg.Register(operators.Spec{Name: name, New: op}); err != nil {
			t.Fatal(err)
		}
	}
	f.sink = &recorder{root: f.root, files: map[string]dagprocessor.FileResult{}, changed: make(chan struct{}, 1)}
	opts := dagprocessor.Options{
		Root: f.root, ScanInterval: time.Hour, Debounce: 5 * time.Millisecond,
		Now: func() time.Time { return f.now },
		Load: dagfile.Options{
			Operators: reg, Getenv: func(name string) (string, bool) { v, ok := f.env[name]; return v, ok },
		},
	}
	if change != nil {
		change(&opts)
	}
	p, err := dagprocessor.New(opts, f.sink)
	if err != nil {
		t.Fatal(err)
	}
	f.p = p
	return f
}

func (f *folder) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

// past gives every write a modification time of its own, long ago, so that stamps always tell.
var past struct {
	sync.Mutex
	n int
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.age(name)
}

func (f *folder) age(name string) {
	past.Lock()
	past.n++
	at := time.Date(2020, 1, 1, 0, 0, past.n, 0, time.UTC)
	past.Unlock()
	if err := os.Chtimes(f.path(name), at, at); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) remove(name string) {
	f.t.Helper()
	if err := os.RemoveAll(f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

// scan scans once and expects exactly these files to be delivered.
func (f *folder) scan(what string, want ...string) {
	f.t.Helper()
	if err := f.p.ScanOnce(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	if want == nil {
		want = []string{}
	}
	got := f.sink.take()
	if got == nil {
		got = []string{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("%s: delivered -want +got:\n%s", what, diff)
	}
}

func (f *folder) ids(name string) string {
	var ids []string
	for _, d := range f.sink.files[name].DAGs {
		ids = append(ids, d.ID)
	}
	return strings.Join(ids, " ")
}

func (f *folder) expect(name, ids, retained, errorPart string) {
	f.t.Helper()
	r := f.sink.files[name]
	if got := f.ids(name); got != ids {
		f.t.Errorf("%s: DAGs %q, want %q", name, got, ids)
	}
	if got := strings.Join(r.Retained, " "); got != retained {
		f.t.Errorf("%s: retained %q, want %q", name, got, retained)
	}
	if text := r.ErrorText(); errorPart == "" && r.HasErrors() || !strings.Contains(text, errorPart) {
		f.t.Errorf("%s: error %q, want %q", name, text, errorPart)
	}
}

func pipe(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%s: {tasks: {a: {operator: EmptyOperator}}}\n", id)
	}
	return b.String()
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{
		"a.yaml": pipe("a"), "b.yml": pipe("b"), "c.yamlx": pipe("c"), "sub/deep/d.yaml": pipe("d"), "defaults.yml": "",
		"sub/defaults.yaml": "", ".hidden/x.yaml": pipe("x"), ".x.yaml": pipe("x"), "ignored/y.yaml": pipe("y"),
		"ignored/kept.yaml": pipe("kept"), "skip_me.yaml": pipe("z"), "sub/local.yaml": pipe("l"), "tests/t.yaml": pipe("t"),
		"sub/tests/t2.yaml": pipe("t2"), ".airflowignore": "# comment\nskip_*.yaml # another\ntests/\n/ignored/y.yaml\n",
		"sub/.gustignore": "local.yaml\n", "notes.txt": "",
	})
	if err := os.Symlink(f.path("sub"), f.path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(f.root, f.path("sub/loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(f.path("nowhere.yaml"), f.path("dangling.yaml")); err != nil {
		t.Fatal(err)
	}
	// "link" comes before "sub": a folder with two names is entered under the first.
	want := []string{"a.yaml", "b.yml", "ignored/kept.yaml", "link/deep/d.yaml"}
	f.scan("the folder", want...)
	if diff := cmp.Diff([][]string{want}, f.sink.scanned); diff != "" {
		t.Errorf("Scanned -want +got:\n%s", diff)
	}
	if got := len(f.p.Results()); got != len(want) {
		t.Errorf("%d results, want %d", got, len(want))
	}
}

func TestRegexpIgnore(t *testing.T) {
	t.Parallel()
	f := newFolder(t, func(o *dagprocessor.Options) { o.IgnoreSyntax = "regexp" }, map[string]string{
		"project_a/x.yaml": pipe("x"), "tenant_3.yaml": pipe("t"), "b.yaml": pipe("b"),
		".airflowignore": "project_a\ntenant_[\\d]\n([\n",
	})
	f.scan("the folder", "b.yaml")
}

func TestUnchangedIsNotParsed(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("a"), "sub/b.yaml": pipe("b")})
	f.scan("first", "a.yaml", "sub/b.yaml")
	f.scan("nothing changed")
	f.age("a.yaml")
	f.scan("touched, same content")
	f.write("a.yaml", pipe("a2"))
	f.scan("new content", "a.yaml")
	f.expect("a.yaml", "a2", "", "")
	f.write("c.yaml", pipe("c"))
	f.scan("added", "c.yaml")
	f.remove("sub")
	f.scan("removed")
	if diff := cmp.Diff([]string{"a.yaml", "c.yaml"}, f.sink.scanned[len(f.sink.scanned)-1]); diff != "" {
		t.Errorf("Scanned -want +got:\n%s", diff)
	}
	if n := len(f.sink.scanned); n != 3 {
		t.Errorf("Scanned was called %d times, want 3: first, added, removed", n)
	}
}

// TestRacyWrite: a file that is rewritten with the same size in the same instant of its file system is still noticed.
func TestRacyWrite(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("a1")})
	now := time.Now()
	if err := os.Chtimes(f.path("a.yaml"), now, now); err != nil {
		t.Fatal(err)
	}
	f.scan("first", "a.yaml")
	if err := os.WriteFile(f.path("a.yaml"), []byte(pipe("a2")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(f.path("a.yaml"), now, now); err != nil {
		t.Fatal(err)
	}
	f.scan("same stamp, other content", "a.yaml")
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{
		"a.yaml": pipe("a"), "sub/b.yaml": pipe("b"),
		"sub/s.yaml": "s: {tasks: {a: {operator: BashOperator, bash_command: run.sh}}}\n",
		"env.yaml":   "e: {description: $STAGE, tasks: {a: {operator: EmptyOperator}}}\n",
		"rel.yaml":   "r: {start_date: 2 days, tasks: {a: {operator: EmptyOperator}}}\n",
	})
	f.scan("first", "a.yaml", "env.yaml", "rel.yaml", "sub/b.yaml", "sub/s.yaml")
	f.expect("sub/s.yaml", "", "", "there is no template file")

	f.write("sub/defaults.yml", "description: from sub\n")
	f.scan("new defaults below", "sub/b.yaml", "sub/s.yaml")
	f.write("defaults.yml", "description: from root\n")
	f.scan("new defaults at the root", "a.yaml", "env.yaml", "rel.yaml", "sub/b.yaml", "sub/s.yaml")
	f.remove("sub/defaults.yml")
	f.scan("defaults removed", "sub/b.yaml", "sub/s.yaml")
	if got := f.sink.files["sub/b.yaml"].DAGs[0].Description; got != "from root" {
		t.Errorf("description %q", got)
	}
	f.write("sub/run.sh", "echo\n")
	f.scan("the script appears", "sub/s.yaml")
	f.expect("sub/s.yaml", "s", "", "")
	f.env["STAGE"] = "test"
	f.scan("environment", "env.yaml")
	f.now = f.now.Add(12 * time.Hour)
	f.scan("midnight", "rel.yaml")
	f.scan("nothing more")
}

func TestBrokenFileKeepsItsDAGs(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("a1", "a2"), "b.yaml": pipe("b")})
	f.scan("first", "a.yaml", "b.yaml")
	f.write("a.yaml", "a1: [unclosed\n")
	f.scan("syntax error", "a.yaml")
	f.expect("a.yaml", "", "a1 a2", "not valid YAML")
	f.write("a.yaml", pipe("a1")+"a2: {tasks: {a: {operator: Nothing}}}\n")
	f.scan("one DAG broken", "a.yaml")
	f.expect("a.yaml", "a1", "a2", "unknown operator")
	f.write("a.yaml", pipe("a1"))
	f.scan("the other removed", "a.yaml")
	f.expect("a.yaml", "a1", "", "")
	f.write("a.yaml", "")
	f.scan("emptied", "a.yaml")
	f.expect("a.yaml", "", "a1", "the file is empty")
}

func TestSameDAGInTwoFiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("x", "a"), "b.yaml": pipe("x", "b")})
	f.scan("first", "a.yaml", "b.yaml")
	f.expect("a.yaml", "x a", "", "")
	f.expect("b.yaml", "b", "", `b.yaml:1:1: x: the DAG id "x" is already defined in `+f.path("a.yaml"))

	f.write("a.yaml", "x: {tasks: {a: {operator: Nothing}}}\n"+pipe("a"))
	f.scan("the first breaks but keeps its DAG", "a.yaml")
	f.expect("a.yaml", "a", "x", "unknown operator")

	f.write("a.yaml", "x: [\n")
	f.scan("even when nothing of it can be read", "a.yaml")
	f.expect("a.yaml", "", "a x", "not valid YAML")

	f.write("a.yaml", pipe("a"))
	f.scan("the first gives it up", "a.yaml", "b.yaml")
	f.expect("a.yaml", "a", "", "")
	f.expect("b.yaml", "x b", "", "")

	f.write("0.yaml", pipe("b"))
	f.scan("a new first takes one over", "0.yaml", "b.yaml")
	f.expect("b.yaml", "x", "", "is already defined in "+f.path("0.yaml"))
	f.remove("0.yaml")
	f.scan("and is removed", "b.yaml")
	f.expect("b.yaml", "x b", "", "")
}

type panicking struct{}

func (panicking) Check(string) error { panic("boom") }

func TestPanicIsAnErrorOfTheFile(t *testing.T) {
	t.Parallel()
	f := newFolder(t, func(o *dagprocessor.Options) { o.Load.Templates = panicking{} }, map[string]string{
		"a.yaml": "a: {tasks: {a: {operator: BashOperator, bash_command: \"{{ ds }}\"}}}\n", "b.yaml": pipe("b"),
	})
	f.scan("first", "a.yaml", "b.yaml")
	f.expect("a.yaml", "", "", "internal error while reading the file: boom")
	f.expect("b.yaml", "b", "", "")
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root reads every file")
	}
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("a"), "b.yaml": pipe("b")})
	if err := os.Chmod(f.path("a.yaml"), 0); err != nil {
		t.Fatal(err)
	}
	f.scan("first", "a.yaml", "b.yaml")
	f.expect("a.yaml", "", "", "permission denied")
}

func TestInterruptedScanLosesNothing(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("a"), "b.yaml": pipe("b")})
	f.scan("first", "a.yaml", "b.yaml")
	f.write("a.yaml", pipe("a2"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.p.ScanOnce(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	f.scan("after the interruption", "a.yaml")
	f.expect("a.yaml", "a2", "", "")
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	f := newFolder(t, func(o *dagprocessor.Options) { o.Root = filepath.Join(o.Root, "none") }, nil)
	err := f.p.ScanOnce(t.Context())
	if err == nil || !strings.Contains(err.Error(), "there is no dags folder") {
		t.Errorf("the error is %v", err)
	}
	if _, err := dagprocessor.New(dagprocessor.Options{}, f.sink); err == nil {
		t.Error("an empty root is accepted")
	}
	if _, err := dagprocessor.New(dagprocessor.Options{Root: "x", IgnoreSyntax: "glop"}, f.sink); err == nil {
		t.Error("an unknown ignore syntax is accepted")
	}
}
