package dagprocessor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gust/dag/dagfile"
)

// walk finds the pipeline files below the root: *.yaml and *.yml, no defaults files, nothing hidden or ignored. Folders
// behind symbolic links are entered once. Every folder is announced before it is read, so that a watch set up there
// misses nothing.
type walk struct {
	enter    func(dir string)
	problem  func(path string, err error)
	syntax   string
	seen     map[string]bool // real paths of folders
	found    []string
	dirs     map[string]bool
	statsFor map[string]fs.FileInfo
}

func (p *Processor) walkRoot() (*walk, error) {
	info, err := os.Stat(p.opts.Root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no dags folder %s; create it or set core.dags_folder", p.opts.Root)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("the dags folder %s is not a folder", p.opts.Root)
	}
	w := &walk{
		enter: func(dir string) {
			if err := p.watch.add(dir); err != nil {
				p.opts.Log.Warn("a folder cannot be watched; its changes take effect at the next scan", "folder", dir, "error", err)
			}
		},
		problem: func(path string, err error) {
			p.opts.Log.Warn("skipped in the dags folder", "path", path, "error", err)
		},
		syntax: p.opts.IgnoreSyntax, seen: map[string]bool{}, dirs: map[string]bool{}, statsFor: map[string]fs.FileInfo{},
	}
	w.dir(filepath.Clean(p.opts.Root), nil)
	slices.Sort(w.found)
	return w, nil
}

func (w *walk) dir(dir string, rules []ignoreRule) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		w.problem(dir, err)
		return
	}
	if w.seen[real] {
		return
	}
	w.seen[real] = true
	w.dirs[dir] = true
	w.enter(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.problem(dir, err)
		return
	}
	rules = w.withRules(dir, rules)
	for _, e := range entries {
		w.entry(dir, e, rules)
	}
}

func (w *walk) entry(dir string, e fs.DirEntry, rules []ignoreRule) {
	name := e.Name()
	if strings.HasPrefix(name, ".") {
		return
	}
	path := filepath.Join(dir, name)
	isDir := e.IsDir()
	candidate := isPipelineName(name) && !dagfile.IsDefaultsName(name)
	if !isDir && !candidate && e.Type()&fs.ModeSymlink == 0 {
		return
	}
	var info fs.FileInfo
	if !isDir {
		var err error
		if info, err = os.Stat(path); err != nil {
			if candidate && !errors.Is(err, fs.ErrNotExist) {
				w.problem(path, err)
			}
			return
		}
		isDir = info.IsDir()
	}
	if ignored(rules, path, isDir) {
		return
	}
	switch {
	case isDir:
		w.dir(path, rules)
	case candidate && info.Mode().IsRegular():
		w.found = append(w.found, path)
		w.statsFor[path] = info
	}
}
