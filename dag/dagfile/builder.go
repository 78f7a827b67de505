package dagfile

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gust/dag"
)

// builder makes one DAG from its merged configuration.
type builder struct {
	*fileLoader
	id  string
	pos pos // of the DAG's key
	cfg *value
	d   *dag.DAG

	checker  TemplateChecker
	zoneDAG  *time.Location // of DAG-level dates
	zoneArgs *time.Location // of dates in default_args
	root     dag.Task       // what a task is when nothing is said
	args     *scope         // the DAG's default_args
	groups   []*group
	byGroup  map[string]*group
	nodes    []*node
	byName   map[string]*node
	declared map[string]any // the JSON Schemas of the DAG's params
	// objects says that json keeps __type__ objects as they are written: Python makes them.
	objects bool
}

func newBuilder(f *fileLoader, e *entry) *builder {
	o := &f.opts
	b := &builder{
		fileLoader: f, id: e.key, pos: e.pos,
		byGroup: map[string]*group{}, byName: map[string]*node{},
	}
	_, line, _ := e.pos.src.locate(e.pos)
	b.d = &dag.DAG{
		ID: e.key, FileLoc: f.path, Line: line, Timezone: o.DefaultTimezone, Catchup: o.CatchupByDefault,
		MaxActiveRuns: o.MaxActiveRuns, MaxActiveTasks: o.MaxActiveTasks, Schedule: dag.Schedule{Kind: dag.ScheduleNone},
	}
	b.root = dag.Task{
		TriggerRule: dag.AllSuccess, Owner: o.DefaultOwner, Retries: o.DefaultTaskRetries,
		RetryDelay: o.DefaultTaskRetryDelay, ExecutionTimeout: o.DefaultTaskExecutionTimeout,
		IgnoreFirstDependsOnPast: true, Pool: dag.DefaultPool, PoolSlots: 1, PriorityWeight: 1,
		WeightRule: dag.WeightDownstream, Queue: o.DefaultQueue, DoXComPush: true,
	}
	return b
}

// build makes the DAG and, unless it has errors, adds it to the file's.
func (b *builder) build(cfg *value) {
	b.cfg = cfg
	if !validID(b.id, true) {
		b.fail(b.pos, b.id, Problem{Message: fmt.Sprintf("%q is not a DAG id", clip(b.id)), Expected: idRule})
	}
	b.checkKeys()
	b.zones()
	b.settings()
	b.checker = b.opts.Templates
	if len(b.d.UserDefinedMacros) > 0 && b.opts.TemplatesFor != nil {
		b.checker = b.opts.TemplatesFor(b.d)
	}
	b.args = b.newScope(nil, cfg.get("default_args"), b.id+".default_args")
	b.dates()
	b.documentation()
	b.schedule()
	b.params()
	b.dagCallbacks()
	b.deadlines()
	b.readGroups()
	b.readTasks()
	b.connect()
	b.finish()
}

// checkKeys reports the DAG keys that are unknown, removed or without effect.
func (b *builder) checkKeys() {
	for _, e := range b.cfg.keys {
		path := b.id + "." + e.key
		reason, known := dagKeys[e.key]
		switch {
		case e.kind != kindText:
			b.fail(e.pos, path, Problem{Message: "the key is a " + e.kind.String(), Expected: "a string", Hint: "quote it"})
		case known && reason == "", isAnchorHolder(e.key):
		case known:
			b.warn(e.pos, path, Problem{Message: "has no effect: " + reason})
		case isCallback(e.key): // see dagCallbacks
		case removedKeys[e.key] != "":
			b.fail(e.pos, path, Problem{Message: "dag-factory 1.0 removed this key", Hint: removedKeys[e.key]})
		case e.pos.src != b.src:
			b.warn(e.pos, path, Problem{Message: "unknown DAG key, ignored", Nearest: b.nearest(e.key, sortedKeys(dagKeys))})
		case isTaskArgument(e.key):
			b.fail(e.pos, path, Problem{Message: "unknown DAG key", Hint: "it is a task argument: put it under default_args"})
		default:
			b.fail(e.pos, path, Problem{Message: "unknown DAG key", Nearest: b.nearest(e.key, sortedKeys(dagKeys))})
		}
	}
}

// zones reads the two timezones: the DAG's own is that of DAG-level dates, default_args.timezone of the dates there.
func (b *builder) zones() {
	b.zoneDAG, b.zoneArgs = time.UTC, time.UTC
	if v := b.cfg.get("timezone"); !v.isNull() {
		if z := b.zone(v, b.id+".timezone"); z != nil {
			b.zoneDAG = z
		}
	}
	if v := b.cfg.get("default_args").get("timezone"); !v.isNull() {
		if z := b.zone(v, b.id+".default_args.timezone"); z != nil {
			b.zoneArgs = z
		}
	}
}

// zone reads the name of a timezone; nil after a problem.
func (b *builder) zone(v *value, path string) *time.Location {
	name, ok := b.text(v, path)
	if !ok {
		return nil
	}
	z, err := b.location(name)
	if err != nil {
		b.fail(v.pos, path, Problem{
			Message:  fmt.Sprintf("unknown timezone %q", clip(name)),
			Expected: "an IANA name such as \"UTC\" or \"Europe/Amsterdam\"",
			Nearest:  b.nearest(name, commonZones),
		})
		return nil
	}
	return z
}

// commonZones are the timezones offered when a name is misspelt; every IANA name is accepted.
var commonZones = []string{
	"UTC", "Africa/Johannesburg", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/New_York",
	"America/Sao_Paulo", "America/Toronto", "Asia/Dubai", "Asia/Hong_Kong", "Asia/Kolkata", "Asia/Seoul",
	"Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Melbourne", "Australia/Sydney", "Europe/Amsterdam",
	"Europe/Berlin", "Europe/Brussels", "Europe/Dublin", "Europe/Lisbon", "Europe/London", "Europe/Madrid",
	"Europe/Paris", "Europe/Rome", "Europe/Stockholm", "Europe/Vienna", "Europe/Warsaw", "Europe/Zurich",
	"Pacific/Auckland",
}

func (l *Loader) location(name string) (*time.Location, error) {
	if z, ok := l.zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("unknown timezone %q", name)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	l.zones.Store(name, z)
	return z, nil
}

// dates reads start_date and end_date. The DAG's timezone is that of its start date, wherever that comes from.
func (b *builder) dates() {
	if v := b.cfg.get("start_date"); !v.isNull() {
		b.d.StartDate, _ = b.moment(v, b.id+".start_date", b.zoneDAG)
		b.d.Timezone = b.zoneDAG.String()
	} else if !b.args.proto.StartDate.IsZero() {
		b.d.StartDate = b.args.proto.StartDate
		b.d.Timezone = b.zoneArgs.String()
	}
	if v := b.cfg.get("end_date"); !v.isNull() {
		b.d.EndDate, _ = b.moment(v, b.id+".end_date", b.zoneDAG)
	} else {
		b.d.EndDate = b.args.proto.EndDate
	}
	e := b.cfg.find("timezone")
	if e != nil && b.cfg.get("start_date").isNull() && b.zoneDAG.String() != b.d.Timezone {
		b.warn(e.pos, b.id+".timezone", Problem{
			Message: fmt.Sprintf("has no effect on the schedule, which runs in %s: it is the timezone of the DAG's start_date, "+
				"and there is none", b.d.Timezone),
			Hint: "add a start_date beside it",
		})
	}
}

// settings reads the plain DAG keys.
func (b *builder) settings() {
	d := b.d
	setKey(b, "description", &d.Description, (*builder).text)
	setKey(b, "dag_display_name", &d.DisplayName, (*builder).text)
	setKey(b, "doc_md", &d.DocMD, (*builder).text)
	setKey(b, "catchup", &d.Catchup, (*builder).boolean)
	setKey(b, "max_active_runs", &d.MaxActiveRuns, atLeast(1))
	setKey(b, "max_active_tasks", &d.MaxActiveTasks, atLeast(1))
	setKey(b, "concurrency", &d.MaxActiveTasks, atLeast(1))
	if e := b.cfg.find("concurrency"); e != nil {
		b.warn(e.pos, b.id+".concurrency", Problem{Message: "deprecated name", Hint: "write max_active_tasks"})
	}
	setKey(b, "dagrun_timeout", &d.DagrunTimeout, (*builder).period)
	setKey(b, "render_template_as_native_obj", &d.RenderNative, (*builder).boolean)
	setKey(b, "fail_stop", &d.FailFast, (*builder).boolean)
	setKey(b, "fail_fast", &d.FailFast, (*builder).boolean)
	d.MaxConsecutiveFailed = b.opts.MaxConsecutiveFailed
	setKey(b, "max_consecutive_failed_dag_runs", &d.MaxConsecutiveFailed, atLeast(0))
	setKey(b, "tags", &d.Tags, func(b *builder, v *value, path string) ([]string, bool) {
		if v.kind == kindText {
			b.mismatch(v, path, "a list of strings")
			return nil, false
		}
		return b.words(v, path, "a list of strings")
	})
	setKey(b, "template_searchpath", &d.TemplateSearchPath, (*builder).searchPath)
	if v := b.cfg.get("is_paused_upon_creation"); !v.isNull() {
		if paused, ok := b.boolean(v, b.id+".is_paused_upon_creation"); ok {
			d.IsPausedUponCreation = &paused
		}
	}
	if v := b.cfg.get("user_defined_macros"); !v.isNull() {
		b.macros(v)
	}
	if v := b.cfg.get("dag_id"); !v.isNull() {
		if s, ok := v.text(); !ok || s != b.id {
			b.warn(v.pos, b.id+".dag_id", Problem{Message: fmt.Sprintf("has no effect: the DAG's id is its key, %q", b.id)})
		}
	}
}

func setKey[T any](b *builder, key string, to *T, read func(*builder, *value, string) (T, bool)) {
	v := b.cfg.get(key)
	if v.isNull() {
		return
	}
	if x, ok := read(b, v, b.id+"."+key); ok {
		*to = x
	}
}

// searchPath reads template_searchpath: absolute folders that exist.
func (b *builder) searchPath(v *value, path string) ([]string, bool) {
	dirs, ok := b.words(v, path, "an absolute path or a list of them")
	for _, dir := range dirs {
		b.depends[dir] = true
		if !filepath.IsAbs(dir) {
			b.errorf(v.pos, path, "%q is not an absolute path", clip(dir))
		} else if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			b.errorf(v.pos, path, "there is no folder %q", clip(dir))
		}
	}
	return dirs, ok
}

// macros reads user_defined_macros: values for templates. A dotted text names a Python function; see dag.IsImportPath.
func (b *builder) macros(v *value) {
	path := b.id + ".user_defined_macros"
	d, ok := b.dict(v, path, "a dict of names to values")
	if !ok {
		return
	}
	if x, ok := b.json(d, path); ok {
		b.d.UserDefinedMacros = b.jsonText(x, v, path)
	}
}

// documentation reads doc_md_file_path, which replaces doc_md.
func (b *builder) documentation() {
	v := b.cfg.get("doc_md_file_path")
	if v.isNull() {
		return
	}
	path := b.id + ".doc_md_file_path"
	name, ok := b.text(v, path)
	if !ok {
		return
	}
	if !filepath.IsAbs(name) {
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("%q is not an absolute path", clip(name)), Hint: "write doc_md, or an absolute path",
		})
		return
	}
	b.depends[name] = true
	text, err := os.ReadFile(name)
	if err != nil {
		b.errorf(v.pos, path, "cannot read the file: %v", err)
		return
	}
	b.d.DocMD = string(text)
}

// finish checks the DAG as a whole, orders its tasks and adds it to the file's.
func (b *builder) finish() {
	d := b.d
	if d.StartDate.IsZero() {
		d.StartDate = earliest(d.Tasks)
	}
	if d.Schedule.Kind == dag.ScheduleContinuous && d.MaxActiveRuns > 1 {
		b.fail(b.at("schedule"), b.id+".schedule", Problem{
			Message: fmt.Sprintf("@continuous with max_active_runs %d", d.MaxActiveRuns), Expected: "max_active_runs: 1",
		})
	}
	if d.Catchup && d.StartDate.IsZero() && d.Schedule.Kind != dag.ScheduleNone && d.Schedule.Kind != dag.ScheduleOnce {
		b.fail(b.at("catchup"), b.id+".catchup", Problem{
			Message: "catchup needs a start_date to begin from", Hint: "add start_date to the DAG or to default_args",
		})
	}
	if !d.EndDate.IsZero() && d.EndDate.Before(d.StartDate) {
		b.errorf(b.at("end_date"), b.id+".end_date", "end_date is before start_date")
	}
	if len(b.nodes) == 0 && !b.failed[b.id] {
		b.warn(b.pos, b.id, Problem{Message: "the DAG has no tasks"})
	}
	if b.failed[b.id] {
		return
	}
	for _, g := range b.groups {
		out := &dag.Group{ID: g.id, Tooltip: g.tooltip}
		if g.parent != nil {
			out.Parent = g.parent.id
		}
		d.Groups = append(d.Groups, out)
	}
	version, err := d.ContentVersion()
	if err != nil {
		b.errorf(b.pos, b.id, "%v", err)
		return
	}
	d.Version = version
	d.Index()
	b.dags = append(b.dags, d)
}

// earliest is the first start date of any task: where the schedule begins when the DAG itself names no date.
func earliest(tasks []*dag.Task) time.Time {
	var first time.Time
	for _, t := range tasks {
		if !t.StartDate.IsZero() && (first.IsZero() || t.StartDate.Before(first)) {
			first = t.StartDate
		}
	}
	return first
}

// at is the position of a DAG key, or of the DAG when the key is absent.
func (b *builder) at(key string) pos {
	if e := b.cfg.find(key); e != nil {
		return e.pos
	}
	return b.pos
}
