//go:build unix

package pyworker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gust/internal/childprocess"
)

// Defaults of Options.
const (
	DefaultInterpreter = "python3"
	DefaultIdle        = 5 * time.Minute
)

// Options configure a Pool.
type Options struct {
	// Interpreter is the program of requests that name none; "" means DefaultInterpreter.
	Interpreter string
	// Warm is how many interpreters are kept when no call uses them, one for each program; 0 starts one for each call.
	Warm int
	// Idle is how long an interpreter is kept without a call; 0 means DefaultIdle.
	Idle time.Duration
	// CleanupTime is how long a call may take to end after SIGTERM, before SIGKILL; 0 means a minute.
	CleanupTime time.Duration
	// Home is the state folder; it marks this installation's processes for childprocess.SweepOrphans.
	Home string
	// Starter starts the interpreters. It is closed after the pool.
	Starter *childprocess.Starter
}

// Pool keeps interpreters warm. It is safe for concurrent use. Close it.
type Pool struct {
	opts Options

	mu     sync.Mutex
	seats  map[string]*seat
	closed bool
	lone   int // counts the interpreters for one call each
	tasks  sync.WaitGroup
}

// seat is a place for one interpreter. It is made by the first call that needs it; the others wait for ready.
type seat struct {
	key    string
	ready  chan struct{}
	python *interpreter // set before ready is closed, unless err is
	err    error
	users  int
	last   time.Time // when users became 0
	idle   *time.Timer
}

// NewPool returns a pool; it starts nothing yet.
func NewPool(o Options) (*Pool, error) {
	if o.Starter == nil || o.Home == "" {
		return nil, errors.New("pyworker: Options need a Starter and a Home")
	}
	o.Interpreter = cmp.Or(o.Interpreter, DefaultInterpreter)
	o.Idle = cmp.Or(o.Idle, DefaultIdle)
	o.CleanupTime = cmp.Or(o.CleanupTime, childprocess.DefaultCleanupTime)
	return &Pool{opts: o, seats: map[string]*seat{}}, nil
}

// Close ends all interpreters with their calls, and waits for them.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	seats := make([]*seat, 0, len(p.seats))
	for _, s := range p.seats {
		seats = append(seats, s)
	}
	p.seats = map[string]*seat{}
	p.mu.Unlock()
	for _, s := range seats {
		p.retire(s)
	}
	p.tasks.Wait()
}

// Find returns the program that a request's interpreter means: a path, or a name that is looked up on PATH.
func (p *Pool) Find(name string) (string, error) {
	name = cmp.Or(name, p.opts.Interpreter)
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return filepath.Abs(path)
	}
	e := &InterpreterError{Name: name, Problem: "was not found on PATH", Err: err}
	if strings.ContainsRune(name, filepath.Separator) {
		e.Problem = "does not exist or is not executable"
	}
	e.Hint = "install Python 3.8 or later, or set python.interpreter (GUST__PYTHON__INTERPRETER), or python or virtualenv of the task"
	return "", e
}

// Call runs a function and returns what it returned, or how it failed: *RaisedError, *InterpreterError, a process that died,
// or ctx's cause. Nothing of the call is left when it returns.
func (p *Pool) Call(ctx context.Context, r *Request) (*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s was not called: %w", r.Callable, context.Cause(ctx))
	}
	path, err := p.Find(r.Interpreter)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		s, err := p.take(ctx, path)
		if err != nil {
			return nil, err
		}
		c := &call{pool: p, python: s.python, request: r}
		result, err := c.run(ctx)
		p.release(s)
		// An interpreter that was found dead may have died long ago, and the call has not begun.
		if errors.Is(err, errNotBegun) && !again && ctx.Err() == nil {
			continue
		}
		return result, err
	}
}

// take returns the seat of a program with a living interpreter.
func (p *Pool) take(ctx context.Context, path string) (*seat, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &InterpreterError{Name: path, Problem: "cannot be used: " + err.Error(), Hint: "check the path", Err: err}
	}
	// A virtual environment that was made anew is another interpreter.
	key := fmt.Sprintf("%s\x00%d\x00%d", path, info.ModTime().UnixNano(), info.Size())
	if venv, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(path)), "pyvenv.cfg")); err == nil {
		key += fmt.Sprintf("\x00%d", venv.ModTime().UnixNano())
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errors.New("the daemon stops")
	}
	if p.opts.Warm == 0 { // one for each call
		p.lone++
		key += fmt.Sprintf("\x00%d", p.lone)
	}
	s := p.seats[key]
	if s != nil && s.dead() {
		p.drop(s)
		s = nil
	}
	if s == nil {
		p.makeRoom()
		s = &seat{key: key, ready: make(chan struct{})}
		p.seats[key] = s
		p.tasks.Go(func() { p.start(s, path) })
	}
	s.users++
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	p.mu.Unlock()
	select {
	case <-s.ready:
	case <-ctx.Done():
		p.release(s)
		return nil, fmt.Errorf("Python was not started: %w", context.Cause(ctx))
	}
	if s.err != nil {
		p.release(s)
		return nil, s.err
	}
	return s, nil
}

// start fills a seat. It does not end with the call that asked for it: others may wait for the interpreter too.
func (p *Pool) start(s *seat, path string) {
	env := append(childprocess.Environ(), childprocess.Marks(p.opts.Home, "python")...)
	s.python, s.err = startInterpreter(context.Background(), path, "", env, p.opts.Starter)
	close(s.ready)
}

// dead reports whether the seat can take no calls. One whose interpreter is just starting is not dead.
func (s *seat) dead() bool {
	select {
	case <-s.ready:
	default:
		return false
	}
	if s.err != nil {
		return true
	}
	select {
	case <-s.python.gone:
		return true
	default:
		return false
	}
}

// makeRoom ends the interpreter that was not used for the longest time when there are too many. Those in use stay, even
// above the limit.
func (p *Pool) makeRoom() {
	for len(p.seats) >= max(p.opts.Warm, 1) {
		var oldest *seat
		for _, s := range p.seats {
			if s.users == 0 && (oldest == nil || s.last.Before(oldest.last)) {
				oldest = s
			}
		}
		if oldest == nil {
			return
		}
		p.drop(oldest)
	}
}

// drop takes a seat away; its interpreter ends when nobody uses it any more. p.mu is held.
func (p *Pool) drop(s *seat) {
	if p.seats[s.key] == s {
		delete(p.seats, s.key)
	}
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	if s.users == 0 {
		p.tasks.Go(func() { p.retire(s) })
	}
}

func (p *Pool) retire(s *seat) {
	<-s.ready
	if s.err == nil {
		s.python.stop()
	}
}

func (p *Pool) release(s *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users--; s.users > 0 || p.closed {
		return
	}
	s.last = time.Now()
	if p.seats[s.key] != s {
		p.tasks.Go(func() { p.retire(s) })
		return
	}
	if p.opts.Warm == 0 || len(p.seats) > p.opts.Warm || s.dead() {
		p.drop(s)
		return
	}
	s.idle = time.AfterFunc(p.opts.Idle, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if s.users == 0 && p.seats[s.key] == s && !p.closed {
			p.drop(s)
		}
	})
}
