// Package dagprocessor watches the dags folder and delivers what its pipeline files define (Airflow: the DAG
// processor).
//
// Changes take effect within a fraction of a second: file events start a scan, and a slow scan is the net for events
// that get lost. A scan stats every file but reads only those that changed, and parses only those whose content
// changed, or that of a file they depend on (defaults.yml, script templates), or an environment variable they mention.
// A broken file never stops the others.
package dagprocessor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"gust/dag"
	"gust/dag/dagfile"
)

// Sink takes what the files define. It is called by one goroutine at a time and must not call the Processor.
type Sink interface {
	// FileLoaded says what a file defines now, each time that changes.
	FileLoaded(FileResult)
	// Scanned lists all pipeline files, sorted, at the end of the first scan and of each that found files added or
	// removed: what other files defined is gone.
	Scanned(files []string)
}

// FileResult is what a file defines.
type FileResult struct {
	Path string
	// DAGs are the good DAGs of the file, in its order, without those that an earlier file already defines.
	DAGs []*dag.DAG
	// Problems are all errors and warnings. With an error the DAGs that the file defined earlier and that are not among
	// DAGs must be kept in their last good version; without one they are gone. Retained names them, as far as this
	// Processor has delivered them.
	Problems []dagfile.Problem
	Retained []string
	// Took is how long reading and parsing took, ParsedAt when.
	Took     time.Duration
	ParsedAt time.Time
}

// HasErrors reports whether any problem is an error.
func (r *FileResult) HasErrors() bool {
	for _, p := range r.Problems {
		if p.Severity == dagfile.Error {
			return true
		}
	}
	return false
}

// ErrorText is the import error: every error of the file, one per line, or "". Warnings are left out.
func (r *FileResult) ErrorText() string {
	var errs []dagfile.Problem
	for _, p := range r.Problems {
		if p.Severity == dagfile.Error {
			errs = append(errs, p)
		}
	}
	return dagfile.Text(errs)
}

// Options configure a Processor. Root is required.
type Options struct {
	// Root is the dags folder ([core] dags_folder).
	Root string
	// Load is what files are read with; its Root defaults to Root.
	Load dagfile.Options
	// ScanInterval is the time between full scans ([dag_processor] refresh_interval). 0: 30 s.
	ScanInterval time.Duration
	// Debounce is how long the folder must be quiet after a file event before it is scanned, but a scan never waits
	// longer than ten times as much. 0: 50 ms.
	Debounce time.Duration
	// IgnoreSyntax is the syntax of .airflowignore files ([core] dag_ignore_file_syntax): "glob" (default) or "regexp".
	// .gustignore files are always globs.
	IgnoreSyntax string
	// Workers is how many files are parsed at once. 0: GOMAXPROCS.
	Workers int
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Log gets warnings and what changed. Nil: nothing is logged.
	Log *slog.Logger
}

// Processor watches a folder. Use New.
type Processor struct {
	opts   Options
	sink   Sink
	loader *dagfile.Loader

	mu      sync.Mutex // held during a scan
	files   map[string]*file
	order   []string          // paths, sorted
	owners  map[string]string // by DAG id, the file it belongs to
	scanned bool
	watch   *watcher // nil while not started

	stop context.CancelFunc
	done chan struct{}
}

// New returns a Processor that delivers to sink.
func New(opts Options, sink Sink) (*Processor, error) {
	if opts.Root == "" {
		return nil, errors.New("the dags folder is not set")
	}
	if opts.ScanInterval <= 0 {
		opts.ScanInterval = 30 * time.Second
	}
	if opts.Debounce <= 0 {
		opts.Debounce = 50 * time.Millisecond
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	switch opts.IgnoreSyntax {
	case "":
		opts.IgnoreSyntax = "glob"
	case "glob", "regexp":
	default:
		return nil, errors.New("dag_ignore_file_syntax is " + opts.IgnoreSyntax + "; expected glob or regexp")
	}
	if opts.Load.Root == "" {
		opts.Load.Root = opts.Root
	}
	if opts.Load.Now == nil {
		opts.Load.Now = opts.Now
	}
	if opts.Load.Getenv == nil {
		opts.Load.Getenv = os.LookupEnv
	}
	return &Processor{
		opts: opts, sink: sink, loader: dagfile.NewLoader(opts.Load), files: map[string]*file{}, owners: map[string]string{},
	}, nil
}

// Start watches the folder in the background until Stop or until ctx ends. The first scan is made at once.
func (p *Processor) Start(ctx context.Context) error {
	if p.done != nil {
		return errors.New("the dag processor is started already")
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.done = make(chan struct{})
	w, err := newWatcher()
	if err != nil {
		p.opts.Log.Warn("file events are not available; the dags folder is scanned every second", "error", err)
	}
	p.mu.Lock()
	p.watch = w
	p.mu.Unlock()
	go p.run(ctx, w)
	return nil
}

// Stop ends watching and waits for it. It may be called more than once, and without Start.
func (p *Processor) Stop() {
	if p.done == nil {
		return
	}
	p.stop()
	<-p.done
}

// Results returns what every file defines now, by path. CLI commands use it after ScanOnce.
func (p *Processor) Results() []FileResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]FileResult, 0, len(p.order))
	for _, path := range p.order {
		if f := p.files[path]; f.result.Path != "" {
			out = append(out, f.result)
		}
	}
	return out
}

// maxDebounces is how many debounce times a scan waits at most while events keep coming.
const maxDebounces = 10

func (p *Processor) run(ctx context.Context, w *watcher) {
	defer close(p.done)
	defer func() {
		p.mu.Lock()
		p.watch = nil
		p.mu.Unlock()
		w.close()
	}()
	interval := p.opts.ScanInterval
	if w == nil {
		interval = min(interval, time.Second)
	}
	full := time.NewTimer(0)
	defer full.Stop()
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	var since time.Time // the first event that no scan has followed
	for {
		select {
		case <-ctx.Done():
			return
		case path, open := <-w.changes():
			if !open {
				w.lost()
				interval = min(interval, time.Second)
				full.Reset(interval)
				p.opts.Log.Warn("file events have stopped; the dags folder is scanned every second")
				continue
			}
			if !p.concerns(path) {
				continue
			}
			now := time.Now()
			if since.IsZero() {
				since = now
			}
			latest := since.Add(maxDebounces * p.opts.Debounce)
			quiet.Reset(max(0, min(p.opts.Debounce, latest.Sub(now))))
			continue
		case <-quiet.C:
		case <-full.C:
		}
		since = time.Time{}
		if err := p.ScanOnce(ctx); err != nil && ctx.Err() == nil {
			p.opts.Log.Error("the dags folder cannot be scanned", "error", err)
		}
		full.Reset(interval)
	}
}
