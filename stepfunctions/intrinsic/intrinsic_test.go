package intrinsic_test

import (
	"regexp"
	"strings"
	"testing"

	"gust/stepfunctions/intrinsic"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

type env struct{ input jsonvalue.Value }

func (e env) Resolve(p *jsonpath.Path) (jsonvalue.Value, error) {
	v, err := p.Eval(e.input)
	if err != nil {
		return v, missing{e.input, err}
	}
	return v, nil
}

func (e env) Random() uint64 { return 0x0123456789ABCDEF }

type missing struct {
	in  jsonvalue.Value
	err error
}

func (m missing) Error() string          { return m.err.Error() }
func (m missing) Input() jsonvalue.Value { return m.in }

const input = `{"name":"you","n":5,"f":2.5,"list":[1,2,2.0,"2",null,null],"obj":{"a":{"x":1},"b":2},"s":"{\"k\":[1]}","b64":"SGVsbG8=","template":"\\{{}\\}"}`

func TestFunctions(t *testing.T) {
	t.Parallel()
	in, err := jsonvalue.Parse(input)
	if err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		`States.Array()`:                                                         `[]`,
		`States.Array(1, 'a', true, null, $.n)`:                                  `[1,"a",true,null,5]`,
		`States.ArrayPartition($.list, 4)`:                                       `[[1,2,2.0,"2"],[null,null]]`,
		`States.ArrayPartition($.list, 3.6)`:                                     `[[1,2,2.0],["2",null,null]]`,
		`States.ArrayPartition($.list, 0.9)`:                                     `invalid`,
		`States.ArrayPartition($.list, -1)`:                                      `invalid`,
		`States.ArrayPartition($.list, '2')`:                                     `invalid`,
		`States.ArrayPartition($.n, 2)`:                                          `invalid`,
		`States.ArrayContains($.list, 2)`:                                        `true`,
		`States.ArrayContains($.list, 3)`:                                        `false`,
		`States.ArrayContains($.n, 3)`:                                           `invalid`,
		`States.ArrayRange(1, 9, 2)`:                                             `[1,3,5,7,9]`,
		`States.ArrayRange(3, 1, -1)`:                                            `[3,2,1]`,
		`States.ArrayRange(1.6, 1.4, 1)`:                                         `[1]`,
		`States.ArrayRange(5.4, -0.6, -2.4)`:                                     `[5,3,1]`,
		`States.ArrayRange(1, 5, -1)`:                                            `[]`,
		`States.ArrayRange(1, 2, 0.9)`:                                           `invalid`,
		`States.ArrayRange(1, 1001, 1)`:                                          `invalid`,
		`States.ArrayRange('a', 2, 1)`:                                           `invalid`,
		`States.ArrayGetItem($.list, 3)`:                                         `"2"`,
		`States.ArrayGetItem($.list, 3.9)`:                                       `"2"`,
		`States.ArrayGetItem($.list, 6)`:                                         `invalid`,
		`States.ArrayGetItem($.list, -1)`:                                        `invalid`,
		`States.ArrayGetItem(States.Array(), 9)`:                                 `null`,
		`States.ArrayLength($.list)`:                                             `6`,
		`States.ArrayLength($.n)`:                                                `invalid`,
		`States.ArrayUnique($.list)`:                                             `[null,1,2,"2"]`,
		`States.ArrayUnique(States.Array(true, false, true))`:                    `[false,true]`,
		`States.ArrayUnique(States.Array(States.Array(1,2), States.Array(2,1)))`: `[[2,1],[1,2]]`,
		`States.ArrayUnique(States.Array('c', 'b', 'c', 'a'))`:                   `["a","b","c"]`,
		`States.ArrayUnique($.obj)`:                                              `invalid`,
		`States.Base64Encode('Hello')`:                                           `"SGVsbG8="`,
		`States.Base64Encode($.n)`:                                               `invalid`,
		`States.Base64Decode($.b64)`:                                             `"Hello"`,
		`States.Base64Decode(' SGVs*bG8')`:                                       `"Hello"`,
		`States.Base64Decode('SGVsbG8=SGVs')`:                                    `"Hello"`,
		`States.Base64Decode(1)`:                                                 `invalid`,
		`States.Hash('input data', 'SHA-1')`:                                     `"aaff4a450a104cd177d28d18d74485e8cae074b7"`,
		`States.Hash('a', 'MD5')`:                                                `"0cc175b9c0f1b6a831c399e269772661"`,
		`States.Hash('a', 'sha-1')`:                                              `invalid`,
		`States.Hash()`:                                                          `invalid`,
		`States.JsonMerge($.obj, States.StringToJson('{"b":3,"c":4}'), false)`:   `{"a":{"x":1},"b":3,"c":4}`,
		`States.JsonMerge($.obj, $.obj, 'no')`:                                   `{"a":{"x":1},"b":2}`,
		`States.JsonMerge($.obj, $.obj, true)`:                                   `invalid`,
		`States.JsonMerge($.obj, $.list, false)`:                                 `invalid`,
		`States.StringToJson($.s)`:                                               `{"k":[1]}`,
		`States.StringToJson('')`:                                                `null`,
		`States.StringToJson('{bad json}')`:                                      "error: Cannot convert String to Json in States.StringToJson, caused by: Unexpected character ('b' (code 98)): was expecting double-quote to start field name\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]",
		`States.StringToJson('{"a":1')`:                                          "error: Cannot convert String to Json in States.StringToJson, caused by: Unexpected end-of-input: expected close marker for Object (start marker at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1])\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 7]",
		`States.StringToJson('undefined')`:                                       "error: Cannot convert String to Json in States.StringToJson, caused by: Unrecognized token 'undefined': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 10]",
		`States.StringToJson($.n)`:                                               `invalid`,
		`States.JsonToString($.obj)`:                                             `"{\"a\":{\"x\":1},\"b\":2}"`,
		`States.MathAdd($.n, -1)`:                                                `4`,
		`States.MathAdd($.f, 2.5)`:                                               `6`,
		`States.MathAdd(-1.5, 0)`:                                                `-1`,
		`States.MathAdd(2147483647, 1)`:                                          `invalid`,
		`States.MathAdd(3000000000, 1)`:                                          `invalid`,
		`States.MathAdd('1', 1)`:                                                 `invalid`,
		`States.MathAdd(1)`:                                                      `invalid`,
		`States.MathRandom(1, 1.9)`:                                              `invalid`,
		`States.MathRandom(1, 9, null)`:                                          `invalid`,
		`States.MathRandom(1)`:                                                   `invalid`,
		`States.StringSplit(',a,b;;c', ',;')`:                                    `["a","b","c"]`,
		`States.StringSplit('', ',')`:                                            `[]`,
		`States.StringSplit($.n, $.name)`:                                        `invalid`,
		`States.Format('Hi {}, {} {} {}', $.name, $.n, $.obj.a, null)`:           `"Hi you, 5 {\"x\":1} null"`,
		`States.Format('it\'s \{\} {} \\', 'me')`:                                `"it's {} me \\"`,
		`States.Format($.template, 1)`:                                           `"{1}"`,
		`States.Format('{}')`:                                                    `error: Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.`,
		`States.Format('x', 1)`:                                                  `error: Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.`,
		`States.Format('Hi {', 1)`:                                               `error: Invalid template in States.Format: matching '}' not found for '{'.`,
		`States.Format('}')`:                                                     `error: Invalid template in States.Format: matching '{' not found for '}'.`,
		`States.Format()`:                                                        `invalid`,
		`States.Format($.n)`:                                                     `invalid`,
		`States.Array($.list[0], $['name'], States.Array(States.MathAdd(1,1)))`:  `[1,"you",[2]]`,
		`States.Array(States.ArrayLength(1))`:                                    `error: Invalid arguments in States.ArrayLength`,
		`States.Array($.missing.x)`:                                              `error: The JsonPath argument for the field '$.missing.x' could not be found in the input '` + input + `'`,
	} {
		if want == "invalid" {
			want = "error: Invalid arguments in " + call[:strings.IndexByte(call, '(')]
		}
		c, err := intrinsic.Parse(call)
		if err != nil {
			t.Errorf("%s: %v", call, err)
			continue
		}
		v, err := c.Eval(env{in})
		got := v.String()
		if e, ok := err.(*intrinsic.Error); ok { //nolint:errorlint // the exact type is promised
			got = "error: " + e.Reason
			full := "There was an error while evaluating the intrinsic function: " + call + ". " + e.Reason
			if e.Missing {
				full = "The function '" + call + "' had the following error: " + e.Reason
			}
			if e.Error() != full || e.Missing != strings.HasPrefix(e.Reason, "The JsonPath argument") {
				t.Errorf("%s: %v", call, e)
			}
		} else if err != nil {
			t.Errorf("%s: unexpected error %v", call, err)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", call, got, want)
		}
	}
}

func TestRandomFunctions(t *testing.T) {
	t.Parallel()
	call := func(text string) string {
		c, err := intrinsic.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Eval(env{})
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	if id := call("States.UUID()"); !regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`).MatchString(id) {
		t.Errorf("uuid %s", id)
	}
	// java.util.Random(42): nextInt(10) is 0, nextInt(8) takes the highest bits.
	if a, b := call("States.MathRandom(1, 11, 42)"), call("States.MathRandom(0, 8, 42.5)"); a != "1" || b != "5" {
		t.Errorf("seeded numbers %s and %s", a, b)
	}
	if a, b := call("States.MathRandom(1, 1000, 42)"), call("States.MathRandom(1, 1000, 42)"); a != b {
		t.Errorf("the same seed gave %s and %s", a, b)
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat("States.Array(", 11) + strings.Repeat(")", 11)
	for text, want := range map[string]string{
		"States.Nope()":       `unknown function "States.Nope"`,
		"States.Array":        "expected ( after the function's name",
		"States.Array('a)":    "unterminated string",
		`States.Array('a\n')`: `a backslash must be followed by ', {, } or \`,
		"States.Array(a)":     "expected a 'string', a number, true, false, null, a path or a function call",
		"States.Array(1 2)":   "expected , or )",
		"States.Array(1) x":   "unexpected text after the call",
		"States.Array(1,":     "expected an argument",
		"States.Array($.)":    `invalid JSONPath "$." at offset 2: a name must follow the dot`,
		nested:                "calls may nest at most 10 deep",
	} {
		_, err := intrinsic.Parse(text)
		var got string
		if e, ok := err.(*intrinsic.SyntaxError); ok { //nolint:errorlint // the exact type is promised
			got = e.Message
		}
		if got != want {
			t.Errorf("%s: got %q want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`States.Format('a \'{}\' {}', $.a[?(@.b == 'c,)')], States.Array(1, null))`, `States.Array($x, $$.y)`, `States.UUID()`, "States."} {
		f.Add(s)
	}
	in, err := jsonvalue.Parse(input)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := intrinsic.Parse(text)
		if err != nil {
			return
		}
		if v, err := c.Eval(env{in}); err == nil {
			if _, err := jsonvalue.Parse(v.String()); err != nil {
				t.Fatalf("%q yields %q, which is not JSON: %v", text, v, err)
			}
		}
	})
}
