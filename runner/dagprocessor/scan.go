package dagprocessor

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"gust/dag"
	"gust/dag/dagfile"
)

// file is what is known of a pipeline file.
type file struct {
	path  string
	stamp stamp
	hash  [sha256.Size]byte
	// depends are the other files that the result depends on, as they were; env the hash of the variables it mentions.
	depends map[string]stamp
	envName []string
	env     [sha256.Size]byte
	// unsure says that the file may have changed after it was read without its stamp showing it.
	unsure bool
	until  time.Time // when a relative date moves, or zero

	parsed   *dagfile.File
	parsedAt time.Time
	begun    time.Time
	took     time.Duration
	news     bool     // parsed, but not delivered yet
	claims   []string // ids that the file defines, well or badly
	lost     []string // of these, those that an earlier file defines
	result   FileResult
	good     map[string]bool // delivered and not withdrawn
}

// stamp is what tells a changed file from an unchanged one without reading it. The zero stamp is no file.
type stamp struct {
	modTime int64
	size    int64
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.ModTime().UnixNano(), info.Size()} }

// settled is how old a file must be for its stamp to be trusted: file systems may count time in steps of up to 2 s.
const settled = 2 * time.Second

// tick is how far behind the clock a modification time may be on the file systems of today.
const tick = 20 * time.Millisecond

// ScanOnce brings everything up to date and delivers what changed. It returns an error when the folder cannot be read;
// files that cannot be are problems of theirs.
func (p *Processor) ScanOnce(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, err := p.walkRoot()
	if err != nil {
		return err
	}
	s := &scan{p: p, stats: map[string]stamp{}, folders: map[string]bool{}}
	changed := p.adopt(w.found)
	var todo []*file
	for _, path := range p.order {
		f := p.files[path]
		if s.fresh(f, stampOf(w.statsFor[path])) {
			continue
		}
		todo = append(todo, f)
	}
	if err := s.parse(ctx, todo); err != nil {
		return err
	}
	s.watchDepended(w)
	p.own()
	p.deliver()
	if changed || !p.scanned {
		p.scanned = true
		p.sink.Scanned(slices.Clone(p.order))
	}
	return nil
}

// adopt takes over the list of files and reports whether it differs from the last one.
func (p *Processor) adopt(found []string) bool {
	changed := !slices.Equal(found, p.order)
	p.order = found
	if !changed {
		return false
	}
	present := make(map[string]bool, len(found))
	for _, path := range found {
		present[path] = true
		if p.files[path] == nil {
			p.files[path] = &file{path: path, good: map[string]bool{}}
		}
	}
	for path := range p.files {
		if !present[path] {
			delete(p.files, path)
		}
	}
	return true
}

// scan is one pass over the folder.
type scan struct {
	p     *Processor
	stats map[string]stamp // of depended-on files, one stat each
	// folders are the folders of depended-on files, and whether they are there.
	folders map[string]bool
}

func (s *scan) stat(path string) stamp {
	if st, known := s.stats[path]; known {
		return st
	}
	var st stamp
	if info, err := os.Stat(path); err == nil {
		st = stampOf(info)
		if info.IsDir() {
			st = stamp{size: -1} // only that it is there
		}
	}
	s.stats[path] = st
	return st
}

// fresh reports whether the file's last result still holds. It notes the new stamp.
func (s *scan) fresh(f *file, now stamp) bool {
	if f.parsed == nil {
		f.stamp = now
		return false
	}
	for path, was := range f.depends {
		if s.stat(path) != was {
			f.stamp = now
			return false
		}
	}
	if !f.until.IsZero() && !s.p.opts.Now().Before(f.until) || f.env != s.p.envHash(f.envName) {
		f.stamp = now
		return false
	}
	if f.stamp == now && !f.unsure {
		return true
	}
	text, err := os.ReadFile(f.path)
	same := err == nil && sha256.Sum256(text) == f.hash
	if same {
		f.unsure = s.unsettled(now)
	}
	f.stamp = now
	return same
}

func (s *scan) unsettled(st stamp) bool {
	return time.Since(time.Unix(0, st.modTime)) < settled
}

// envHash is a hash of the values of environment variables.
func (p *Processor) envHash(names []string) [sha256.Size]byte {
	if len(names) == 0 {
		return [sha256.Size]byte{}
	}
	h := sha256.New()
	var head [9]byte
	for _, name := range names {
		value, set := p.opts.Load.Getenv(name)
		binary.LittleEndian.PutUint64(head[:], uint64(len(value)))
		head[8] = 0
		if set {
			head[8] = 1
		}
		h.Write(head[:])
		h.Write([]byte(value))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// parse loads files side by side. When ctx ends the rest stays as it was.
func (s *scan) parse(ctx context.Context, todo []*file) error {
	work := make(chan *file)
	var wg sync.WaitGroup
	for range min(s.p.opts.Workers, len(todo)) {
		wg.Go(func() {
			for f := range work {
				s.load(f)
			}
		})
	}
	var err error
	for i, f := range todo {
		if err = context.Cause(ctx); err != nil {
			for _, f := range todo[i:] {
				f.stamp, f.unsure = stamp{}, true
			}
			break
		}
		work <- f
	}
	close(work)
	wg.Wait()
	for _, f := range todo {
		if f.news {
			s.dependencies(f)
		}
	}
	if err != nil {
		return fmt.Errorf("scan of the dags folder interrupted: %w", err)
	}
	return nil
}

// dependencies notes the files that a result depends on as they are now. One that was written while the file was being
// parsed, as far as file systems tell, is noted as it never is, so that the next scan parses the file again.
func (s *scan) dependencies(f *file) {
	f.depends = make(map[string]stamp, len(f.parsed.Depends))
	for _, path := range f.parsed.Depends {
		st := s.stat(path)
		if st.modTime > f.begun.Add(-tick).UnixNano() {
			st = stamp{modTime: -1, size: -1}
		}
		f.depends[path] = st
	}
}

// load reads and parses one file. Whatever goes wrong becomes a problem of the file, a panic too.
func (s *scan) load(f *file) {
	f.begun, f.news = time.Now(), true
	f.parsedAt = s.p.opts.Now()
	defer func() {
		if r := recover(); r != nil {
			s.p.opts.Log.Error("the parser of pipeline files panicked", "file", f.path, "panic", r,
				"stack", string(debug.Stack()))
			f.parsed = unreadable(f.path, fmt.Sprintf("internal error while reading the file: %v", r))
		}
		f.took = time.Since(f.begun)
	}()
	text, err := os.ReadFile(f.path)
	if err != nil {
		f.parsed, f.unsure = unreadable(f.path, err.Error()), true
		return
	}
	f.hash = sha256.Sum256(text)
	f.unsure = s.unsettled(f.stamp)
	f.parsed = s.p.loader.Parse(f.path, text)
	f.envName, f.env, f.until = f.parsed.Env, s.p.envHash(f.parsed.Env), f.parsed.ValidUntil
}

func unreadable(path, message string) *dagfile.File {
	return &dagfile.File{Path: path, Problems: []dagfile.Problem{
		{Severity: dagfile.Error, File: path, Line: 1, Col: 1, Message: message},
	}}
}

// own decides which file each DAG belongs to: the first by path that defines it, even badly. A file that cannot be read
// at all keeps what it defined before.
func (p *Processor) own() {
	owners := map[string]string{}
	for _, path := range p.order {
		f := p.files[path]
		if len(f.parsed.DAGs)+len(f.parsed.Failed) > 0 || !f.parsed.HasErrors() {
			f.claims = slices.Clone(f.parsed.Failed)
			for _, d := range f.parsed.DAGs {
				f.claims = append(f.claims, d.ID)
			}
		}
		for _, id := range f.claims {
			if owners[id] == "" {
				owners[id] = path
			}
		}
	}
	p.owners = owners
}

// deliver passes on the results of the files that were parsed, and of those that won or lost a DAG to another file.
func (p *Processor) deliver() {
	for _, path := range p.order {
		f := p.files[path]
		var lost []string
		for _, id := range f.claims {
			if p.owners[id] != path {
				lost = append(lost, id)
			}
		}
		if !f.news && slices.Equal(lost, f.lost) {
			continue
		}
		f.lost, f.news = lost, false
		f.result = p.resultOf(f)
		if n := len(f.result.Problems); n > 0 {
			p.opts.Log.Debug("pipeline file loaded", "file", path, "dags", len(f.result.DAGs), "problems", n)
		}
		p.sink.FileLoaded(f.result)
	}
}

// resultOf is what the file defines after other files had their say.
func (p *Processor) resultOf(f *file) FileResult {
	r := FileResult{Path: f.path, Problems: f.parsed.Problems, Took: f.took, ParsedAt: f.parsedAt}
	failed := f.parsed.HasErrors()
	for _, d := range f.parsed.DAGs {
		if p.owners[d.ID] == f.path {
			r.DAGs = append(r.DAGs, d)
			continue
		}
		failed = true
		r.Problems = append(slices.Clone(r.Problems), duplicate(d, p.owners[d.ID]))
	}
	for id := range f.good {
		defined := slices.ContainsFunc(r.DAGs, func(d *dag.DAG) bool { return d.ID == id })
		switch {
		case defined:
		case failed && (p.owners[id] == "" || p.owners[id] == f.path):
			r.Retained = append(r.Retained, id)
		default:
			delete(f.good, id)
		}
	}
	for _, d := range r.DAGs {
		f.good[d.ID] = true
	}
	slices.Sort(r.Retained)
	return r
}

func duplicate(d *dag.DAG, owner string) dagfile.Problem {
	return dagfile.Problem{
		Severity: dagfile.Error, File: d.FileLoc, Line: max(d.Line, 1), Col: 1, DagID: d.ID, Path: d.ID,
		Message: fmt.Sprintf("the DAG id %q is already defined in %s", d.ID, owner),
		Hint:    "rename one of them: of two files the first by name is used",
	}
}

// watchDepended watches the folders of depended-on files too, and no folder that is of no interest any more.
func (s *scan) watchDepended(w *walk) {
	if s.p.watch == nil {
		return
	}
	for _, f := range s.p.files {
		for path := range f.depends {
			dir := filepath.Dir(path)
			if _, known := s.folders[dir]; known || w.dirs[dir] {
				continue
			}
			info, err := os.Stat(dir)
			s.folders[dir] = err == nil && info.IsDir()
			if s.folders[dir] {
				w.enter(dir)
			}
		}
	}
	for dir, there := range s.folders {
		w.dirs[dir] = w.dirs[dir] || there
	}
	s.p.watch.only(w.dirs)
}

// depended reports whether any file depends on this path.
func (p *Processor) depended(path string) bool {
	for _, f := range p.files {
		if _, ok := f.depends[path]; ok {
			return true
		}
	}
	return false
}
