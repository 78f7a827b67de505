package dagprocessor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// watcher turns file events into changed paths. A nil watcher never reports anything.
type watcher struct {
	fs   *fsnotify.Watcher
	out  chan string
	done chan struct{}

	mu   sync.Mutex
	dirs map[string]bool
	gone bool
}

func newWatcher() (*watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{fs: fs, out: make(chan string), done: make(chan struct{}), dirs: map[string]bool{}}
	go w.forward()
	return w, nil
}

// forward passes events on until the watcher is closed. An overflow of the kernel's queue counts as a change of
// everything.
func (w *watcher) forward() {
	defer close(w.out)
	send := func(path string) bool {
		select {
		case w.out <- path:
			return true
		case <-w.done:
			return false
		}
	}
	for {
		select {
		case e, open := <-w.fs.Events:
			if !open || e.Op != fsnotify.Chmod && !send(e.Name) {
				return
			}
		case err, open := <-w.fs.Errors:
			if !open || errors.Is(err, fsnotify.ErrEventOverflow) && !send("") {
				return
			}
		case <-w.done:
			return
		}
	}
}

// changes delivers changed paths; "" stands for any.
func (w *watcher) changes() <-chan string {
	if w == nil || w.gone {
		return nil
	}
	return w.out
}

// lost notes that no more changes will come.
func (w *watcher) lost() { w.gone = true }

// add watches a folder. Watching it again renews a watch that was lost with an earlier folder of that name.
func (w *watcher) add(dir string) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fs.Add(dir); err != nil {
		return err
	}
	w.dirs[dir] = true
	return nil
}

// only ends the watch of every folder that is not in the set.
func (w *watcher) only(dirs map[string]bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for dir := range w.dirs {
		if !dirs[dir] {
			_ = w.fs.Remove(dir) // a folder that is gone has lost its watch already
			delete(w.dirs, dir)
		}
	}
}

func (w *watcher) close() {
	if w == nil {
		return
	}
	close(w.done)
	_ = w.fs.Close() // nothing is left to be done about a failure
	for range w.out {
		// Until forward has returned.
	}
}

// concerns reports whether a change of this path can change what the folder defines: pipeline and ignore files,
// folders, whatever a file depends on, and what is gone, for nobody can tell what it was.
func (p *Processor) concerns(path string) bool {
	name := filepath.Base(path)
	switch {
	case path == "", isPipelineName(name), name == ".airflowignore", name == ".gustignore":
		return true
	}
	p.mu.Lock()
	depended := p.depended(path)
	p.mu.Unlock()
	if depended {
		return true
	}
	info, err := os.Stat(path)
	if err != nil {
		// Editors create and remove temporary files all the time; what has an extension was no folder.
		return filepath.Ext(name) == "" && !strings.HasSuffix(name, "~")
	}
	return info.IsDir()
}

func isPipelineName(name string) bool {
	return !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"))
}
