package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/stepfunctions/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func open(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func execution(id int64, name string) *journal.Execution {
	return &journal.Execution{ID: id, ARN: "arn:" + name, Name: name, MachineARN: "arn:m", MachineName: "m", Machine: 1,
		Revision: 1, Status: "RUNNING", Started: epoch, Input: "{}", Wake: epoch.Add(time.Hour), LastEvent: 2, State: []byte("x")}
}

func events(first, last int64) journal.Change {
	var b bytes.Buffer
	for id := first; id <= last; id++ {
		fmt.Fprintf(&b, "{\"id\":%d}\n", id)
	}
	return journal.Change{Chunk: journal.Chunk{First: first, Last: last, Events: b.Bytes()}}
}

// backends runs a test in memory and on a file.
func backends(t *testing.T, f func(t *testing.T, j *journal.Journal)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { t.Parallel(); f(t, open(t, "")) })
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		f(t, open(t, filepath.Join(t.TempDir(), "with space", "j%41.db")))
	})
}

func TestExecutions(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		want := execution(1, "one")
		created, err := j.ExecutionCreate(want, events(1, 2))
		if err != nil || !created {
			t.Fatal(created, err)
		}
		other := execution(2, "one")
		other.Input = "other"
		if created, err := j.ExecutionCreate(other, events(1, 2)); err != nil || created {
			t.Fatalf("the same name was taken twice: %v %v", created, err)
		}
		got, err := j.ExecutionGet(ctx, "arn:one")
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(d, err)
		}
		text := "out"
		want.Status, want.Stopped, want.Output, want.Wake, want.LastEvent, want.State = "SUCCEEDED", epoch, &text, time.Time{}, 4, nil
		if err := j.ExecutionSave(want, events(3, 4)); err != nil {
			t.Fatal(err)
		}
		got, err = j.ExecutionByID(ctx, 1)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(d, err)
		}
		stale := execution(1, "one")
		if err := j.ExecutionSave(stale, journal.Change{}); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("an older state was stored over a newer one: %v", err)
		}
		if _, err := j.ExecutionGet(ctx, "arn:none"); !errors.Is(err, journal.ErrNotFound) {
			t.Error(err)
		}
		last, err := j.ExecutionLastID(ctx)
		counts, errCounts := j.ExecutionCounts(ctx)
		if d := cmp.Diff(map[string]int64{"SUCCEEDED": 1}, counts); d != "" || last != 1 || err != nil || errCounts != nil {
			t.Error(d, last, err, errCounts)
		}
	})
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		if _, err := j.ExecutionCreate(execution(1, "e"), events(1, 3)); err != nil {
			t.Fatal(err)
		}
		e := execution(1, "e")
		for _, c := range []journal.Change{events(4, 4), events(5, 9)} {
			e.LastEvent = c.Chunk.Last
			if err := j.ExecutionSave(e, c); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			first   int64
			reverse bool
			limit   int
			want    string
		}{
			{1, false, 100, "1 2 3 4 5 6 7 8 9"}, {1, false, 2, "1 2"}, {3, false, 3, "3 4 5"}, {6, false, 3, "6 7 8"}, {10, false, 3, ""},
			{9, true, 100, "9 8 7 6 5 4 3 2 1"}, {9, true, 2, "9 8"}, {7, true, 5, "7 6 5 4 3"}, {2, true, 9, "2 1"},
		} {
			got, err := j.History(t.Context(), 1, c.first, c.reverse, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range got {
				ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(string(e), `{"id":`), "}"))
			}
			if strings.Join(ids, " ") != c.want {
				t.Errorf("from %d reverse %v limit %d: %v want %s", c.first, c.reverse, c.limit, ids, c.want)
			}
		}
	})
}

func TestMachines(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		m := &journal.Machine{ARN: "arn:m", Name: "m", Region: "eu", Type: "STANDARD", Status: "ACTIVE", Created: epoch, Tags: "[]",
			Revision: journal.Revision{Definition: "{}", RoleARN: "r", Logging: "{}", Tracing: "{}", Updated: epoch}}
		if created, err := j.MachineCreate(m); err != nil || !created {
			t.Fatal(created, err)
		}
		again := *m
		if created, err := j.MachineCreate(&again); err != nil || created {
			t.Fatal(created, err)
		}
		next := m.Revision
		next.RevisionID, next.Definition = "r2", `{"new":1}`
		if err := j.MachineRevise(m.ID, &next); err != nil {
			t.Fatal(err)
		}
		got, err := j.MachineGet(ctx, "arn:m")
		if err != nil || got.Revision != next || next.ID == m.Revision.ID {
			t.Errorf("%+v %v", got, err)
		}
		old, err := j.RevisionGet(ctx, m.Revision.ID)
		if err != nil || *old != m.Revision {
			t.Errorf("%+v %v", old, err)
		}
		list, err := j.MachineList(ctx, "eu", "", 5)
		none, errNone := j.MachineList(ctx, "us", "", 5)
		if len(list) != 1 || len(none) != 0 || err != nil || errNone != nil {
			t.Error(list, none, err, errNone)
		}
		if err := j.MachineStatusSet(m.ID, "DELETING"); err != nil {
			t.Fatal(err)
		}
		if list, err := j.MachinesDeleting(ctx); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
		if err := j.MachineDelete(m.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := j.MachineGet(ctx, "arn:m"); !errors.Is(err, journal.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestExecutionListsAndOpenOnes(t *testing.T) {
	t.Parallel()
	j := open(t, "")
	for i := range int64(10) {
		e := execution(i+1, fmt.Sprint("e", i+1))
		e.HasTasks = i%2 == 0
		if _, err := j.ExecutionCreate(e, journal.Change{}); err != nil {
			t.Fatal(err)
		}
		if i >= 5 {
			e.Status, e.Stopped, e.LastEvent = "FAILED", epoch, 3
			if err := j.ExecutionSave(e, journal.Change{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		status string
		before int64
		limit  int
		want   string
	}{
		{"", 0, 3, "[10 9 8]"}, {"", 8, 2, "[7 6]"}, {"FAILED", 0, 100, "[10 9 8 7 6]"}, {"RUNNING", 4, 100, "[3 2 1]"},
		{"ABORTED", 0, 5, "[]"},
	} {
		list, err := j.ExecutionList(t.Context(), journal.ExecutionFilter{Machine: 1, Status: c.status, Before: c.before}, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		ids := []int64{}
		for _, e := range list {
			ids = append(ids, e.ID)
		}
		if fmt.Sprint(ids) != c.want {
			t.Errorf("%s before %d: %v want %s", c.status, c.before, ids, c.want)
		}
	}
	var running, tasks int
	err := j.ExecutionsOpen(t.Context(), 0, func(o journal.OpenExecution) {
		running++
		if o.HasTasks {
			tasks++
		}
		if !o.Wake.Equal(epoch.Add(time.Hour)) {
			t.Errorf("wake %v", o.Wake)
		}
	})
	if running != 5 || tasks != 3 || err != nil {
		t.Error(running, tasks, err)
	}
}

func TestManyWritersAndReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	j, err := journal.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	wins := 0
	for i := range 200 {
		wg.Go(func() {
			// Every name is tried by two writers.
			created, err := j.ExecutionCreate(execution(int64(i+1), fmt.Sprint("e", i/2)), events(1, 2))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if created {
				wins++
			}
		})
	}
	wg.Wait()
	if wins != 100 {
		t.Errorf("%d of 100 names were created", wins)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.ExecutionCreate(execution(500, "late"), journal.Change{}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	counts, err := open(t, path).ExecutionCounts(t.Context())
	if counts["RUNNING"] != 100 || err != nil {
		t.Error(counts, err)
	}
}

func TestOneBadWriteDoesNotHarmItsBatch(t *testing.T) {
	t.Parallel()
	j := open(t, "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for i := range 50 {
		wg.Go(func() {
			e := execution(int64(i+1), fmt.Sprint("e", i))
			if i%10 == 0 {
				e.Status = "NONSENSE"
			}
			if _, err := j.ExecutionCreate(e, journal.Change{}); err != nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	counts, err := j.ExecutionCounts(t.Context())
	if failed != 5 || counts["RUNNING"] != 45 || err != nil {
		t.Error(failed, counts, err)
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	if _, err := journal.Open(context.Background(), t.TempDir()); err == nil {
		t.Error("a folder was opened as a journal")
	}
}
