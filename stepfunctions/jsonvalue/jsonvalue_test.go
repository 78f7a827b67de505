package jsonvalue_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/jsonvalue"
)

func TestRoundTripKeepsOrderAndLiterals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`{"b":1,"a":0.0,"c":[3.3,1e5,-0,12345678901234567890]}`, ""},
		{` { "x" : [ ] , "y" : { } } `, `{"x":[],"y":{}}`},
		{`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		{`"\u00e9\/\n\u001f\u007f<&>"`, "\"é/\\n\\u001F\u007f<&>\""},
		{`"\ud83d\ude00"`, `"😀"`},
		{`"\ud83d"`, "\"\uFFFD\""},
		{"\"\xff\"", "\"\uFFFD\""},
		{`null`, ""}, {`true`, ""}, {`2`, ""}, {`[null,false]`, ""},
	} {
		v, err := jsonvalue.Parse(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		want := c.want
		if want == "" {
			want = c.in
		}
		if v.String() != want {
			t.Errorf("%s: got %s want %s", c.in, v, want)
		}
	}
}

func TestSyntaxErrorsReadLikeJackson(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":               "No content to map due to end-of-input (line 1, column 1)",
		"not json":       "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false') (line 1, column 4)",
		"{'a': 1}":       "Unexpected character (''' (code 39)): was expecting double-quote to start field name (line 1, column 3)",
		"{":              "Unexpected end-of-input (line 1, column 2)",
		`{"a" 1}`:        "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value (line 1, column 7)",
		"[1 2]":          "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries (line 1, column 5)",
		"{\n\"a\":1\nx}": "Unexpected character ('x' (code 120)): was expecting comma to separate Object entries (line 3, column 2)",
		"[1,":            "Unexpected end-of-input (line 1, column 4)",
		"[1":             "Unexpected end-of-input: expected close marker for Array (start marker at line: 1, column: 1) (line 1, column 3)",
		"01":             "Invalid numeric value: Leading zeroes not allowed (line 1, column 3)",
		"1.":             "Unexpected end-of-input (line 1, column 3)",
		"-":              "Unexpected end-of-input (line 1, column 2)",
		"1e":             "Unexpected end-of-input (line 1, column 3)",
		"\"a\nb\"":       "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value (line 1, column 3)",
		`"a`:             "Unexpected end-of-input in VALUE_STRING (line 1, column 3)",
		`"\x"`:           "Unrecognized character escape 'x' (code 120) (line 1, column 4)",
		"{} {}":          "Unexpected character ('{' (code 123)): expected end of input (line 1, column 5)",
		",":              "Unexpected character (',' (code 44)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false') (line 1, column 2)",
	} {
		_, err := jsonvalue.Parse(in)
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", in, got, want)
		}
	}
	if _, err := jsonvalue.Parse(strings.Repeat("[", 100_000)); err == nil {
		t.Error("bottomless nesting was accepted")
	}
}

func TestDocumentKnowsPositionsAndDuplicates(t *testing.T) {
	t.Parallel()
	doc, err := jsonvalue.ParseDocument("{\n  \"a\": [\n    {\"b\": 1}, 2],\n  \"a\": 3}")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]jsonvalue.Position{"": {1, 1}, "/a": {4, 3}, "/a/0": {3, 5}, "/a/0/b": {3, 6}, "/a/1": {3, 15}}
	if d := cmp.Diff(want, doc.Positions); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"/a"}, doc.Duplicates); d != "" {
		t.Error(d)
	}
}

func TestEqualAndCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{`{"a":1,"b":[2]}`, `{"b":[2.0],"a":1.00}`, true},
		{`1e2`, `100`, true},
		{`12345678901234567890`, `12345678901234567891`, false},
		{`[1,2]`, `[2,1]`, false}, {`null`, `0`, false}, {`"1"`, `1`, false}, {`{"a":null}`, `{"b":null}`, false},
	} {
		a, errA := jsonvalue.Parse(c.a)
		b, errB := jsonvalue.Parse(c.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if jsonvalue.Equal(a, b) != c.equal || jsonvalue.Equal(b, a) != c.equal {
			t.Errorf("Equal(%s, %s) is not %v", c.a, c.b, c.equal)
		}
	}
}

func TestLargeObjectsFindTheirKeys(t *testing.T) {
	t.Parallel()
	b := jsonvalue.NewObjectBuilder(0)
	for i := range 1000 {
		b.Set(fmt.Sprint("key", i%500), jsonvalue.NewInt(int64(i)))
	}
	v := b.Value()
	got, ok := v.Get("key499")
	if n, _ := got.Int(); v.Len() != 500 || !ok || n != 999 {
		t.Errorf("len %d, key499 %v", v.Len(), got)
	}
	if changed := v.With("key0", jsonvalue.NewBool(true)); changed.At(0).Kind() != jsonvalue.Bool || v.At(0).Kind() != jsonvalue.Number {
		t.Error("With changed the original or missed the field")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9\n",null,true]}`, `[`, `"\ud800"`, `{"a":1,"a":2}`, " 1 ", "-0.0", "nul", "\"\x80\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := jsonvalue.Parse(text)
		valid := json.Valid([]byte(text))
		if (err == nil) != valid && strings.Count(text, "[")+strings.Count(text, "{") < jsonvalue.MaxDepth {
			t.Fatalf("%q: Parse says %v, encoding/json says valid=%v", text, err, valid)
		}
		if err != nil {
			return
		}
		again, err := jsonvalue.Parse(v.String())
		if err != nil || !jsonvalue.Equal(v, again) || again.String() != v.String() {
			t.Fatalf("%q became %q (%v)", text, v, err)
		}
		if _, err := jsonvalue.ParseDocument(text); err != nil {
			t.Fatalf("%q: with positions: %v", text, err)
		}
	})
}
