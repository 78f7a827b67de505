package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/dag/dagfile"
	"gust/dag/template"
	"gust/dag/timetable"
	"gust/internal/param"
	"gust/runner/dagprocessor"
	"gust/store"
)

// Pipelines is what the pipelines folder holds now.
type Pipelines struct {
	// DAGs by id.
	DAGs []*dag.DAG
	// Kept are the DAGs, by id, whose files are broken now, in the last good version that a daemon has stored and goes on
	// with.
	Kept []*dag.DAG
	// Errors are the files that could not be loaded as a whole or in part.
	Errors []store.ImportError
	// Problems are all errors and warnings, by file.
	Problems []dagfile.Problem
	// Files are the pipeline files, by path.
	Files []FileReport
	// Paused says, by DAG id, what the database knows.
	Paused map[string]bool
}

// FileReport is what reading a pipeline file came to.
type FileReport struct {
	Path string
	Took time.Duration
	// DAGs are the ids of its good DAGs, Tasks how many tasks they have.
	DAGs             []string
	Tasks            int
	Warnings, Errors int
}

func fileReport(r *dagprocessor.FileResult) FileReport {
	f := FileReport{Path: r.Path, Took: r.Took}
	for _, d := range r.DAGs {
		f.DAGs = append(f.DAGs, d.ID)
		f.Tasks += len(d.Tasks)
	}
	for i := range r.Problems {
		if r.Problems[i].Severity == dagfile.Error {
			f.Errors++
		} else {
			f.Warnings++
		}
	}
	return f
}

// NoDAGError says that there is no such DAG.
type NoDAGError struct {
	DagID   string
	Nearest string
	Folder  string
	// Broken are the files that could not be loaded; one of them may define it.
	Broken []string
}

func (e *NoDAGError) Error() string {
	text := fmt.Sprintf("there is no DAG %q in %s", e.DagID, e.Folder)
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	if len(e.Broken) > 0 {
		text += fmt.Sprintf("; %d file(s) could not be loaded, see `gust dags list-import-errors`", len(e.Broken))
	}
	return text
}

// loadOptions are what pipeline files are read with.
func (a *App) loadOptions(catalog *catalog) dagfile.Options {
	c := a.Config
	return dagfile.Options{
		Operators: catalog.operators, Templates: catalog.templates, TemplatesFor: templatesFor, Schedules: timetable.Validate,
		Root: c.Core.DagsFolder, Now: a.Now,
		DefaultTimezone: c.Core.DefaultTimezone, DefaultTaskRetries: c.Core.DefaultTaskRetries,
		DefaultTaskRetryDelay: c.Core.DefaultTaskRetryDelay, DefaultTaskExecutionTimeout: c.Core.DefaultTaskExecutionTimeout,
		DefaultOwner: c.Operators.DefaultOwner, DefaultQueue: c.Operators.DefaultQueue,
		DefaultDeferrable: c.Operators.DefaultDeferrable,
		MaxActiveRuns:     c.Core.MaxActiveRunsPerDag, MaxActiveTasks: c.Core.MaxActiveTasksPerDag,
		MaxConsecutiveFailed: c.Core.MaxConsecutiveFailedDagRuns,
		CatchupByDefault:     c.Scheduler.CatchupByDefault, CronDataIntervals: c.Scheduler.CreateCronDataIntervals,
		DeltaDataIntervals: c.Scheduler.CreateDeltaDataIntervals,
	}
}

// templatesFor checks the templates of a DAG that brings macros of its own.
func templatesFor(d *dag.DAG) dagfile.TemplateChecker {
	var macros map[string]any
	if err := json.Unmarshal(d.UserDefinedMacros, &macros); err != nil {
		macros = nil // the loader has reported it
	}
	return template.New(template.Options{Macros: macros})
}

// discardSink is for a single scan, whose results are asked for afterwards.
type discardSink struct{}

func (discardSink) FileLoaded(dagprocessor.FileResult) {}
func (discardSink) Scanned([]string)                   {}

// Pipelines loads the pipelines folder as it is now.
func (a *App) Pipelines(ctx context.Context) (*Pipelines, error) {
	root := a.Config.Core.DagsFolder
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the pipelines folder %s does not exist; create it, or set core.dags_folder", root)
	}
	catalog, err := a.catalog()
	if err != nil {
		return nil, err
	}
	p, err := dagprocessor.New(dagprocessor.Options{Root: root, Load: a.loadOptions(catalog), Now: a.Now, Log: a.Log}, discardSink{})
	if err != nil {
		return nil, err
	}
	if err := p.ScanOnce(ctx); err != nil {
		return nil, err
	}
	out := &Pipelines{Paused: map[string]bool{}}
	for _, r := range p.Results() {
		out.DAGs = append(out.DAGs, r.DAGs...)
		out.Problems = append(out.Problems, r.Problems...)
		out.Files = append(out.Files, fileReport(&r))
		if r.HasErrors() {
			out.Errors = append(out.Errors, store.ImportError{FileLoc: r.Path, Text: r.ErrorText(), At: r.ParsedAt})
		}
	}
	slices.SortFunc(out.DAGs, func(x, y *dag.DAG) int { return strings.Compare(x.ID, y.ID) })
	rows, err := a.Store.DagList(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range out.DAGs {
		out.Paused[d.ID] = a.pausedAtCreation(d)
	}
	for i := range rows {
		out.Paused[rows[i].DagID] = rows[i].IsPaused
	}
	return out, a.keep(ctx, out, rows)
}

// keep adds the last good versions of DAGs whose files are broken.
func (a *App) keep(ctx context.Context, p *Pipelines, rows []store.DagRow) error {
	for i := range rows {
		row := &rows[i]
		broken := slices.ContainsFunc(p.Errors, func(e store.ImportError) bool { return e.FileLoc == row.FileLoc })
		if row.Stale || !broken || slices.ContainsFunc(p.DAGs, func(d *dag.DAG) bool { return d.ID == row.DagID }) {
			continue
		}
		d, err := a.Store.DagVersionGet(ctx, row.Version)
		if err != nil {
			return err
		}
		d.Index()
		p.Kept = append(p.Kept, d)
	}
	return nil
}

// current is the DAG that a daemon runs: what the database says while there is one, otherwise what the pipelines folder
// says. A DAG whose file is broken is there in its last good version.
func (a *App) current(ctx context.Context, id string) (*dag.DAG, error) {
	if a.SchedulerAlive() {
		row, err := a.Store.DagGet(ctx, id)
		if err == nil && !row.Stale {
			return a.Store.DagVersionGet(ctx, row.Version)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	loaded, err := a.Pipelines(ctx)
	if err != nil {
		return nil, err
	}
	d, err := loaded.Find(id, a.Config.Core.DagsFolder)
	if i := slices.IndexFunc(loaded.Kept, func(d *dag.DAG) bool { return d.ID == id }); err != nil && i >= 0 {
		return loaded.Kept[i], nil
	}
	return d, err
}

// Latest is the DAG that a daemon runs now: what the database says while there is one, otherwise what the pipelines folder
// says.
func (a *App) Latest(ctx context.Context, id string) (*dag.DAG, error) { return a.current(ctx, id) }

func (a *App) pausedAtCreation(d *dag.DAG) bool {
	if d.IsPausedUponCreation != nil {
		return *d.IsPausedUponCreation
	}
	return a.Config.Core.DagsArePausedAtCreation
}

// Find returns the DAG with this id, or a *NoDAGError.
func (p *Pipelines) Find(id, folder string) (*dag.DAG, error) {
	ids := make([]string, len(p.DAGs))
	for i, d := range p.DAGs {
		if d.ID == id {
			return d, nil
		}
		ids[i] = d.ID
	}
	missing := &NoDAGError{DagID: id, Nearest: param.Nearest(id, ids), Folder: folder}
	for _, e := range p.Errors {
		missing.Broken = append(missing.Broken, e.FileLoc)
	}
	return nil, missing
}

// Match returns the ids that equal the text, or that a regular expression matches; at least one, or an error.
func (p *Pipelines) Match(text string, regex bool) ([]string, error) {
	if !regex {
		if slices.ContainsFunc(p.Kept, func(d *dag.DAG) bool { return d.ID == text }) {
			return []string{text}, nil
		}
		d, err := p.Find(text, "the pipelines folder")
		if err != nil {
			return nil, err
		}
		return []string{d.ID}, nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression: %w", text, err)
	}
	var ids []string
	for _, d := range slices.Concat(p.DAGs, p.Kept) {
		if re.MatchString(d.ID) {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return nil, &NoDAGError{DagID: text, Folder: "the pipelines folder"}
	}
	return ids, nil
}

// Pipeline returns one DAG: by its id from the pipelines folder, or, when target is a file, the DAG in it (of several,
// FILE:DAG_ID chooses). A file with errors is an error that holds all of them.
func (a *App) Pipeline(ctx context.Context, target string) (*dag.DAG, []dagfile.Problem, error) {
	path, wanted := target, ""
	if !isFile(path) {
		if i := strings.LastIndex(target, ":"); i > 0 && isFile(target[:i]) {
			path, wanted = target[:i], target[i+1:]
		} else if filepath.Ext(target) == ".yaml" || filepath.Ext(target) == ".yml" {
			return nil, nil, fmt.Errorf("there is no file %s", target)
		} else {
			loaded, err := a.Pipelines(ctx)
			if err != nil {
				return nil, nil, err
			}
			d, err := loaded.Find(target, a.Config.Core.DagsFolder)
			if err != nil {
				return nil, nil, err
			}
			return d, slices.DeleteFunc(loaded.Problems, func(p dagfile.Problem) bool { return p.DagID != d.ID }), nil
		}
	}
	catalog, err := a.catalog()
	if err != nil {
		return nil, nil, err
	}
	opts := a.loadOptions(catalog)
	if absolute, err := filepath.Abs(path); err == nil && !strings.HasPrefix(absolute, opts.Root+string(filepath.Separator)) {
		opts.Root = filepath.Dir(absolute)
	}
	file, err := dagfile.Load(path, opts)
	if err != nil {
		return nil, nil, err
	}
	return choose(file, wanted)
}

func choose(file *dagfile.File, wanted string) (*dag.DAG, []dagfile.Problem, error) {
	if file.HasErrors() {
		errs := slices.DeleteFunc(slices.Clone(file.Problems), func(p dagfile.Problem) bool { return p.Severity != dagfile.Error })
		return nil, file.Problems, fmt.Errorf("%s could not be loaded:\n%s", file.Path, strings.TrimRight(dagfile.Text(errs), "\n"))
	}
	var ids []string
	for _, d := range file.DAGs {
		if d.ID == wanted || wanted == "" && len(file.DAGs) == 1 {
			return d, file.Problems, nil
		}
		ids = append(ids, d.ID)
	}
	switch {
	case wanted != "":
		return nil, nil, &NoDAGError{DagID: wanted, Nearest: param.Nearest(wanted, ids), Folder: file.Path}
	case len(ids) == 0:
		return nil, nil, fmt.Errorf("%s defines no DAG", file.Path)
	}
	return nil, nil, fmt.Errorf("%s defines %d DAGs (%s); choose one with %s:%s", file.Path, len(ids), strings.Join(ids, ", "), file.Path, ids[0])
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
