//go:build linux

package daemontest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gust/internal/app"
	"gust/internal/config"
	"gust/store"
)

// faultyVar makes the test binary a daemon: the program's own assembly (app.StartDaemon) with a store that can fail or
// kill the process at a commit, a clock that can be set, and a resolver that asks dnsVar's server.
const (
	faultyVar = "DAEMONTEST_FAULTY"
	dnsVar    = "DAEMONTEST_DNS"
)

// startFaulty starts such a daemon. tell gives it orders.
func (h *house) startFaulty() *daemon {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{faultyVar + "=1"}
	orders, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	d := h.launch(cmd)
	d.orders = orders
	return d
}

// tell gives a faulty daemon an order; one that is gone does not hear it.
func (d *daemon) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(d.orders, format+"\n", args...) // gone is fine
}

// faultyDaemon is the daemon's process.
func faultyDaemon() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if server := os.Getenv(dnsVar); server != "" {
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", server)
		}}
	}
	if err := serveFaulty(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gust:", err)
		return 1
	}
	return 0
}

func serveFaulty(ctx context.Context) error {
	cfg, err := config.Load("", os.Environ())
	if err != nil {
		return err
	}
	f := &faultyStore{limits: filepath.Join(filepath.Dir(cfg.Home()), violationsFile)}
	go f.obey(os.Stdin)
	d, err := app.StartDaemon(ctx, cfg, app.Options{Log: os.Stderr, Now: f.now, Around: f.around}, app.DaemonOptions{})
	if err != nil {
		return err
	}
	d.Log.Info(readyText)
	var failure error
	select {
	case <-ctx.Done():
	case <-d.Done():
		failure = errors.New("the scheduler has stopped by itself")
	}
	grace, cancel := context.WithTimeout(context.Background(), cfg.Scheduler.GracefulStopTimeout)
	defer cancel()
	return errors.Join(failure, d.Stop(grace))
}

// What a faulty store does at a commit.
const (
	killBefore      = "kill-before"      // the process dies, nothing is stored
	killAfter       = "kill-after"       // the process dies, the commit is stored and nothing follows from it
	storeFull       = "full"             // the commit meets a full disk
	storeBusy       = "busy"             // the commit meets a busy database
	uncertainBefore = "uncertain-before" // the outcome is unknown, nothing is stored
	uncertainAfter  = "uncertain-after"  // the outcome is unknown, the commit is stored
)

// faultyStore is a store that fails where it is told to.
type faultyStore struct {
	store.Store
	limits  string // the file for what exceeded a limit
	shift   atomic.Int64
	checker *sql.DB

	mu     sync.Mutex
	orders []commitFault
}

// commitFault hits count commits after skip others.
type commitFault struct {
	what        string
	skip, count int
}

func (f *faultyStore) now() time.Time { return time.Now().Add(time.Duration(f.shift.Load())) }

func (f *faultyStore) around(s store.Store) store.Store {
	f.Store = s
	return f
}

// obey carries out the orders: "commit WHAT SKIP COUNT", "clock SECONDS".
func (f *faultyStore) obey(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		words := strings.Fields(lines.Text())
		number := func(i int) int {
			n, err := strconv.Atoi(words[i])
			if err != nil {
				panic(err) // only the tests give orders
			}
			return n
		}
		switch words[0] {
		case "commit":
			f.mu.Lock()
			f.orders = append(f.orders, commitFault{words[1], number(2), number(3)})
			f.mu.Unlock()
		case "clock":
			f.shift.Store(int64(time.Duration(number(1)) * time.Second))
		}
	}
}

// next is what happens to this commit, "" for nothing.
func (f *faultyStore) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.orders) == 0 {
		return ""
	}
	o := &f.orders[0]
	if o.skip > 0 {
		o.skip--
		return ""
	}
	what := o.what
	if o.count--; o.count <= 0 {
		f.orders = f.orders[1:]
	}
	return what
}

// EngineCommit commits, or not.
func (f *faultyStore) EngineCommit(ctx context.Context, c *store.Changes) error {
	what := f.next()
	switch what {
	case killBefore:
		die()
	case storeFull:
		return fmt.Errorf("commit: on purpose: %w", store.ErrFull)
	case storeBusy:
		return fmt.Errorf("commit: on purpose: %w", store.ErrBusy)
	case uncertainBefore:
		return fmt.Errorf("commit: on purpose, before: %w", store.ErrUncertain)
	}
	err := f.Store.EngineCommit(ctx, c)
	if err != nil {
		return err
	}
	switch what {
	case killAfter:
		die()
	case uncertainAfter:
		err = fmt.Errorf("commit: on purpose, after: %w", store.ErrUncertain)
	}
	return errors.Join(err, f.checkLimits(ctx))
}

// die is kill -9 by one's own hand.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nobody is left to see an error
	select {}
}

// violationsFile, in the house, is where faulty daemons write which limits a commit exceeded.
const violationsFile = "violations"

// checkLimits looks at what has just been committed.
func (f *faultyStore) checkLimits(ctx context.Context) error {
	if f.checker == nil {
		path := os.Getenv("GUST_HOME")
		db, err := sql.Open("sqlite", "file:"+filepath.Join(path, "gust.db")+"?mode=ro&_pragma=busy_timeout(5000)")
		if err != nil {
			return err
		}
		db.SetMaxOpenConns(1)
		f.checker = db
	}
	found, err := overLimit(ctx, f.checker)
	if err != nil || len(found) == 0 {
		return nil // a database that cannot be read is another fault's matter
	}
	w, err := os.OpenFile(f.limits, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = w.WriteString(strings.Join(found, "\n") + "\n")
	return err
}

// parallelism is what core.parallelism is set to in crash tests.
const parallelism = 12

// limitSQL lists what is beyond its limit. A row is read as people read it: queued and running rows hold a slot, deferred
// ones do in a pool that counts them; a task that the trigger loop parks holds none on its way there.
const limitSQL = `
SELECT 'pool ' || p.pool || ' has ' || p.slots || ' slots, ' || sum(t.pool_slots) || ' are taken'
	FROM slot_pool p JOIN task_instance t ON t.pool = p.pool
	WHERE p.slots >= 0 AND t.operator NOT LIKE '%%Sensor' AND t.operator <> 'EmptyOperator' AND t.operator <> 'BranchOperator'
		AND (t.state IN ('queued', 'running') OR t.state = 'deferred' AND p.include_deferred)
	GROUP BY p.pool HAVING sum(t.pool_slots) > p.slots
UNION ALL SELECT 'core.parallelism is ' || %[1]d || ', ' || count(*) || ' attempts are on their way'
	FROM task_instance WHERE state IN ('queued', 'running') AND operator IN ('BashOperator', 'StepFunctionStartExecutionOperator')
	HAVING count(*) > %[1]d
UNION ALL SELECT 'DAG ticks has max_active_runs 2, ' || count(*) || ' runs are running'
	FROM dag_run WHERE dag_id = 'ticks' AND state = 'running' HAVING count(*) > 2
UNION ALL SELECT 'task ' || task_id || ' of DAG narrow has max_active_tis_per_dag 2, ' || count(*) || ' are active'
	FROM task_instance WHERE dag_id = 'narrow' AND task_id = 'few' AND state IN ('queued', 'running')
	GROUP BY task_id HAVING count(*) > 2
UNION ALL SELECT 'run ' || run_id || ' of DAG narrow has max_active_tasks 3, ' || count(*) || ' are active'
	FROM task_instance WHERE dag_id = 'narrow' AND state IN ('queued', 'running')
	GROUP BY run_id HAVING count(*) > 3`

func overLimit(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf(limitSQL, parallelism))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}
