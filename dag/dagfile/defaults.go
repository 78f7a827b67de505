package dagfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// defaultsFile is a parsed defaults.yml, shared by the files below it until it changes on disk.
type defaultsFile struct {
	modTime  time.Time
	size     int64
	src      *source
	root     *value
	problems []Problem
	err      error
}

// defaultsFor merges the defaults files that apply to a file: the nearest directory wins, default_args are merged key
// by key and tags united. The result is a dict, possibly empty.
func (f *fileLoader) defaultsFor(path string) *value {
	merged := newDict(pos{f.src, place{1, 1}}, nil)
	dirs := f.defaultsDirs(filepath.Dir(path))
	for _, dir := range slices.Backward(dirs) {
		d := f.defaultsIn(dir)
		if d == nil {
			continue
		}
		merged = overlayDefaults(merged, d)
	}
	return merged
}

// defaultsDirs lists the directories to search, nearest first: up to the dags folder, or, for a file outside of it, its
// own and the dags folder.
func (f *fileLoader) defaultsDirs(dir string) []string {
	root := f.opts.Root
	if root == "" {
		return []string{dir}
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return []string{dir, filepath.Clean(root)}
	}
	dirs := []string{}
	for rel != "." {
		dirs = append(dirs, filepath.Join(root, rel))
		rel = filepath.Dir(rel)
	}
	return append(dirs, filepath.Clean(root))
}

// defaultsIn returns the content of the directory's defaults file, or nil.
func (f *fileLoader) defaultsIn(dir string) *value {
	for _, name := range defaultsNames {
		path := filepath.Join(dir, name)
		f.depends[path] = true
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			continue
		}
		d := f.defaultsFile(path, info)
		if d.err != nil {
			f.errorf(pos{f.src, place{1, 1}}, "", "cannot read %s: %v", path, d.err)
			return nil
		}
		f.refers(d.src)
		for _, p := range d.problems {
			f.broken = f.broken || p.Severity == Error
			f.problems = append(f.problems, p)
		}
		return d.root
	}
	return nil
}

func (l *Loader) defaultsFile(path string, info fs.FileInfo) *defaultsFile {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.defaults[path]
	if d != nil && d.err == nil && d.modTime.Equal(info.ModTime()) && d.size == info.Size() {
		return d
	}
	d = &defaultsFile{modTime: info.ModTime(), size: info.Size()}
	text, err := os.ReadFile(path)
	if err != nil {
		d.err = err
		return d
	}
	rep := newReporter(path)
	d.src = newSource(path, text, l.opts.Getenv)
	if d.root = parse(d.src, rep); d.root != nil && d.root.kind != kindDict {
		rep.fail(d.root.pos, "", Problem{Message: "the file holds " + d.root.describe(), Expected: "a mapping of DAG keys"})
		d.root = nil
	}
	d.problems = rep.sorted()
	// What only the DAGs of a file may hold is an error there; in a defaults file every failure is the file's own.
	for i := range d.problems {
		d.problems[i].DagID = ""
	}
	l.defaults[path] = d
	return d
}

// overlayDefaults lays the nearer defaults file over the farther ones.
func overlayDefaults(far, near *value) *value {
	out := overlay(far, near)
	set := func(at pos, key string, v *value) {
		out = overlay(out, newDict(at, []entry{{key: key, kind: kindText, pos: at, val: v}}))
	}
	if args := far.get("default_args"); args != nil && args.kind == kindDict {
		if own := near.get("default_args"); own != nil && own.kind == kindDict {
			set(own.pos, "default_args", overlay(args, own))
		}
	}
	farTags, nearTags := far.get("tags"), near.get("tags")
	if farTags == nil || nearTags == nil || farTags.kind != kindList || nearTags.kind != kindList {
		return out
	}
	union := slices.Concat(farTags.items, nearTags.items)
	compare := func(a, b *value) int { return strings.Compare(fmt.Sprint(a.data), fmt.Sprint(b.data)) }
	slices.SortStableFunc(union, compare)
	union = slices.CompactFunc(union, func(a, b *value) bool { return a.kind == b.kind && compare(a, b) == 0 })
	tags := &value{kind: kindList, pos: nearTags.pos, items: union, size: int32(len(union) + 1)}
	set(nearTags.pos, "tags", tags)
	return out
}

// overlay returns base with every key of top on it, key by key.
func overlay(base, top *value) *value {
	return merge(base, top, func(_ string, _, over *value) *value { return over })
}

// overlayDeep is overlay, but where both have a dict under a key the dicts are merged likewise. Lists and typed objects
// are replaced whole.
func overlayDeep(base, top *value) *value {
	return merge(base, top, func(_ string, under, over *value) *value {
		if isPlainDict(under) && isPlainDict(over) {
			return overlayDeep(under, over)
		}
		return over
	})
}

func isPlainDict(v *value) bool {
	return v.kind == kindDict && v.find("__type__") == nil && v.find("__and__") == nil && v.find("__or__") == nil
}

func merge(base, top *value, both func(key string, under, over *value) *value) *value {
	if len(base.keys) == 0 {
		return top
	}
	if len(top.keys) == 0 {
		return base
	}
	keys := make([]entry, 0, len(base.keys)+len(top.keys))
	for _, e := range base.keys {
		if over := top.find(e.key); over != nil {
			merged := *over
			merged.val = both(e.key, e.val, over.val)
			e = merged
		}
		keys = append(keys, e)
	}
	for _, e := range top.keys {
		if base.find(e.key) == nil {
			keys = append(keys, e)
		}
	}
	return newDict(top.pos, keys)
}

// configure merges what a DAG says with the file's default block and the defaults files, in dag-factory's real order:
// inside default_args DAG, block, files; for every other key DAG, files, block.
func (f *fileLoader) configure(own, block, files *value) *value {
	fileArgs, rest := without(files, "default_args")
	blockArgs, block := without(block, "default_args")
	args := newDict(own.pos, nil)
	for _, v := range []*value{fileArgs, blockArgs} {
		if v == nil || v.isNull() {
			continue
		}
		if v.kind != kindDict {
			f.fail(v.pos, "default_args", Problem{Message: "wrong type: " + v.describe(), Expected: "a dict"})
			continue
		}
		args = overlay(args, v)
	}
	block = withoutSchedule(block, rest, own)
	merged := overlay(withoutSchedule(rest, own), own)
	merged = merge(block, merged, func(key string, under, over *value) *value {
		switch {
		case key == "tasks":
			return f.mergeTasks(under, over)
		case isPlainDict(under) && isPlainDict(over):
			return overlayDeep(under, over)
		}
		return over
	})
	if len(args.keys) == 0 {
		return merged
	}
	e := entry{key: "default_args", kind: kindText, pos: args.pos, val: args}
	if ownArgs := merged.find("default_args"); ownArgs != nil && !ownArgs.val.isNull() {
		if ownArgs.val.kind != kindDict {
			return merged
		}
		e.pos, e.val = ownArgs.pos, overlayDeep(args, ownArgs.val)
	}
	return overlay(merged, newDict(merged.pos, []entry{e}))
}

// scheduleKeys are the names, old and new, under which a DAG may have its schedule.
var scheduleKeys = []string{"schedule", "schedule_interval", "timetable"}

// withoutSchedule drops the schedule of defaults, whatever its name, when one that is stronger gives it under any.
func withoutSchedule(defaults *value, stronger ...*value) *value {
	given := slices.ContainsFunc(stronger, func(v *value) bool {
		return slices.ContainsFunc(scheduleKeys, func(key string) bool { return v.find(key) != nil })
	})
	for _, key := range scheduleKeys {
		if given && defaults.find(key) != nil {
			_, defaults = without(defaults, key)
		}
	}
	return defaults
}

// without splits a key off a dict.
func without(v *value, key string) (part, rest *value) {
	e := v.find(key)
	if e == nil {
		return nil, v
	}
	keys := slices.DeleteFunc(slices.Clone(v.keys), func(e entry) bool { return e.key == key })
	return e.val, newDict(v.pos, keys)
}

// mergeTasks lays a DAG's tasks over those of the default block. Dicts merge task by task. A list replaces the block's
// tasks, unless one of its tasks has no operator of its own but one in the block: then the block is a template and the
// list merges by task_id like a dict.
func (f *fileLoader) mergeTasks(under, over *value) *value {
	if isPlainDict(under) && isPlainDict(over) {
		return overlayDeep(under, over)
	}
	base, top := tasksByID(under), tasksByID(over)
	if base == nil || top == nil {
		return over
	}
	leans := slices.ContainsFunc(top.keys, func(e entry) bool {
		complete := e.val.find("operator") != nil || e.val.find("decorator") != nil
		return e.val.kind == kindDict && !complete && base.find(e.key) != nil
	})
	if !leans {
		return over
	}
	return overlayDeep(base, top)
}

// tasksByID returns tasks in dict form, or nil when they are not well formed.
func tasksByID(tasks *value) *value {
	if tasks.kind == kindDict {
		return tasks
	}
	if tasks.kind != kindList {
		return nil
	}
	keys := make([]entry, 0, len(tasks.items))
	seen := map[string]bool{}
	for _, item := range tasks.items {
		id := item.get("task_id")
		if id == nil || id.kind != kindText || seen[id.data.(string)] {
			return nil
		}
		name := id.data.(string)
		seen[name] = true
		keys = append(keys, entry{key: name, kind: kindText, pos: item.pos, val: item})
	}
	return newDict(tasks.pos, keys)
}
