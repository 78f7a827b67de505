package dagfile

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"
)

// Readers turn a value into a Go value. On a wrong type they report it and return false.

func (b *builder) mismatch(v *value, path, expected string) {
	b.fail(v.pos, path, Problem{Message: "wrong type: " + v.describe(), Expected: expected})
}

func (b *builder) text(v *value, path string) (string, bool) {
	s, ok := v.text()
	if !ok {
		b.mismatch(v, path, "a string")
	}
	return s, ok
}

// words reads a string or a list of strings.
func (b *builder) words(v *value, path, expected string) ([]string, bool) {
	v = b.plain(v, path)
	if s, ok := v.text(); ok {
		return []string{s}, true
	}
	if v.kind != kindList {
		b.mismatch(v, path, expected)
		return nil, false
	}
	out := make([]string, 0, len(v.items))
	for i, item := range v.items {
		s, ok := item.text()
		if !ok {
			b.mismatch(item, fmt.Sprintf("%s[%d]", path, i), "a string")
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

func (b *builder) boolean(v *value, path string) (bool, bool) {
	x, ok := v.data.(bool)
	if !ok {
		b.mismatch(v, path, "a bool")
	}
	return x, ok
}

// whole reads an integer of at least least.
func (b *builder) whole(v *value, path string, least int) (int, bool) {
	n, ok := v.data.(int64)
	switch {
	case !ok:
		b.mismatch(v, path, "a whole number")
	case n > math.MaxInt32:
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("%d is too large", n), Expected: fmt.Sprintf("at most %d", math.MaxInt32),
		})
		ok = false
	case n < int64(least):
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("%d is out of range", n), Expected: fmt.Sprintf("a whole number of at least %d", least),
		})
		ok = false
	}
	return int(n), ok
}

func atLeast(least int) func(*builder, *value, string) (int, bool) {
	return func(b *builder, v *value, path string) (int, bool) { return b.whole(v, path, least) }
}

const durationWords = "a timedelta, a number of seconds, or a text such as \"90s\""

// duration reads a length of time that is not negative.
func (b *builder) duration(v *value, path string) (time.Duration, bool) {
	d, ok := b.signedDuration(v, path)
	if ok && d < 0 {
		b.fail(v.pos, path, Problem{Message: fmt.Sprintf("%s is negative", d), Expected: durationWords})
		return 0, false
	}
	return d, ok
}

// period reads a length of time greater than zero.
func (b *builder) period(v *value, path string) (time.Duration, bool) {
	d, ok := b.duration(v, path)
	if ok && d == 0 {
		b.fail(v.pos, path, Problem{Message: "the duration is zero", Expected: "a duration greater than zero"})
		return 0, false
	}
	return d, ok
}

func (b *builder) signedDuration(v *value, path string) (time.Duration, bool) {
	if name := v.typeName(); name != "" {
		if className(name) != "timedelta" {
			b.mismatch(v, path, durationWords)
			return 0, false
		}
		return b.timedelta(v, path)
	}
	if n, ok := v.number(); ok {
		d, err := seconds(n)
		if err != nil {
			b.fail(v.pos, path, Problem{Message: err.Error(), Expected: durationWords})
		}
		return d, err == nil
	}
	s, ok := v.text()
	if !ok {
		b.mismatch(v, path, durationWords)
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		b.fail(v.pos, path, Problem{Message: fmt.Sprintf("%q is not a duration", clip(s)), Expected: durationWords})
	}
	return d, err == nil
}

// seconds converts a number of seconds, to the microsecond as Python's timedelta.
func seconds(n float64) (time.Duration, error) {
	if math.IsNaN(n) || math.Abs(n) > 9e9 {
		return 0, fmt.Errorf("%g seconds is out of range", n)
	}
	return time.Duration(math.RoundToEven(n*1e6)) * time.Microsecond, nil
}

// oneOf reads a string that must be among the choices.
func (b *builder) oneOf(v *value, path string, choices []string) (string, bool) {
	s, ok := b.text(v, path)
	if !ok {
		return "", false
	}
	for _, c := range choices {
		if s == c {
			return s, true
		}
	}
	b.fail(v.pos, path, Problem{
		Message: fmt.Sprintf("%q is not a legal value", clip(s)), Expected: "one of " + strings.Join(choices, ", "),
		Nearest: b.nearest(s, choices),
	})
	return "", false
}

// dict reads a dict; null is an empty one.
func (b *builder) dict(v *value, path, expected string) (*value, bool) {
	if v.isNull() {
		return newDict(b.pos, nil), true
	}
	if v.kind != kindDict || v.typeName() != "" {
		b.mismatch(v, path, expected)
		return nil, false
	}
	return v, true
}

// json converts a value to pure JSON: nil, bool, int64, float64, json.Number (integers beyond int64), string, []any or
// map[string]any. Durations become texts such as "1m30s", dates "2024-11-11", datetimes RFC 3339.
func (b *builder) json(v *value, path string) (any, bool) {
	if b.objects && v.typeName() != "" && className(v.typeName()) != "list" {
		return b.jsonEntries(v, path)
	}
	v = b.plain(v, path)
	switch v.kind {
	case kindNull:
		return nil, true
	case kindBool, kindText:
		return v.data, true
	case kindInt:
		if n, big := v.data.(*big.Int); big {
			return json.Number(n.String()), true
		}
		return v.data, true
	case kindFloat:
		f := v.data.(float64)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			b.fail(v.pos, path, Problem{Message: pythonFloat(f) + " has no JSON form", Expected: "a finite number"})
			return nil, false
		}
		return f, true
	case kindDate:
		return v.data.(time.Time).Format(time.DateOnly), true
	case kindDateTime:
		t := v.data.(time.Time)
		if t.Location() == unzoned {
			return t.Format("2006-01-02T15:04:05.999999999Z"), true
		}
		return t.Format(time.RFC3339Nano), true
	case kindList:
		return b.jsonList(v, path)
	}
	return b.jsonDict(v, path)
}

func (b *builder) jsonList(v *value, path string) (any, bool) {
	out, good := make([]any, len(v.items)), true
	for i, item := range v.items {
		x, ok := b.json(item, fmt.Sprintf("%s[%d]", path, i))
		out[i], good = x, good && ok
	}
	return out, good
}

func (b *builder) jsonDict(v *value, path string) (any, bool) {
	if name := v.typeName(); name != "" {
		if className(name) == "timedelta" {
			d, ok := b.timedelta(v, path)
			return d.String(), ok
		}
		b.fail(v.pos, path, Problem{
			Message:  fmt.Sprintf("objects of type %s are not supported here", name),
			Expected: "a JSON value, a timedelta, a date or a datetime",
		})
		return nil, false
	}
	if e := combinator(v); e != nil {
		b.fail(e.pos, path, Problem{
			Message:  e.key + " combines assets, texts, whole numbers or bools",
			Expected: "a list of them as its only key; assets belong into schedule",
		})
		return nil, false
	}
	return b.jsonEntries(v, path)
}

func (b *builder) jsonEntries(v *value, path string) (any, bool) {
	out, good := make(map[string]any, len(v.keys)), true
	for _, e := range v.keys {
		x, ok := b.json(e.val, path+"."+e.key)
		out[e.key], good = x, good && ok
	}
	return out, good
}

// jsonText is the JSON text of a converted value.
func (b *builder) jsonText(x any, v *value, path string) json.RawMessage {
	raw, err := json.Marshal(x)
	if err != nil {
		b.errorf(v.pos, path, "cannot be written as JSON: %v", err)
		return nil
	}
	return raw
}
