package dagfile

import (
	"fmt"
	"strings"

	"gust/dag"
)

const (
	deadlineWords  = "{reference: DAGRUN_QUEUED_AT, interval: a duration, callback: ...}"
	referenceWords = "DAGRUN_QUEUED_AT, DAGRUN_LOGICAL_DATE, {FIXED_DATETIME: a datetime}, AVERAGE_RUNTIME or " +
		"{AVERAGE_RUNTIME: {max_runs: 10, min_runs: 10}}"
	defaultAverageRuns = 10
)

var deadlineReferences = []string{
	string(dag.DeadlineQueuedAt), string(dag.DeadlineLogicalDate), string(dag.DeadlineFixedDatetime), string(dag.DeadlineAverageRuntime),
}

// deadlines reads deadline: one or a list of them.
func (b *builder) deadlines() {
	v, path := b.cfg.get("deadline"), b.id+".deadline"
	if v.isNull() {
		return
	}
	v = b.plain(v, path)
	if v.kind != kindList {
		b.deadline(v, path)
		return
	}
	for i, item := range v.items {
		b.deadline(item, fmt.Sprintf("%s[%d]", path, i))
	}
}

// deadline reads {reference, interval, callback}, a plain dict or Airflow's DeadlineAlert.
func (b *builder) deadline(v *value, path string) {
	if v.kind != kindDict {
		b.mismatch(v, path, deadlineWords)
		return
	}
	if class := className(v.typeName()); class != "" && class != "DeadlineAlert" {
		b.mismatch(v, path, deadlineWords)
		return
	}
	known := []string{"reference", "interval", "callback"}
	a, good := b.bind(named1(v, "DeadlineAlert"), path, append(known, "name", "description"), false, false)
	d := dag.Deadline{}
	for _, key := range known {
		x, at := a.arg(key)
		if x == nil {
			b.fail(v.pos, path, Problem{Message: fmt.Sprintf("missing %q of the deadline", key), Expected: deadlineWords})
			good = false
			continue
		}
		ok := true
		switch key {
		case "reference":
			ok = b.deadlineReference(&d, x, at)
		case "interval":
			d.Interval, ok = b.signedDuration(x, at)
		case "callback":
			d.Callback, ok = b.callbacksOf(b.id).one(dag.OnDeadline, x, at)
		}
		good = good && ok
	}
	if good {
		b.d.Deadlines = append(b.d.Deadlines, d)
	}
}

// named1 is v, with a class name when it has none.
func named1(v *value, class string) *value {
	if v.typeName() != "" {
		return v
	}
	name := &value{kind: kindText, pos: v.pos, data: class, size: 1}
	return newDict(v.pos, append([]entry{{key: "__type__", kind: kindText, pos: v.pos, val: name}}, v.keys...))
}

// deadlineReference reads what a deadline counts from.
func (b *builder) deadlineReference(d *dag.Deadline, v *value, path string) bool {
	var name string
	args, at := v, path
	switch {
	case v.kind == kindText:
		name, args = v.data.(string), nil
	case v.typeName() != "":
		name = v.typeName()
	case v.kind == kindDict && len(v.keys) == 1:
		name, args, at = v.keys[0].key, v.keys[0].val, path+"."+v.keys[0].key
	default:
		b.mismatch(v, path, referenceWords)
		return false
	}
	d.Reference = dag.DeadlineReference(strings.ToUpper(className(name)))
	switch d.Reference {
	case dag.DeadlineQueuedAt, dag.DeadlineLogicalDate:
		return true
	case dag.DeadlineFixedDatetime:
		return b.fixedReference(d, v, args, at)
	case dag.DeadlineAverageRuntime:
		return b.averageReference(d, args, at)
	}
	b.fail(v.pos, path, Problem{
		Message: fmt.Sprintf("%q is not a reference of deadlines", clip(name)), Expected: referenceWords,
		Nearest: b.nearest(className(name), deadlineReferences),
	})
	return false
}

func (b *builder) fixedReference(d *dag.Deadline, v, args *value, path string) bool {
	if args == nil {
		b.fail(v.pos, path, Problem{Message: "FIXED_DATETIME without a datetime", Expected: "{FIXED_DATETIME: a datetime}"})
		return false
	}
	if args.typeName() != "" && className(args.typeName()) == string(dag.DeadlineFixedDatetime) {
		a, ok := b.bind(args, path, []string{"datetime"}, false, false)
		if !ok {
			return false
		}
		if args, path = a.arg("datetime"); args == nil {
			b.errorf(v.pos, a.path, "missing required argument %q of %s", "datetime", a.class)
			return false
		}
	}
	var ok bool
	if args.isNull() {
		b.mismatch(args, path, dateWords)
		return false
	}
	d.At, ok = b.moment(args, path, b.zoneDAG)
	return ok
}

func (b *builder) averageReference(d *dag.Deadline, args *value, path string) bool {
	d.Limit = defaultAverageRuns
	if !args.isNull() {
		if args.kind != kindDict {
			b.mismatch(args, path, "{max_runs: 10, min_runs: 10}")
			return false
		}
		a, good := b.bind(named1(args, string(dag.DeadlineAverageRuntime)), path, []string{"max_runs", "min_runs", "limit"}, false, false)
		for _, field := range []struct {
			key string
			to  *int
		}{{"limit", &d.Limit}, {"max_runs", &d.Limit}, {"min_runs", &d.MinRuns}} {
			if x, at := a.arg(field.key); x != nil {
				n, ok := b.whole(x, at, 1)
				*field.to, good = n, good && ok
			}
		}
		if !good {
			return false
		}
	}
	if d.MinRuns == 0 {
		d.MinRuns = d.Limit
	}
	return true
}
