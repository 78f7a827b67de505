package template

import (
	"fmt"
	"strings"
	"time"

	"gust/dag/template/jinja"
)

// module is a namespace of functions and values; with a call it is also a callable, as Python's classes are.
type module struct {
	name  string
	attrs map[string]any
	call  *jinja.Func
}

func (m *module) TypeName() string { return m.name }

// Func makes classes callable.
func (m *module) Func() *jinja.Func { return m.call }

func (m *module) AttrNames() []string { return sortedKeys(m.attrs) }

func (m *module) Attr(_ *jinja.State, name string) (any, bool, error) {
	v, ok := m.attrs[name]
	return v, ok, nil
}

func newModule(name string, call *jinja.Func, members ...any) *module {
	if call == nil {
		call = &jinja.Func{Name: name, TakesRest: true, TakesKw: true, Do: func(*jinja.State, jinja.Args) (any, error) {
			return nil, jinja.Errorf("the module %s cannot be called", name)
		}}
	}
	m := &module{name: name, attrs: map[string]any{}, call: call}
	for _, x := range members {
		switch x := x.(type) {
		case *jinja.Func:
			m.attrs[x.Name] = x
		case *module:
			m.attrs[x.name] = x
		}
	}
	return m
}

// macrosObject is the variable macros. Its parts are made when they are used.
type macrosObject struct{ v *Vars }

func (o *macrosObject) TypeName() string { return "macros" }

var macroNames = strings.Fields(`datetime timedelta dateutil time uuid random json ds_add ds_format ds_format_locale
datetime_diff_for_humans`)

func (o *macrosObject) AttrNames() []string { return macroNames }

func (o *macrosObject) Attr(_ *jinja.State, name string) (any, bool, error) {
	switch name {
	case "datetime":
		return datetimeClass(o.v), true, nil
	case "timedelta":
		return timedeltaClass(), true, nil
	case "dateutil":
		return dateutilModule(), true, nil
	case "time":
		return timeModule(o.v), true, nil
	case "uuid":
		return uuidModule(o.v), true, nil
	case "random":
		return randomModule(o.v), true, nil
	case "json":
		return jsonModule(), true, nil
	case "ds_add":
		return jinja.NewFunc(name, dsAdd, req("ds"), req("days")), true, nil
	case "ds_format":
		return jinja.NewFunc(name, dsFormat, req("ds"), req("input_format"), req("output_format")), true, nil
	case "ds_format_locale":
		return jinja.NewFunc(name, dsFormat, req("ds"), req("input_format"), req("output_format"), opt("locale", nil)), true,
			nil
	case "datetime_diff_for_humans":
		return jinja.NewFunc(name, o.v.diffForHumans, req("dt"), opt("since", nil)), true, nil
	}
	return nil, false, nil
}

func dsAdd(_ *jinja.State, a []any) (any, error) {
	d, err := parseArg(a[0], "%Y-%m-%d")
	if err != nil {
		return nil, err
	}
	days, err := jinja.Int(a[1], "days")
	if err != nil {
		return nil, err
	}
	if days > 1e7 || days < -1e7 {
		return nil, jinja.Errorf("days is too large")
	}
	out := d.with(d.t.AddDate(0, 0, days))
	return out.t.Format(time.DateOnly), out.check()
}

// diffForHumans says how far a date lies from another, or from now.
func (v *Vars) diffForHumans(_ *jinja.State, a []any) (any, error) {
	d, err := momentArg(a[0])
	if err != nil {
		return nil, err
	}
	if a[1] != nil {
		since, err := momentArg(a[1])
		return humanize(d.t, since.t, "after", "before"), err
	}
	now, err := v.now()
	out := humanize(d.t, now, "ahead", "ago")
	if rest, ok := strings.CutSuffix(out, " ahead"); ok {
		out = "in " + rest
	}
	return out, err
}

func dsFormat(_ *jinja.State, a []any) (any, error) {
	input, err := jinja.Text(a[1], "the input format")
	if err != nil {
		return nil, err
	}
	output, err := jinja.Text(a[2], "the output format")
	if err != nil {
		return nil, err
	}
	d, err := parseArg(a[0], input)
	if err != nil {
		return nil, err
	}
	return strftime(d, output)
}

// parseArg reads a date: a text in a strptime format.
func parseArg(v any, format string) (dateTime, error) {
	s, err := jinja.Text(v, "the date")
	if err != nil {
		return dateTime{}, err
	}
	return strptime(s, format)
}

// momentArg reads a datetime argument.
func momentArg(v any) (dateTime, error) {
	switch v := v.(type) {
	case dateTime:
		return v, nil
	case date:
		return v.moment(), nil
	}
	return dateTime{}, jinja.Errorf("expected a datetime, not %T", v)
}

// isoLayouts are what fromisoformat and dateutil's parser read.
var isoLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
	"20060102T150405Z0700", "20060102T150405", "20060102",
}

var looseLayouts = []string{
	"2006/01/02 15:04:05", "2006/01/02", "01/02/2006 15:04:05", "01/02/2006", "Jan 2, 2006", "January 2, 2006",
	"2 Jan 2006",
	"2 January 2006", time.RFC1123Z, time.RFC1123, time.RFC822Z, time.RFC850, time.ANSIC,
}

func parseMoment(s string, layouts []string) (dateTime, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			aware := strings.Contains(layout, "Z07") || strings.Contains(layout, "-0700") || strings.Contains(layout, "MST")
			return dateTime{t: t, naive: !aware, plain: true}, nil
		}
	}
	return dateTime{}, jinja.Errorf("%q is not a date; expected a form such as 2025-01-31 or 2025-01-31T10:00:00+00:00", s)
}

func (v *Vars) now() (time.Time, error) {
	if v.Now.IsZero() {
		return v.Now, jinja.Errorf("there is no clock here")
	}
	return v.Now.UTC().Truncate(time.Microsecond), nil
}

// datetimeClass is Python's datetime.datetime.
func datetimeClass(v *Vars) *module {
	text := func(name string, parse func(string) (dateTime, error)) *jinja.Func {
		return jinja.NewFunc(name, func(_ *jinja.State, a []any) (any, error) {
			s, err := jinja.Text(a[0], "the date")
			if err != nil {
				return nil, err
			}
			return parse(s)
		}, req("date_string"))
	}
	newDate := jinja.NewFunc("datetime", func(_ *jinja.State, a []any) (any, error) {
		zero := dateTime{t: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), naive: true, plain: true}
		if a[7] == nil {
			a[7] = keep{}
		}
		return zero.replace(a)
	}, req("year"), req("month"), req("day"), opt("hour", 0), opt("minute", 0), opt("second", 0), opt("microsecond", 0),
		opt("tzinfo", nil))
	return newModule("datetime", newDate,
		jinja.NewFunc("now", func(_ *jinja.State, a []any) (any, error) {
			now, err := v.now()
			if err != nil || a[0] == nil {
				return dateTime{t: now, naive: true, plain: true}, err
			}
			loc, err := zoneArg(a[0])
			return dateTime{t: now.In(orUTC(loc))}, err
		}, opt("tz", nil)),
		jinja.NewFunc("utcnow", func(*jinja.State, []any) (any, error) {
			now, err := v.now()
			return dateTime{t: now, naive: true, plain: true}, err
		}),
		jinja.NewFunc("today", func(*jinja.State, []any) (any, error) {
			now, err := v.now()
			return dateTime{t: now, naive: true, plain: true}, err
		}),
		jinja.NewFunc("strptime", func(_ *jinja.State, a []any) (any, error) {
			format, err := jinja.Text(a[1], "the format")
			if err != nil {
				return nil, err
			}
			return parseArg(a[0], format)
		}, req("date_string"), req("format")),
		text("fromisoformat", func(s string) (dateTime, error) { return parseMoment(s, isoLayouts) }),
		jinja.NewFunc("fromtimestamp", func(_ *jinja.State, a []any) (any, error) { return fromTimestamp(a[0], a[1]) },
			req("timestamp"), opt("tz", nil)),
		jinja.NewFunc("utcfromtimestamp", func(_ *jinja.State, a []any) (any, error) { return fromTimestamp(a[0], nil) },
			req("timestamp")),
	)
}

func fromTimestamp(v, tz any) (any, error) {
	f, err := jinja.Float(v, "the timestamp")
	if err != nil {
		return nil, err
	}
	since, err := floatDuration(f)
	if err != nil {
		return nil, err
	}
	d := dateTime{t: time.Unix(0, 0).UTC().Add(since), naive: true, plain: true}
	if tz == nil {
		return d, nil
	}
	loc, err := zoneArg(tz)
	return dateTime{t: d.t.In(orUTC(loc)), plain: true}, err
}

func timedeltaClass() *module {
	return newModule("timedelta", jinja.NewFunc("timedelta", func(_ *jinja.State, a []any) (any, error) {
		return newTimeDelta(a)
	}, timeDeltaParams...))
}

// dateutilModule has the parts of dateutil that templates use.
func dateutilModule() *module {
	parse := jinja.NewFunc("parse", func(_ *jinja.State, a []any) (any, error) {
		s, err := jinja.Text(a[0], "the date")
		if err != nil {
			return nil, err
		}
		return parseMoment(s, append(isoLayouts[:len(isoLayouts):len(isoLayouts)], looseLayouts...))
	}, req("timestr"))
	relative := jinja.NewFunc("relativedelta", func(_ *jinja.State, a []any) (any, error) { return newRelativeDelta(a) },
		relativeParams...)
	return newModule("dateutil", nil, newModule("parser", nil, parse), newModule("relativedelta", relative, relative))
}

func timeModule(v *Vars) *module {
	return newModule("time", nil,
		jinja.NewFunc("time", func(*jinja.State, []any) (any, error) {
			now, err := v.now()
			return float64(now.UnixMicro()) / 1e6, err
		}),
		jinja.NewFunc("strftime", func(_ *jinja.State, a []any) (any, error) {
			format, err := jinja.Text(a[0], "the format")
			if err != nil {
				return nil, err
			}
			now, err := v.now()
			if err != nil {
				return nil, err
			}
			return strftime(dateTime{t: now}, format)
		}, req("format")),
	)
}

// uuidModule gives the same sequence whenever the same attempt renders, so that a repeated attempt repeats its work.
func uuidModule(v *Vars) *module {
	return newModule("uuid", nil, jinja.NewFunc("uuid4", func(*jinja.State, []any) (any, error) {
		hi, lo := v.random().Uint64(), v.random().Uint64()
		hi = hi&^0xf000 | 0x4000
		lo = lo&^(3<<62) | 2<<62
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff), nil
	}))
}

// randomModule is both Airflow's macros.random, the function, and Python's module of that name.
func randomModule(v *Vars) *module {
	float := jinja.NewFunc("random", func(*jinja.State, []any) (any, error) { return v.random().Float64(), nil })
	return newModule("random", float, float,
		jinja.NewFunc("randint", func(_ *jinja.State, a []any) (any, error) {
			lo, err := jinja.Int(a[0], "a")
			if err != nil {
				return nil, err
			}
			hi, err := jinja.Int(a[1], "b")
			if err == nil && (hi < lo || hi-lo < 0 || hi-lo+1 <= 0) {
				err = jinja.Errorf("randint() needs a range that is not empty")
			}
			if err != nil {
				return nil, err
			}
			return lo + v.random().IntN(hi-lo+1), nil
		}, req("a"), req("b")),
		jinja.NewFunc("uniform", func(_ *jinja.State, a []any) (any, error) {
			lo, err := jinja.Float(a[0], "a")
			if err != nil {
				return nil, err
			}
			hi, err := jinja.Float(a[1], "b")
			return lo + v.random().Float64()*(hi-lo), err
		}, req("a"), req("b")),
		jinja.NewFunc("choice", func(st *jinja.State, a []any) (any, error) {
			items, err := st.Iterate(a[0])
			if err == nil && len(items) == 0 {
				err = jinja.Errorf("choice() needs a sequence that is not empty")
			}
			if err != nil {
				return nil, err
			}
			return items[v.random().IntN(len(items))], nil
		}, req("seq")),
	)
}

func jsonModule() *module {
	return newModule("json", nil,
		jinja.NewFunc("dumps", func(st *jinja.State, a []any) (any, error) {
			indent := -1
			if a[1] != nil {
				n, err := jinja.Int(a[1], "indent")
				if err != nil {
					return nil, err
				}
				indent = max(0, min(n, 64))
			}
			return st.JSON(a[0], indent, a[2] == true)
		}, req("obj"), opt("indent", nil), opt("sort_keys", false)),
		jinja.NewFunc("loads", func(_ *jinja.State, a []any) (any, error) {
			s, err := jinja.Text(a[0], "the JSON text")
			if err != nil {
				return nil, err
			}
			v, err := jinja.DecodeJSON([]byte(s))
			if err != nil {
				return nil, jinja.Errorf("the text is not JSON: %v", err)
			}
			return v, nil
		}, req("s")),
	)
}

// withTZ is ts_nodash_with_tz.
func withTZ(d dateTime) string { return strings.NewReplacer("-", "", ":", "").Replace(d.iso()) }

// dateFilters are Airflow's filters. None stays None.
func dateFilters() []*jinja.Func {
	filter := func(name string, f func(dateTime) string) *jinja.Func {
		return jinja.NewFunc(name, func(_ *jinja.State, a []any) (any, error) {
			if a[0] == nil {
				return nil, nil
			}
			d, err := momentArg(a[0])
			if err != nil {
				return nil, jinja.Errorf("the filter %s needs a datetime", name)
			}
			return f(d), nil
		}, req("value"))
	}
	layout := func(l string) func(dateTime) string { return func(d dateTime) string { return d.t.Format(l) } }
	return []*jinja.Func{
		filter("ds", layout(time.DateOnly)), filter("ds_nodash", layout("20060102")),
		filter("ts", dateTime.iso), filter("ts_nodash", layout("20060102T150405")), filter("ts_nodash_with_tz", withTZ),
	}
}
