package dagfile

import (
	"fmt"
	"math"
	"strings"
	"time"

	"gust/dag"
)

// arguments are the __args__ and keys of a __type__ object, bound to names.
type arguments struct {
	class string
	path  string
	at    pos
	vals  map[string]*value
	rest  []*value // positional arguments beyond the names
}

// bind matches a __type__ object's arguments with the names of its constructor, in positional order. variadic lets
// further positional arguments through, open lets unknown names through.
func (b *builder) bind(v *value, path string, names []string, variadic, open bool) (*arguments, bool) {
	a := &arguments{class: className(v.typeName()), path: path, at: v.pos, vals: map[string]*value{}}
	good := true
	if args := v.find("__args__"); args != nil {
		list := b.plain(args.val, path+".__args__")
		if list.kind != kindList {
			b.mismatch(list, path+".__args__", "a list")
			return a, false
		}
		for i, item := range list.items {
			switch {
			case variadic:
				a.rest = append(a.rest, item)
			case i < len(names):
				a.vals[names[i]] = item
			default:
				b.errorf(item.pos, path+".__args__", "%s takes at most %d positional arguments", a.class, len(names))
				return a, false
			}
		}
	}
	for _, e := range v.keys {
		if e.key == "__type__" || e.key == "__args__" {
			continue
		}
		if a.vals[e.key] != nil {
			b.errorf(e.pos, path+"."+e.key, "%s is given twice, also in __args__", e.key)
			good = false
		}
		known := open
		for _, n := range names {
			known = known || n == e.key
		}
		if !known {
			b.fail(e.pos, path+"."+e.key, Problem{
				Message: fmt.Sprintf("unknown argument of %s", a.class), Expected: "one of " + strings.Join(names, ", "),
				Nearest: b.nearest(e.key, names),
			})
			good = false
			continue
		}
		a.vals[e.key] = e.val
	}
	return a, good
}

// arg returns an argument and its path; nil when it is absent or null.
func (a *arguments) arg(name string) (*value, string) {
	v := a.vals[name]
	if v.isNull() {
		return nil, ""
	}
	return v, a.path + "." + name
}

// plain turns the __type__ objects that have a plain counterpart into it: datetime, date and builtins.list. Everything
// else is returned as it is.
func (b *builder) plain(v *value, path string) *value {
	name := v.typeName()
	if name == "" {
		return v
	}
	var out *value
	var ok bool
	switch className(name) {
	case "datetime":
		out, ok = b.datetime(v, path)
	case "date":
		out, ok = b.date(v, path)
	case "list":
		out, ok = b.listObject(v, path)
	default:
		return v
	}
	if !ok {
		return &value{kind: kindNull, pos: v.pos, size: 1}
	}
	return out
}

func (b *builder) listObject(v *value, path string) (*value, bool) {
	a, ok := b.bind(v, path, []string{"items"}, false, false)
	if !ok {
		return nil, false
	}
	items := a.vals["items"]
	if items == nil {
		return &value{kind: kindList, pos: v.pos, size: 1}, true
	}
	if items.kind != kindList {
		b.mismatch(items, path+".items", "a list")
		return nil, false
	}
	return items, true
}

var timedeltaUnits = []struct {
	name    string
	seconds float64
}{
	{"days", 86400}, {"seconds", 1}, {"microseconds", 1e-6}, {"milliseconds", 1e-3}, {"minutes", 60}, {"hours", 3600},
	{"weeks", 7 * 86400},
}

var timedeltaNames = func() []string {
	names := make([]string, len(timedeltaUnits))
	for i, u := range timedeltaUnits {
		names[i] = u.name
	}
	return names
}()

// timedelta reads {__type__: datetime.timedelta, ...}.
func (b *builder) timedelta(v *value, path string) (time.Duration, bool) {
	a, good := b.bind(v, path, timedeltaNames, false, false)
	total, sum := 0.0, time.Duration(0)
	for _, u := range timedeltaUnits {
		x, at := a.arg(u.name)
		if x == nil {
			continue
		}
		n, ok := x.number()
		if !ok {
			b.mismatch(x, at, "a number")
			good = false
			continue
		}
		part, err := seconds(n * u.seconds)
		if err != nil {
			b.errorf(x.pos, at, "%s", err)
			good = false
		}
		total += n * u.seconds
		sum += part
	}
	if !good {
		return 0, false
	}
	if _, err := seconds(total); err != nil {
		b.errorf(v.pos, path, "%s", err)
		return 0, false
	}
	return sum, true
}

var datetimeNames = []string{"year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "tz"}

// datetime reads {__type__: datetime.datetime, year: ..., ...}, or pendulum.datetime. tzinfo is the name of a zone.
func (b *builder) datetime(v *value, path string) (*value, bool) {
	a, good := b.bind(v, path, datetimeNames, false, false)
	zone := unzoned
	for _, name := range []string{"tzinfo", "tz"} {
		x, at := a.arg(name)
		if x == nil {
			continue
		}
		if zone = b.zone(x, at); zone == nil {
			return nil, false
		}
	}
	n, ok := b.fields(a, datetimeNames[:7], 3)
	if !ok || !good {
		return nil, false
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*1000, zone)
	return b.existing(v, path, t, n, kindDateTime)
}

// date reads {__type__: datetime.date, year: ..., month: ..., day: ...}.
func (b *builder) date(v *value, path string) (*value, bool) {
	a, good := b.bind(v, path, datetimeNames[:3], false, false)
	n, ok := b.fields(a, datetimeNames[:3], 3)
	if !ok || !good {
		return nil, false
	}
	n = append(n, 0, 0, 0, 0)
	t := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	return b.existing(v, path, t, n, kindDate)
}

// fields reads whole numbers, of which the first required ones must be there.
func (b *builder) fields(a *arguments, names []string, required int) ([]int, bool) {
	out, good := make([]int, len(names)), true
	for i, name := range names {
		x, at := a.arg(name)
		if x == nil {
			if i < required {
				b.errorf(a.at, a.path, "missing required argument %q of %s", name, a.class)
				good = false
			}
			continue
		}
		n, ok := b.whole(x, at, 0)
		out[i], good = n, good && ok
	}
	return out, good
}

func (b *builder) existing(v *value, path string, t time.Time, n []int, k kind) (*value, bool) {
	wrapped := t.Year() != n[0] || int(t.Month()) != n[1] || t.Day() != n[2] // as 30 February does
	if wrapped || n[0] < 1 || n[0] > 9999 || n[3] > 23 || n[4] > 59 || n[5] > 59 || n[6] > 999999 {
		b.errorf(v.pos, path, "not a date that exists")
		return nil, false
	}
	return &value{kind: k, pos: v.pos, data: t, size: 1}, true
}

// relativedelta reads {__type__: dateutil.relativedelta.relativedelta, ...}.
func (b *builder) relativedelta(v *value, path string) (*dag.RelativeDelta, bool) {
	var r dag.RelativeDelta
	added := map[string]*int{
		"years": &r.Years, "months": &r.Months, "weeks": &r.Weeks, "days": &r.Days, "hours": &r.Hours,
		"minutes": &r.Minutes, "seconds": &r.Seconds,
	}
	replaced := map[string]**int{
		"year": &r.Year, "month": &r.Month, "day": &r.Day, "hour": &r.Hour, "minute": &r.Minute, "second": &r.Second,
	}
	names := append(sortedKeys(added), sortedKeys(replaced)...)
	if args := v.get("__args__"); args != nil && len(args.items) > 0 {
		b.errorf(args.pos, path+".__args__", "relativedelta takes named arguments only")
		return nil, false
	}
	a, good := b.bind(v, path, names, false, false)
	for _, name := range names {
		x, at := a.arg(name)
		if x == nil {
			continue
		}
		n, ok := x.data.(int64)
		if !ok || n > math.MaxInt32 || n < math.MinInt32 {
			b.mismatch(x, at, "a whole number")
			good = false
			continue
		}
		i := int(n)
		if p := added[name]; p != nil {
			*p = i
		} else {
			*replaced[name] = &i
		}
	}
	return &r, good
}
