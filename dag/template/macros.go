package template

import (
	"fmt"
	"strings"
	"time"

	"gust/dag/template/pytime"
	"gust/dag/template/pyvalue"
)

var (
	req = pyvalue.Req
	opt = pyvalue.Opt
)

// macrosObject is the variable macros. Its parts are made when they are used.
type macrosObject struct{ v *Vars }

func (o *macrosObject) TypeName() string { return "macros" }

var macroNames = strings.Fields(`datetime timedelta dateutil time uuid random json ds_add ds_format ds_format_locale
datetime_diff_for_humans`)

func (o *macrosObject) AttrNames() []string { return macroNames }

func (o *macrosObject) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	switch name {
	case "datetime":
		return pytime.DateTimeClass(o.v.now), true, nil
	case "timedelta":
		return pytime.TimeDeltaClass(), true, nil
	case "dateutil":
		return pytime.DateutilModule(), true, nil
	case "time":
		return pytime.TimeModule(o.v.now), true, nil
	case "uuid":
		return uuidModule(o.v), true, nil
	case "random":
		return randomModule(o.v), true, nil
	case "json":
		return jsonModule(), true, nil
	case "ds_add":
		return pyvalue.NewFunc(name, dsAdd, req("ds"), req("days")), true, nil
	case "ds_format":
		return pyvalue.NewFunc(name, dsFormat, req("ds"), req("input_format"), req("output_format")), true, nil
	case "ds_format_locale":
		return pyvalue.NewFunc(name, dsFormat, req("ds"), req("input_format"), req("output_format"),
			opt("locale", nil)), true, nil
	case "datetime_diff_for_humans":
		return pyvalue.NewFunc(name, o.v.diffForHumans, req("dt"), opt("since", nil)), true, nil
	}
	return nil, false, nil
}

func dsAdd(_ *pyvalue.State, a []any) (any, error) {
	d, err := pytime.Strptime(a[0], "%Y-%m-%d")
	if err != nil {
		return nil, err
	}
	days, err := pyvalue.Int(a[1], "days")
	if err != nil {
		return nil, err
	}
	if days > 1e7 || days < -1e7 {
		return nil, pyvalue.Errorf("days is too large")
	}
	d, err = d.AddDays(days)
	return d.Time().Format(time.DateOnly), err
}

// diffForHumans says how far a date lies from another, or from now.
func (v *Vars) diffForHumans(_ *pyvalue.State, a []any) (any, error) {
	d, err := pytime.Moment(a[0])
	if err != nil {
		return nil, err
	}
	if a[1] != nil {
		since, err := pytime.Moment(a[1])
		return pytime.Humanize(d.Time(), since.Time(), "after", "before"), err
	}
	now, err := v.now()
	out := pytime.Humanize(d.Time(), now, "ahead", "ago")
	if rest, ok := strings.CutSuffix(out, " ahead"); ok {
		out = "in " + rest
	}
	return out, err
}

func dsFormat(_ *pyvalue.State, a []any) (any, error) {
	input, err := pyvalue.Text(a[1], "the input format")
	if err != nil {
		return nil, err
	}
	output, err := pyvalue.Text(a[2], "the output format")
	if err != nil {
		return nil, err
	}
	d, err := pytime.Strptime(a[0], input)
	if err != nil {
		return nil, err
	}
	return d.Format(output)
}

func (v *Vars) now() (time.Time, error) {
	if v.Now.IsZero() {
		return v.Now, pyvalue.Errorf("there is no clock here")
	}
	return v.Now.UTC().Truncate(time.Microsecond), nil
}

// uuidModule gives the same sequence whenever the same attempt renders, so that a repeated attempt repeats its work.
func uuidModule(v *Vars) *pyvalue.Module {
	return pyvalue.NewModule("uuid", nil, pyvalue.NewFunc("uuid4", func(*pyvalue.State, []any) (any, error) {
		hi, lo := v.random().Uint64(), v.random().Uint64()
		hi = hi&^0xf000 | 0x4000
		lo = lo&^(3<<62) | 2<<62
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff), nil
	}))
}

// randomModule is both Airflow's macros.random, the function, and Python's module of that name.
func randomModule(v *Vars) *pyvalue.Module {
	float := pyvalue.NewFunc("random", func(*pyvalue.State, []any) (any, error) { return v.random().Float64(), nil })
	return pyvalue.NewModule("random", float, float,
		pyvalue.NewFunc("randint", func(_ *pyvalue.State, a []any) (any, error) {
			lo, err := pyvalue.Int(a[0], "a")
			if err != nil {
				return nil, err
			}
			hi, err := pyvalue.Int(a[1], "b")
			if err == nil && (hi < lo || hi-lo < 0 || hi-lo+1 <= 0) {
				err = pyvalue.Errorf("randint() needs a range that is not empty")
			}
			if err != nil {
				return nil, err
			}
			return lo + v.random().IntN(hi-lo+1), nil
		}, req("a"), req("b")),
		pyvalue.NewFunc("uniform", func(_ *pyvalue.State, a []any) (any, error) {
			lo, err := pyvalue.Float(a[0], "a")
			if err != nil {
				return nil, err
			}
			hi, err := pyvalue.Float(a[1], "b")
			return lo + v.random().Float64()*(hi-lo), err
		}, req("a"), req("b")),
		pyvalue.NewFunc("choice", func(st *pyvalue.State, a []any) (any, error) {
			items, err := st.Iterate(a[0])
			if err == nil && len(items) == 0 {
				err = pyvalue.Errorf("choice() needs a sequence that is not empty")
			}
			if err != nil {
				return nil, err
			}
			return items[v.random().IntN(len(items))], nil
		}, req("seq")),
	)
}

func jsonModule() *pyvalue.Module {
	return pyvalue.NewModule("json", nil,
		pyvalue.NewFunc("dumps", func(st *pyvalue.State, a []any) (any, error) {
			indent := -1
			if a[1] != nil {
				n, err := pyvalue.Int(a[1], "indent")
				if err != nil {
					return nil, err
				}
				indent = max(0, min(n, 64))
			}
			return st.JSON(a[0], indent, a[2] == true)
		}, req("obj"), opt("indent", nil), opt("sort_keys", false)),
		pyvalue.NewFunc("loads", func(_ *pyvalue.State, a []any) (any, error) {
			s, err := pyvalue.Text(a[0], "the JSON text")
			if err != nil {
				return nil, err
			}
			v, err := pyvalue.DecodeJSON([]byte(s))
			if err != nil {
				return nil, pyvalue.Errorf("the text is not JSON: %v", err)
			}
			return v, nil
		}, req("s")),
	)
}

// withTZ is ts_nodash_with_tz.
func withTZ(d pytime.DateTime) string { return strings.NewReplacer("-", "", ":", "").Replace(d.ISO()) }

// dateFilters are Airflow's filters. None stays None.
func dateFilters() []*pyvalue.Func {
	filter := func(name string, f func(pytime.DateTime) string) *pyvalue.Func {
		return pyvalue.NewFunc(name, func(_ *pyvalue.State, a []any) (any, error) {
			if a[0] == nil {
				return nil, nil
			}
			d, err := pytime.Moment(a[0])
			if err != nil {
				return nil, pyvalue.Errorf("the filter %s needs a datetime", name)
			}
			return f(d), nil
		}, req("value"))
	}
	layout := func(l string) func(pytime.DateTime) string {
		return func(d pytime.DateTime) string { return d.Time().Format(l) }
	}
	return []*pyvalue.Func{
		filter("ds", layout(time.DateOnly)), filter("ds_nodash", layout("20060102")),
		filter("ts", pytime.DateTime.ISO), filter("ts_nodash", layout("20060102T150405")),
		filter("ts_nodash_with_tz", withTZ),
	}
}
