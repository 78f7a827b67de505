package pyvalue

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func testState(t testing.TB) *State {
	t.Helper()
	return NewState(t.Context(), Limits{}, NewMethods(), nil)
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	const text = `{"z": [1, 2.5, null, true, "\u00e9\n"], "a": {}, "b": [], "big": 1e+300}`
	v, err := DecodeJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	st := NewState(t.Context(), Limits{}, NewMethods(), nil)
	got, err := st.JSON(v, -1, false)
	if err != nil || got != text {
		t.Errorf("got %s, %v", got, err)
	}
	out, err := Export(v)
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var again any
	if err := json.Unmarshal(back, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{", "[1", "1 2", "{'a': 1}"} {
		if v, err := DecodeJSON([]byte(bad)); err == nil {
			t.Errorf("%q decoded to %v", bad, v)
		}
	}
}

// TestDictKeepsOrder compares a Dict with a plain list of entries.
func TestDictKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, want := NewDict(0), []any{}
		value := map[int]int{}
		for i := range rapid.IntRange(0, 60).Draw(t, "operations") {
			k := rapid.IntRange(0, 8).Draw(t, "key")
			_, had := value[k]
			if rapid.Bool().Draw(t, "delete") {
				if _, ok := d.Delete(float64(k)); ok != had {
					t.Fatalf("Delete(%d) said %v, want %v", k, ok, had)
				}
				delete(value, k)
				want = without(want, k)
				continue
			}
			d.Set(k, i)
			value[k] = i
			if !had {
				want = append(want, k)
			}
		}
		if diff := cmp.Diff(want, d.Keys()); diff != "" || d.Len() != len(want) {
			t.Fatalf("length %d, keys: %s", d.Len(), diff)
		}
		for _, k := range want {
			if v, ok := d.Get(k); !ok || v != value[k.(int)] {
				t.Fatalf("Get(%v) is %v, %v; want %v", k, v, ok, value[k.(int)])
			}
		}
	})
}

func without(list []any, v any) []any {
	out := []any{}
	for _, item := range list {
		if item != v {
			out = append(out, item)
		}
	}
	return out
}

// TestKeysAreHashedAsInPython: 1, 1.0 and True are one key, the text '1' and a tuple are others.
func TestKeysAreHashedAsInPython(t *testing.T) {
	t.Parallel()
	d := NewDict(0)
	for _, k := range []any{1, 1.0, true, "1", Tuple{1}, Tuple{1.0}, nil, 0, false} {
		if !d.Set(k, "x") {
			t.Errorf("%v is refused as a key", k)
		}
	}
	if diff := cmp.Diff([]any{1, "1", Tuple{1}, nil, 0}, d.Keys()); diff != "" {
		t.Error(diff)
	}
	if d.Set(&List{}, "x") || d.Set(Tuple{NewDict(0)}, "x") {
		t.Error("a list and a dict cannot be keys")
	}
}

func TestRepr(t *testing.T) {
	t.Parallel()
	d := NewDict(2)
	d.Set("b", 1.0)
	d.Set(Tuple{1}, nil)
	for want, v := range map[string]any{
		"None": nil, "True": true, "-3": -3, "1e+16": 1e16, "1.5": 1.5, "nan": math.NaN(), `'it\n'`: "it\n", `"it's"`: "it's",
		"[1, 'a']": &List{Items: []any{1, "a"}}, "(1,)": Tuple{1}, "()": Tuple{}, "{'b': 1.0, (1,): None}": d,
		"range(0, 3)": Range{Stop: 3, Step: 1}, "('k', [])": &NamedTuple{Fields: []string{"grouper", "list"}, Items: Tuple{"k", &List{}}},
	} {
		if got, err := testState(t).Repr(v); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

func TestNamedTupleIsATuple(t *testing.T) {
	t.Parallel()
	st := testState(t)
	v := &NamedTuple{Fields: []string{"grouper", "list"}, Items: Tuple{"k", 7}}
	for name, get := range map[string]func() (any, error){
		"attribute": func() (any, error) { return st.Attr(v, "list") },
		"index":     func() (any, error) { return st.Item(v, 1) },
		"from end":  func() (any, error) { return st.Item(v, -1) },
		"unpacked":  func() (any, error) { items, err := st.Unpack(v, 2); return items[1], err },
	} {
		if got, err := get(); err != nil || got != 7 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if n, ok := Len(v); n != 2 || !ok {
		t.Errorf("length %d, %v", n, ok)
	}
	if out, err := Export(v); err != nil || !cmp.Equal(out, any([]any{"k", 7})) {
		t.Errorf("exported %v, %v", out, err)
	}
}

func TestUnpackCounts(t *testing.T) {
	t.Parallel()
	_, err := testState(t).Unpack(Tuple{1}, 2)
	if err == nil || err.Error() != "1 value to unpack into 2 names" {
		t.Errorf("got %v", err)
	}
}

func TestCallBindsAsPython(t *testing.T) {
	t.Parallel()
	f := NewFunc("f", func(_ *State, a []any) (any, error) { return &List{Items: a}, nil }, Req("a"), Opt("b", 2), Opt("c", nil))
	for _, c := range []struct {
		args   []any
		names  []string
		values []any
		want   string
	}{
		{[]any{1}, nil, nil, "[1, 2, None]"},
		{[]any{1}, []string{"c"}, []any{3}, "[1, 2, 3]"},
		{nil, nil, nil, `f() needs the argument "a"`},
		{[]any{1, 2, 3, 4}, nil, nil, "f() takes 3 arguments, got 4"},
		{[]any{1}, []string{"a"}, []any{1}, `f() got the argument "a" twice`},
		{[]any{1}, []string{"bb"}, []any{1}, `f() has no argument "bb" (available: a, b, c)`},
		{[]any{NewUndefined(Errorf("nothing here"))}, nil, nil, "nothing here"},
	} {
		st := testState(t)
		v, err := f.Call(st, c.args, c.names, c.values)
		var got string
		if err == nil {
			got, err = st.Repr(v)
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, seed := range []string{"%s", "%5.2f|%-8s", "%(k)d", "{}", "{0!r:>8}", "{k:,}", "{:{w}}", "%", "{", "%*d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, format string) {
		d := NewDict(2)
		d.Set("k", 12345)
		d.Set("w", 9)
		st := NewState(t.Context(), Limits{Output: 1 << 14}, NewMethods(), nil)
		for _, arg := range []any{d, Tuple{1, "two", 3.5}, "x"} {
			if v, err := st.Percent(format, arg); err == nil && len(v.(string)) > 1<<14 {
				t.Errorf("%q %% %v exceeds the limit", format, arg)
			}
		}
		if v, err := st.strFormat(format, []any{1, "two", 3.5}, d); err == nil && len(v.(string)) > 1<<14 {
			t.Errorf("%q.format exceeds the limit", format)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{"b": [1, 2.5, null], "a": "\u00e9"}`, `[`, `1e999`, `99999999999999999999`, `"\ud800"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := DecodeJSON([]byte(text))
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is not JSON but decodes to %v", text, v)
		}
		if _, err := Export(v); err != nil && !strings.Contains(err.Error(), "too deeply") {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
