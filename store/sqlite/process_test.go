package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/dag"
	"gust/store"
	"gust/store/sqlite"
	"gust/store/storetest"
)

// The test binary runs itself as another process with these in its environment: what to do, and on which database.
const (
	envRole = "GUST_TEST_ROLE"
	envPath = "GUST_TEST_PATH"
)

// otherProcess plays the part of another process and reports whether this is one.
func otherProcess() bool {
	role, path := os.Getenv(envRole), os.Getenv(envPath)
	var err error
	switch role {
	case "":
		return false
	case "migrate":
		err = migrateAndAdd(path)
	case "commit":
		err = commitForever(path)
	case "hold":
		err = holdLock(path)
	default:
		err = fmt.Errorf("unknown role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"="+role, envPath+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func migrateAndAdd(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	if err := s.SchemaMigrate(ctx); err != nil {
		return err
	}
	if err := s.VariableSet(ctx, &store.Variable{Key: strconv.Itoa(os.Getpid()), Value: "here"}); err != nil {
		return err
	}
	return s.Close()
}

// commitForever moves a task on and on, and prints the try number of every commit that returned.
func commitForever(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	snapshot, err := s.EngineLoad(ctx)
	if err != nil {
		return err
	}
	current := snapshot.Active[0].Tasks
	for {
		var batch store.Changes
		for i := range current {
			next := storetest.InState(current[i], dag.StateRunning)
			next.TryNumber = current[i].TryNumber + 1
			batch.Tasks = append(batch.Tasks, storetest.Move(current[i], next))
			current[i] = next
		}
		if err := s.EngineCommit(ctx, &batch); err != nil {
			return err
		}
		fmt.Println(current[0].TryNumber)
	}
}

// holdLock keeps the write lock until its standard input ends.
func holdLock(path string) error {
	db, err := sqlite.OpenRaw(path)
	if err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	fmt.Println("held")
	bufio.NewScanner(os.Stdin).Scan()
	return tx.Rollback()
}

func TestMigrationsRaceBetweenProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	var wg sync.WaitGroup
	const processes = 6
	for range processes {
		wg.Go(func() {
			if err := child(t, "migrate", path).Run(); err != nil {
				t.Errorf("a migrating process: %v", err)
			}
		})
	}
	wg.Wait()
	s := openAt(t, path)
	variables, err := s.VariableList(t.Context())
	if err != nil || len(variables) != processes {
		t.Errorf("%d processes wrote after migrating, want %d (%v)", len(variables), processes, err)
	}
	db, err := sqlite.OpenRaw(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, db)
	var applied int
	if err := db.QueryRow(`SELECT count(*) FROM goose_db_version WHERE version_id > 0`).Scan(&applied); err != nil {
		t.Fatal(err)
	}
	if applied != sqlite.SchemaVersion {
		t.Errorf("%d migrations were applied, want each of %d once", applied, sqlite.SchemaVersion)
	}
}

func TestMigrationsRaceBetweenHandles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { openAt(t, path) })
	}
	wg.Wait()
}

// TestKilledCommitter kills a committing process at different moments: what it was told is committed is there, and a
// commit is there as a whole or not at all.
func TestKilledCommitter(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		path := filepath.Join(t.TempDir(), "gust.db")
		s := openAt(t, path)
		run := storetest.Started(storetest.NewRun("orders", 1), "v1")
		storetest.CreateRun(t, s, run, storetest.NewTask(run.RunKey, "a"), storetest.NewTask(run.RunKey, "b"))
		cmd := child(t, "commit", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if told, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if told == 3+round*7 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended with %v, want killed", err)
		}
		tasks, err := s.TaskInstanceList(t.Context(), run.RunKey)
		if err != nil {
			t.Fatal(err)
		}
		if tasks[0].TryNumber != tasks[1].TryNumber {
			t.Errorf("half a commit: tries %d and %d", tasks[0].TryNumber, tasks[1].TryNumber)
		}
		if n := tasks[0].TryNumber; n < told || n > told+1 {
			t.Errorf("the store is at %d, the process was told %d", n, told)
		}
		if err := s.SchemaCheck(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gust.db")
	openAt(t, path)
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{BusyTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, s)
	cmd := child(t, "hold", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	v := store.Variable{Key: "k", Value: "v"}
	wantIs(t, s.VariableSet(t.Context(), &v), store.ErrBusy, path, "20ms", "try again")
	if _, err := s.VariableList(t.Context()); err != nil {
		t.Errorf("a reader is stopped by the other process's writer: %v", err)
	}
	openAt(t, path) // opening a current database needs no write lock
	closeOK(t, in)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.VariableSet(t.Context(), &v); err != nil {
		t.Errorf("after the other process ended: %v", err)
	}
}
