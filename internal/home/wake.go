package home

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often the wake file is looked at where the system cannot notify of changes.
const pollEvery = 50 * time.Millisecond

// Wake tells a scheduler that runs on this home, in whatever process, to look at the database now. It is a hint: who
// misses it finds out with its next regular look.
func Wake(home string) error {
	f, err := os.OpenFile(filepath.Join(home, WakeFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("wake the scheduler: %w", err)
	}
	// The content does not matter: writing is what is noticed.
	_, err = fmt.Fprintln(f, os.Getpid())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("wake the scheduler: %w", err)
	}
	return nil
}

// Watch delivers on the channel after each Wake; several in a row may arrive as one. It ends with ctx or stop, which
// returns when nothing of it runs any more. The channel is never closed.
//
// Where the system refuses to notify of changes (too many watches, a file system without them), the file is looked at
// every 50 ms instead.
func Watch(ctx context.Context, home string) (wakes <-chan struct{}, stop func(), err error) {
	path := filepath.Join(home, WakeFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("watch the wake file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, nil, fmt.Errorf("watch the wake file: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{path: path, wakes: make(chan struct{}, 1)}
	// The file itself is watched, not the folder, where the database is written to all the time.
	if notify, err := fsnotify.NewWatcher(); err == nil {
		if err := notify.Add(path); err == nil {
			w.notify = notify
		} else {
			_ = notify.Close() // it watches nothing
		}
	}
	if w.notify == nil {
		w.seen = modified(path)
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx) })
	return w.wakes, func() { cancel(); wg.Wait() }, nil
}

type watch struct {
	path   string
	wakes  chan struct{}
	notify *fsnotify.Watcher // nil: poll
	seen   time.Time
}

func (w *watch) run(ctx context.Context) {
	if w.notify != nil {
		defer w.notify.Close()
		if w.listen(ctx) {
			return
		}
		w.seen = modified(w.path)
		w.wake()
	}
	w.poll(ctx)
}

// listen follows notifications until ctx ends (true), or until they cannot be had any more (false).
func (w *watch) listen(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return true
		case event, ok := <-w.notify.Events:
			if !ok {
				return false
			}
			if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
				// Somebody tidied the home up; go on by looking.
				return false
			}
			w.wake()
		case _, ok := <-w.notify.Errors:
			if !ok {
				return false
			}
			w.wake() // events were lost, perhaps this one
		}
	}
}

func (w *watch) poll(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if at := modified(w.path); !at.Equal(w.seen) {
				w.seen = at
				w.wake()
			}
		}
	}
}

func (w *watch) wake() {
	select {
	case w.wakes <- struct{}{}:
	default: // one is waiting already
	}
}

// modified is when the file was last written; the zero time when there is none.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
