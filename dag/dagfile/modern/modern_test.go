package modern_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/dag/dagfile/modern"
)

// TestRewrite compares x.old.yaml, rewritten, with x.new.yaml; rewriting that changes nothing more.
func TestRewrite(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.old.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, ".old.yaml") + ".new.yaml")
			if err != nil {
				t.Fatal(err)
			}
			defaults := strings.HasPrefix(filepath.Base(path), "defaults")
			got, changes, err := modern.Rewrite(old, defaults)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if same := string(old) == string(got); same != (len(changes) == 0) {
				t.Errorf("%d changes, text unchanged: %v", len(changes), same)
			}
			again, changes, err := modern.Rewrite(got, defaults)
			if err != nil || len(changes) > 0 || string(again) != string(got) {
				t.Errorf("rewriting the result changes it again: %v, %v", changes, err)
			}
		})
	}
}

func TestRewriteChanges(t *testing.T) {
	t.Parallel()
	text := "# über\na: {schedule_interval: '@daily', tasks: [{task_id: x, trigger_rule: \"dummy\", retry_delay_sec: 60}]}\n"
	_, changes, err := modern.Rewrite([]byte(text), false)
	if err != nil {
		t.Fatal(err)
	}
	want := []modern.Change{
		{2, 5, "schedule_interval", "schedule"}, {2, 69, "dummy", "always"}, {2, 78, "retry_delay_sec", "retry_delay"},
		{2, 95, "60", "{__type__: datetime.timedelta, seconds: 60}"},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRewriteNoYAML(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a: [", "a: b: c", "\x00"} {
		if _, _, err := modern.Rewrite([]byte(text), false); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	for _, text := range []string{"", "5", "[a]", "# only a comment\n"} {
		got, changes, err := modern.Rewrite([]byte(text), false)
		if err != nil || string(got) != text || changes != nil {
			t.Errorf("%q: %q, %v, %v", text, got, changes, err)
		}
	}
}

// FuzzRewrite: whatever the text, rewriting ends, what it makes is YAML, and it is not changed again.
func FuzzRewrite(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, _, err := modern.Rewrite([]byte(text), false)
		if err != nil {
			return
		}
		again, changes, err := modern.Rewrite(out, false)
		if err != nil || len(changes) > 0 || string(again) != string(out) {
			t.Fatalf("%q became %q and that %q: %v, %v", text, out, again, changes, err)
		}
	})
}
