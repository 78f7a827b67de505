// Package scheduler runs the plan: it gathers what happens, lets package plan decide, commits the decision in one
// transaction, and only then acts on it.
//
// One goroutine does all of this in rounds. While a commit is under way new reports gather in the inbox; the next round
// takes all of them, so that under load hundreds of transitions share a commit. Nothing polls: a round begins with a
// report, a hint, or at the time that the plan asked for; a slow refresh is the net under lost hints.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"gust/dag"
	"gust/dag/timetable"
	"gust/runner/executor"
	"gust/runner/plan"
	"gust/store"
)

// Store is what the scheduler needs of a store.
type Store interface {
	store.Engine
	RunCreate(ctx context.Context, run *dag.Run) error
	RunGet(ctx context.Context, key dag.RunKey) (*dag.Run, error)
	RunList(ctx context.Context, params *store.RunListParams) ([]dag.Run, error)
	TaskInstanceList(ctx context.Context, run dag.RunKey) ([]dag.TaskInstance, error)
	XComGet(ctx context.Context, key dag.Key, name string) (*store.XCom, error)
	XComMapped(ctx context.Context, run dag.RunKey, taskID, name string) ([]store.XCom, error)
	DagVersionGet(ctx context.Context, version string) (*dag.DAG, error)
}

// Options configure a Scheduler. Store, Executor and Triggers are required.
type Options struct {
	Store    Store
	Executor executor.Executor
	Triggers executor.TriggerLoop
	// Notifier carries out callbacks; nil gives each up with a warning.
	Notifier executor.Notifier
	// Log takes what operators of the daemon should know. nil discards it.
	Log *slog.Logger
	// Now is the clock; nil is time.Now. It may jump.
	Now func() time.Time
	// PausedAtCreation is [core] dags_are_paused_at_creation.
	PausedAtCreation bool
	// RefreshEvery is how often the rows that other processes write are read without a hint; 0 means 5 s.
	RefreshEvery time.Duration
	// HeartbeatEvery is how often the heartbeat row is written; 0 means 5 s.
	HeartbeatEvery time.Duration
	// DrainTimeout is how long Stop waits for the last reports to be committed; 0 means 5 s.
	DrainTimeout time.Duration
	// StateLag is plan.Config.StateLag.
	StateLag time.Duration
	// MaxMapLength is [core] max_map_length; 0 means 1024.
	MaxMapLength int
	// Timetable builds a DAG's timetable; nil means timetable.New.
	Timetable func(*dag.DAG) (timetable.Timetable, error)
}

const (
	defaultRefresh   = 5 * time.Second
	defaultHeartbeat = 5 * time.Second
	defaultDrain     = 5 * time.Second
)

// ErrStopped is what a report's Committed is given when the scheduler has stopped and takes no more reports.
var ErrStopped = errors.New("the scheduler has stopped")

// Scheduler is the active scheduler. Make it with New; Start it once.
type Scheduler struct {
	opts     Options
	log      *slog.Logger
	inbox    inbox
	watchers watchers
	state    *plan.State

	ctx    context.Context // ends when the scheduler has stopped
	cancel context.CancelFunc
	finish chan struct{} // closed: end when the inbox is empty
	hard   chan struct{} // closed: end now, a commit that fails is given up
	done   chan struct{} // closed: the loop has ended
	parked chan struct{} // closed: what an earlier life has left parked is parked again

	stop    sync.Once
	stopErr error
	started bool
	running bool       // Start has succeeded
	mu      sync.Mutex // guards err
	err     error

	// Of the loop only.
	beat        store.Heartbeat
	nextRefresh time.Time
	nextBeat    time.Time
	wake        time.Time
	answers     []item // go before the inbox in the next round
	used        []item // of the round before, for its memory
	reloads     int    // in a row
	settled     bool   // parked is closed
}

// New returns a scheduler that is not started.
func New(opts Options) *Scheduler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&opts.RefreshEvery, defaultRefresh}, {&opts.HeartbeatEvery, defaultHeartbeat}, {&opts.DrainTimeout, defaultDrain}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	s := &Scheduler{
		opts: opts, log: opts.Log,
		finish: make(chan struct{}), hard: make(chan struct{}), done: make(chan struct{}),
		parked: make(chan struct{}),
	}
	s.inbox.signal = make(chan struct{}, 1)
	return s
}

// Start loads the state, starts the executor and the trigger loop, and goes on with what is unfinished. It returns when
// everything runs in the background. ctx limits the start only. Start and Stop are not to be called at the same time.
func (s *Scheduler) Start(ctx context.Context) error {
	if err := s.Begin(ctx); err != nil {
		return err
	}
	s.running = true
	go s.loop()
	return nil
}

// Begin is Start for a simulation, which makes the scheduler's turns itself. Such a scheduler has no Stop: it is
// forgotten, as in a crash.
func (s *Scheduler) Begin(ctx context.Context) error {
	if s.started {
		return errors.New("scheduler: started twice")
	}
	s.started = true
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	now := s.opts.Now()
	snap, err := s.opts.Store.EngineLoad(ctx)
	if err != nil {
		return s.startFailed(fmt.Errorf("scheduler: load the state: %w", err))
	}
	if err := s.opts.Executor.Start(s.ctx, s); err != nil {
		return s.startFailed(fmt.Errorf("scheduler: start the executor: %w", err))
	}
	if err := s.opts.Triggers.Start(s.ctx, s); err != nil {
		return s.startFailed(errors.Join(fmt.Errorf("scheduler: start the trigger loop: %w", err), s.opts.Executor.Stop(ctx)))
	}
	if s.opts.Notifier != nil {
		if err := s.opts.Notifier.Start(s.ctx, s); err != nil {
			return s.startFailed(errors.Join(fmt.Errorf("scheduler: start the notifier: %w", err),
				s.opts.Executor.Stop(ctx), s.opts.Triggers.Stop(ctx)))
		}
	}
	s.state = plan.New(s.config(), snap, now)
	host, _ := os.Hostname() // for display; "" will do
	s.beat = store.Heartbeat{Host: host, PID: os.Getpid(), StartedAt: now.UTC()}
	s.nextRefresh = now.Add(s.opts.RefreshEvery)
	return nil
}

func (s *Scheduler) startFailed(err error) error {
	s.end(err)
	return err
}

func (s *Scheduler) config() plan.Config {
	return plan.Config{
		Slots: s.opts.Executor.Slots(), PausedAtCreation: s.opts.PausedAtCreation, Timetable: s.opts.Timetable,
		StateLag: s.opts.StateLag, MaxMapLength: s.opts.MaxMapLength,
	}
}

// Stop ends the scheduler in order: no new attempts; the executor gets until ctx ends to finish what runs, the rest is
// interrupted and goes back; the trigger loop stops; the last reports are committed. It returns when nothing is left,
// with the first error of these, and may be called again and after a failed Start.
func (s *Scheduler) Stop(ctx context.Context) error {
	if !s.running {
		return nil // not started, or Start has failed and undone itself
	}
	s.stop.Do(func() {
		s.inbox.put(item{event: plan.Stopping{}})
		s.stopErr = errors.Join(s.opts.Executor.Stop(ctx), s.opts.Triggers.Stop(ctx))
		if s.opts.Notifier != nil {
			s.stopErr = errors.Join(s.stopErr, s.opts.Notifier.Stop(ctx))
		}
		close(s.finish)
		timer := time.NewTimer(s.opts.DrainTimeout)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
			close(s.hard)
			s.cancel()
			<-s.done
		}
		s.watchers.stop()
	})
	return errors.Join(s.stopErr, s.Err())
}

// Done is closed when the scheduler has ended: after Stop, or on its own when the store failed for good; then Err says
// why, and Stop is still to be called.
func (s *Scheduler) Done() <-chan struct{} { return s.done }

// Recovered is closed when the waits that an earlier scheduler has left are with the trigger loop again.
func (s *Scheduler) Recovered() <-chan struct{} { return s.parked }

// Err is why the scheduler ended on its own, nil otherwise.
func (s *Scheduler) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Report implements executor.Reporter. It never blocks.
func (s *Scheduler) Report(r executor.Report) {
	if !s.inbox.put(item{event: plan.Reported{Report: r}, committed: r.Committed}) && r.Committed != nil {
		r.Committed(ErrStopped)
	}
}

// CallbackDone implements executor.CallbackReporter.
func (s *Scheduler) CallbackDone(id int64) { s.inbox.put(item{event: plan.CallbackDone{ID: id}}) }

func (s *Scheduler) notify(c dag.CallbackRequest) {
	if s.opts.Notifier != nil {
		s.opts.Notifier.Notify(c)
		return
	}
	s.log.Warn("a callback is given up: this process has no notifiers", "callback", c.Callback.Event, "operator", c.Callback.Operator,
		"about", c.Key.String())
	s.CallbackDone(c.ID)
}

// FileChanged says what a pipeline file defines now.
func (s *Scheduler) FileChanged(f plan.File) { s.inbox.put(item{event: f}) }

// Scanned says that a complete scan of the pipeline files is over and which files there are: DAGs of other files are
// stale from now on.
func (s *Scheduler) Scanned(files []string) { s.inbox.put(item{event: plan.Scanned{Files: files}}) }

// Refresh hints that another process has written something: a queued run, a paused flag, a pool.
func (s *Scheduler) Refresh() { s.inbox.hint() }

// Sync waits until everything that was handed over before has been decided and committed.
func (s *Scheduler) Sync(ctx context.Context) error {
	result := make(chan error, 1)
	if !s.inbox.put(item{committed: func(err error) { result <- err }}) {
		return errors.Join(ErrStopped, s.Err())
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// CreateRun stores a queued run and lets it begin as soon as its DAG's limits allow. The error wraps store.ErrExists
// when the run id or the logical date is taken.
func (s *Scheduler) CreateRun(ctx context.Context, run *dag.Run) error {
	if err := s.opts.Store.RunCreate(ctx, run); err != nil {
		return fmt.Errorf("create run %s of DAG %s: %w", run.RunID, run.DagID, err)
	}
	s.Refresh()
	return nil
}

// WaitRun waits until a run has ended and returns it.
func (s *Scheduler) WaitRun(ctx context.Context, key dag.RunKey) (*dag.Run, error) {
	ended := make(chan *dag.Run, 1)
	stop := s.Watch(func(t Transition) {
		if t.Run != nil && t.Run.RunKey == key && t.Run.State.Finished() {
			select {
			case ended <- t.Run:
			default:
			}
		}
	})
	defer stop()
	run, err := s.opts.Store.RunGet(ctx, key)
	if err != nil || run.State.Finished() {
		return run, err
	}
	select {
	case run = <-ended:
		return run, nil
	case <-s.done:
		return run, errors.Join(ErrStopped, s.Err())
	case <-ctx.Done():
		return run, context.Cause(ctx)
	}
}
