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
		// The beginning of one that ends at once, and is redriven, is stored in another place.
		atOnce := execution(2, "at once")
		atOnce.Status, atOnce.Stopped = "FAILED", epoch
		for _, e := range []*journal.Execution{execution(1, "e"), atOnce} {
			if _, err := j.ExecutionCreate(e, events(1, 3)); err != nil {
				t.Fatal(err)
			}
		}
		e := execution(1, "e")
		for _, c := range []journal.Change{events(4, 4), events(5, 9)} {
			e.LastEvent, atOnce.LastEvent = c.Chunk.Last, c.Chunk.Last
			if err := errors.Join(j.ExecutionSave(e, c), j.ExecutionSave(atOnce, c)); err != nil {
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
			other, errOther := j.History(t.Context(), 2, c.first, c.reverse, c.limit)
			if err != nil || errOther != nil || cmp.Diff(got, other) != "" {
				t.Fatal(err, errOther, cmp.Diff(got, other))
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
		if created, err := j.MachineCreate(m, 1); err != nil || !created {
			t.Fatal(created, err)
		}
		again := *m
		if created, err := j.MachineCreate(&again, 1); err != nil || created {
			t.Fatal(created, err)
		}
		second := *m
		second.ARN = "arn:m2"
		if created, err := j.MachineCreate(&second, 1); !errors.Is(err, journal.ErrTooMany) || created {
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

func TestVersionsAndAliases(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		m := &journal.Machine{ARN: "arn:m", Name: "m", Region: "eu", Type: "STANDARD", Status: "ACTIVE", Created: epoch, Tags: "[]"}
		if _, err := j.MachineCreate(m, 9); err != nil {
			t.Fatal(err)
		}
		publish := func(revision int64, limit int) (*journal.Version, error) {
			return j.VersionPublish(journal.Version{Machine: m.ID, Revision: revision, Created: epoch}, limit)
		}
		first, err := publish(1, 2)
		again, errAgain := publish(1, 2)
		second, errSecond := publish(2, 2)
		_, errThird := publish(3, 2)
		if err != nil || errAgain != nil || errSecond != nil || first.Number != 1 || again.Number != 1 || second.Number != 2 || !errors.Is(errThird, journal.ErrTooMany) {
			t.Error(first, again, second, err, errAgain, errSecond, errThird)
		}
		if err := j.VersionDelete(m.ID, 2); err != nil {
			t.Fatal(err)
		}
		if third, err := publish(3, 2); err != nil || third.Number != 3 {
			t.Error(third, err)
		}
		list, err := j.VersionList(ctx, m.ID, 3, 5)
		if err != nil || len(list) != 1 || list[0].Number != 1 {
			t.Error(list, err)
		}
		a := &journal.Alias{Machine: m.ID, Name: "a", Routing: "[]", Created: epoch, Updated: epoch}
		created, err := j.AliasCreate(a, 1)
		taken, errTaken := j.AliasCreate(&journal.Alias{Machine: m.ID, Name: "a"}, 1)
		_, errMany := j.AliasCreate(&journal.Alias{Machine: m.ID, Name: "b"}, 1)
		if !created || taken || err != nil || errTaken != nil || !errors.Is(errMany, journal.ErrTooMany) {
			t.Error(created, taken, err, errTaken, errMany)
		}
		a.Routing = "[1]"
		if err := j.AliasUpdate(a); err != nil {
			t.Fatal(err)
		}
		if got, err := j.AliasGet(ctx, m.ID, "a"); err != nil || cmp.Diff(a, got) != "" {
			t.Error(cmp.Diff(a, got), err)
		}
		if err := j.MachineDelete(m.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := j.AliasGet(ctx, m.ID, "a"); !errors.Is(err, journal.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestActivitiesAndOffers(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		a := &journal.Activity{ARN: "arn:a", Name: "a", Region: "eu", Created: epoch, Tags: "[]", Encryption: "{}"}
		created, err := j.ActivityCreate(a, 1)
		taken, errTaken := j.ActivityCreate(a, 1)
		other := *a
		other.ARN = "arn:b"
		_, errMany := j.ActivityCreate(&other, 1)
		if !created || taken || err != nil || errTaken != nil || !errors.Is(errMany, journal.ErrTooMany) {
			t.Error(created, taken, err, errTaken, errMany)
		}
		e := execution(1, "e")
		if _, err := j.ExecutionCreate(e, journal.Change{Offered: []journal.Offer{{Activity: "arn:a", Task: 1}, {Activity: "arn:a", Task: 2}}}); err != nil {
			t.Fatal(err)
		}
		if err := j.ExecutionSave(e, journal.Change{Withdrawn: []int64{1, 7}, Offered: []journal.Offer{{Activity: "arn:a", Task: 2}, {Activity: "arn:a", Task: 3}}}); err != nil {
			t.Fatal(err)
		}
		var offers []journal.Offer
		if err := j.Offers(ctx, func(o journal.Offer) { offers = append(offers, o) }); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]journal.Offer{{Activity: "arn:a", Execution: 1, Task: 2}, {Activity: "arn:a", Execution: 1, Task: 3}}, offers); d != "" {
			t.Error(d)
		}
	})
}

func TestPartsOfSnapshots(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		e := execution(1, "e")
		part := func(id int64, data string) journal.Part { return journal.Part{ID: id, Data: []byte(data)} }
		if _, err := j.ExecutionCreate(e, journal.Change{Parts: []journal.Part{part(1, "a"), part(2, "b")}}); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			change journal.Change
			want   string
		}{
			{journal.Change{Parts: []journal.Part{part(2, "c"), {ID: 1}, part(3, "d")}}, "2c 3d "},
			{journal.Change{ClearParts: true, Parts: []journal.Part{part(9, "e")}}, "9e "},
			{journal.Change{ClearParts: true}, ""},
		} {
			if err := j.ExecutionSave(e, step.change); err != nil {
				t.Fatal(err)
			}
			parts, err := j.ExecutionParts(t.Context(), 1)
			got := ""
			for _, p := range parts {
				got += fmt.Sprintf("%d%s ", p.ID, p.Data)
			}
			if got != step.want || err != nil {
				t.Errorf("got %q want %q (%v)", got, step.want, err)
			}
		}
	})
}

// TestMapRuns keeps a map run with children through a redrive.
func TestMapRuns(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, j *journal.Journal) {
		ctx := t.Context()
		run := &journal.MapRun{ARN: "arn:run", Task: 1, MachineName: "m", Label: "l", State: "M", Started: epoch, MaxConcurrency: 3}
		if _, err := j.ExecutionCreate(execution(1, "parent"), journal.Change{MapRuns: []*journal.MapRun{run}}); err != nil {
			t.Fatal(err)
		}
		stored, err := j.MapRunGet(ctx, "arn:run")
		if err != nil || stored.Status != "RUNNING" || stored.Execution != 1 || stored.MaxConcurrency != 3 {
			t.Fatal(stored, err)
		}
		for i, status := range []string{"SUCCEEDED", "FAILED", "TIMED_OUT", "RUNNING"} {
			e := execution(int64(i+2), status)
			e.Machine, e.MapRun, e.Item, e.ItemCount, e.Status = 0, stored.ID, int64(9-i), 2, status
			if status != "RUNNING" {
				e.Stopped = epoch
			}
			if _, err := j.ExecutionCreate(e, journal.Change{}); err != nil {
				t.Fatal(err)
			}
		}
		tally := func() string {
			list, err := j.MapRunTally(ctx, stored.ID, 2)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, n := range list {
				text += fmt.Sprintf("%s %d/%d/%d ", n.Status, n.Executions, n.Items, n.Unredrivable)
			}
			return text
		}
		if got := tally(); got != "FAILED 1/2/1 RUNNING 1/2/0 SUCCEEDED 1/2/0 TIMED_OUT 1/2/1 " {
			t.Error(got)
		}
		run.Redrives = 1
		if err := j.ExecutionSave(execution(1, "parent"), journal.Change{MapRuns: []*journal.MapRun{run}}); err != nil {
			t.Fatal(err)
		}
		if got := tally(); got != "PENDING_REDRIVE 2/4/2 RUNNING 1/2/0 SUCCEEDED 1/2/0 " {
			t.Error(got)
		}
		pending, err := j.ExecutionList(ctx, journal.ExecutionFilter{MapRun: stored.ID, Status: "PENDING_REDRIVE"}, 9)
		if err != nil || len(pending) != 2 || !pending[0].PendingRedrive {
			t.Error(pending, err)
		}
		var items []int64
		err = j.MapRunChildren(ctx, stored.ID, func(e *journal.Execution) error { items = append(items, e.Item); return nil })
		if err != nil || fmt.Sprint(items) != "[6 7 8 9]" {
			t.Error(items, err)
		}
		if err := j.ExecutionDelete(pending[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := j.ExecutionByID(ctx, pending[0].ID); !errors.Is(err, journal.ErrNotFound) {
			t.Error(err)
		}
	})
}
