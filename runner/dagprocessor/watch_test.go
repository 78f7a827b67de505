package dagprocessor_test

import (
	"os"
	"testing"
	"time"

	"gust/runner/dagprocessor"
)

// started starts watching and waits for the first scan.
func (f *folder) started() {
	f.t.Helper()
	if err := f.p.Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.p.Stop)
	f.sink.wait(f.t, "the first scan", func() bool { return len(f.sink.scanned) > 0 })
}

func (f *folder) has(name, id string) func() bool {
	return func() bool {
		for _, d := range f.sink.files[name].DAGs {
			if d.ID == id {
				return true
			}
		}
		return false
	}
}

func TestChangesTakeEffectWithinASecond(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"a.yaml": pipe("a"), "sub/x.yaml": pipe("x")})
	f.started()
	f.write("a.yaml", pipe("a2"))
	f.sink.wait(t, "a rewritten file", f.has("a.yaml", "a2"))
	f.write("new/deep/b.yaml", pipe("b"))
	f.sink.wait(t, "a file in new folders", f.has("new/deep/b.yaml", "b"))
	f.write("new/deep/c.yaml", pipe("c"))
	f.sink.wait(t, "a second file there", f.has("new/deep/c.yaml", "c"))
	f.write("sub/defaults.yml", "description: d\n")
	f.sink.wait(t, "defaults", func() bool { return f.sink.files["sub/x.yaml"].DAGs[0].Description == "d" })

	if err := os.WriteFile(f.path("a.tmp"), []byte(pipe("a3")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.path("a.tmp"), f.path("a.yaml")); err != nil {
		t.Fatal(err)
	}
	f.sink.wait(t, "a file renamed over", f.has("a.yaml", "a3"))

	f.remove("new")
	f.sink.wait(t, "removed folders", func() bool { return len(f.sink.scanned[len(f.sink.scanned)-1]) == 2 })
	f.write("new/deep/b.yaml", pipe("b4"))
	f.sink.wait(t, "the same folders again", f.has("new/deep/b.yaml", "b4"))
	f.p.Stop()
	f.p.Stop()
}

// TestVolumeSwap: a mounted configuration is replaced by pointing a hidden symbolic link elsewhere.
func TestVolumeSwap(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, map[string]string{"..1/a.yaml": pipe("old"), "..2/a.yaml": pipe("new")})
	link := func(target, name string) {
		if err := os.Symlink(target, f.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/a.yaml", "a.yaml")
	f.started()
	f.sink.wait(t, "the old volume", f.has("a.yaml", "old"))
	link("..2", "..tmp")
	if err := os.Rename(f.path("..tmp"), f.path("..data")); err != nil {
		t.Fatal(err)
	}
	f.sink.wait(t, "the new volume", f.has("a.yaml", "new"))
}

func TestSlowScanIsTheNet(t *testing.T) {
	t.Parallel()
	outside := newFolder(t, nil, map[string]string{"a.yaml": pipe("a")})
	f := newFolder(t, func(o *dagprocessor.Options) { o.ScanInterval = 20 * time.Millisecond }, nil)
	// What changes behind a symbolic link to a file raises no event in the watched folder.
	if err := os.Symlink(outside.path("a.yaml"), f.path("a.yaml")); err != nil {
		t.Fatal(err)
	}
	f.started()
	outside.write("a.yaml", pipe("a2"))
	f.sink.wait(t, "a change without an event", f.has("a.yaml", "a2"))
}

func TestStartTwice(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil, nil)
	f.p.Stop() // without Start: nothing happens
	f.started()
	if err := f.p.Start(t.Context()); err == nil {
		t.Error("a second Start is accepted")
	}
}
