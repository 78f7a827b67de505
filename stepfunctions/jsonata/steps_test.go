package jsonata_test

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

// TestFunctionsOfStepFunctions holds what AWS adds; the answers are AWS's documented or recorded ones.
func TestFunctionsOfStepFunctions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`$partition([1, 2, 3, 4, 5], 2)`:                `[[1,2],[3,4],[5]]`,
		`$partition([0], 5)`:                            `[[0]]`,
		`$partition([1, 2, 3], 2.9)`:                    `[[1,2],[3]]`,
		`$partition([], 2)`:                             `[]`,
		`$partition([1, 2, 3])`:                         `[[1,2,3]]`,
		`$partition([])`:                                `[]`,
		`$range(0, 10, 2)`:                              `[0,2,4,6,8,10]`,
		`$range(0, 9, 4)`:                               `[0,4,8]`,
		`$range(5, 1, -2)`:                              `[5,3,1]`,
		`$range(1.9, 4.2, 1.5)`:                         `[1,2,3,4]`,
		`$range(1, 9, 9)`:                               `1`,
		`$hash("input data", "SHA-1")`:                  `"aaff4a450a104cd177d28d18d74485e8cae074b7"`,
		`$hash("", "MD5")`:                              `"d41d8cd98f00b204e9800998ecf8427e"`,
		`$length($hash("é", "SHA-384"))`:                `96`,
		`$length($hash("é", "SHA-512"))`:                `128`,
		`"a" ~> $hash("SHA-256")`:                       `"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"`,
		`$random(7) = $random(7)`:                       `true`,
		`$random(7) = $random(7.9)`:                     `true`,
		`$random(7) = $random(8)`:                       `false`,
		`$random() >= 0 and $random() < 1`:              `true`,
		`$parse('{"a": [1.50, {"b": null}]}')`:          `{"a":[1.50,{"b":null}]}`,
		`$parse('{"a": [1.50, {"b": null}]}').a[0] + 1`: `2.5`,
		`$parse("-0")`:                                  `0`,
		`$parse("null")`:                                `null`,
		`$type($parse("[]"))`:                           `"array"`,
		`$sort($shuffle([1..50])) = [1..50]`:            `true`,
		`1 / 0`:                                         `"Infinity"`,
		`[-1 / 0]`:                                      `["-Infinity"]`,
	} {
		if got, defined, err := evaluate(text, nil, jsonata.Limits{}); err != nil || !defined || got.String() != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`$partition([1], 0)`, `$range(1, 2, 0)`, `$range(1, 2, 0.9)`, `$range(1, 2)`, `$parse()`} {
		if got, defined, err := evaluate(text, nil, jsonata.Limits{}); err != nil || defined {
			t.Errorf("%s: got %s (%v), want nothing", text, got, err)
		}
	}
	for text, want := range map[string]string{
		`$partition([1], -1)`:    "Second argument must be zero or greater",
		`$partition("a", 2)`:     `Argument 1 of function "partition" must be an array of undefined`,
		`$partition([1], "2")`:   "Argument 2",
		`$hash("a", "SHA-255")`:  "Hash algorithm 'SHA-255' must be one of SHA-1, SHA-384, SHA-256, SHA-512, MD5",
		`$parse("{")`:            "Invalid JSON",
		`$range("a", 2, 1)`:      "Argument 1",
		`$range(1, 2, null)`:     "Argument 3",
		`$eval("1")`:             "non-function",
		`$range(1, 2, 1, 1)`:     "Argument 4",
		`$hash("a", 1)`:          "Argument 2",
		`$uuid(1)`:               "Argument 1",
		`[1..10000001] ~> $sum`:  "must not exceed 1e7",
		`$toMillis("yesterday")`: "ISO 8601",
	} {
		if _, _, err := evaluate(text, nil, jsonata.Limits{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ...%s...", text, err, want)
		}
	}
}

func TestTheEnvironmentDecidesTimeAndChance(t *testing.T) {
	t.Parallel()
	e := compile(t, `[$uuid(), $string($random()), $string($millis()), $now(), $now("[Y]"), $join($shuffle(["a", "b", "c", "d", "e", "f"]))]`)
	run := func(seed uint64) string {
		v, _, err := e.Eval(&jsonata.Env{Now: now, Random: rand.NewPCG(seed, 0).Uint64})
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	first := run(1)
	if first != run(1) || first == run(2) {
		t.Errorf("chance does not follow the environment: %s", first)
	}
	if !regexp.MustCompile(`^\["[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","0\.\d+","1741064767008","2025-03-04T05:06:07.008Z","2025","[a-f]{6}"\]$`).MatchString(first) {
		t.Errorf("got %s", first)
	}
}

func TestVariablesAndInput(t *testing.T) {
	t.Parallel()
	states, err := jsonvalue.Parse(`{"input":{"n":3.0,"list":[{"v":1},{"v":2}],"big":12345678901234567890}}`)
	if err != nil {
		t.Fatal(err)
	}
	env := &jsonata.Env{Variable: func(name string) (jsonvalue.Value, bool) {
		switch name {
		case "states":
			return states, true
		case "sum":
			return jsonvalue.NewString("hidden"), true
		}
		return jsonvalue.Value{}, false
	}}
	for text, want := range map[string]string{
		`$states.input.n`:              `3.0`, // a literal that only passes through is kept
		`$states.input.n + 1`:          `4`,
		`$states.input.big`:            `12345678901234567890`,
		`$states.input.list.v`:         `[1,2]`,
		`$states.input.list[v = 2]`:    `{"v":2}`,
		`$states.input.list[0].v[]`:    `[1]`,
		`$sum`:                         `"hidden"`,
		`$sum.x`:                       ``,
		`$states.nothing`:              ``,
		`$`:                            ``,
		`$$`:                           ``,
		`a.b`:                          ``,
		`$count($)`:                    `0`,
		`{"n": $states.input.n}`:       `{"n":3.0}`,
		`$states = $states ? "same"`:   `"same"`,
		`($states := 1; $states)`:      `1`,
		`$states.input ~> $keys`:       `["n","list","big"]`,
		`$string($states.input.n)`:     `"3"`,
		`($x := $states; $x.input.n)`:  `3.0`,
		`$states.input.list ~> |$|{}|`: `[{"v":1},{"v":2}]`,
	} {
		v, defined, err := compile(t, text).Eval(env)
		if err != nil || defined != (want != "") || (defined && v.String() != want) {
			t.Errorf("%s: got %s (defined %v, %v), want %s", text, v, defined, err, want)
		}
	}
	if !strings.Contains(states.String(), `[{"v":1},{"v":2}]`) {
		t.Error("an evaluation changed its input")
	}
}

func TestFunctionResultsAreTold(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`$sum`, `function($x){$x}`, `[$sum]`, `{"a": [$uppercase]}`, `/a/`, `$substring(?, 1)`, `|a|{}|`, `$trim ~> $length`} {
		if _, defined, err := compile(t, text).Eval(nil); !errors.Is(err, jsonata.ErrFunctionResult) || defined {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]jsonata.Reference{
		`$states.input.a.b + $x`:                     {{"states", []string{"input", "a", "b"}, 7}, {"x", nil, 22}},
		`$states.result[0].c`:                        {{"states", []string{"result"}, 7}},
		`$states.*.c`:                                {{"states", nil, 7}},
		`$states[0].c`:                               {{"states", nil, 7}},
		`($x := 1; $x + $y)`:                         {{"y", nil, 17}},
		`($x := 1); $x`:                              nil,
		`(($x := 1); $x)`:                            {{"x", nil, 14}},
		`function($a){ $a + $b }`:                    {{"b", nil, 21}},
		`($f := function($n){ $f($n - 1) }; $f(1))`:  nil,
		`$map($list, function($v, $i){ $v })`:        {{"list", nil, 10}},
		`a@$v#$i.{"x": $v, "y": $i, "z": $z}`:        {{"z", nil, 34}},
		`a#$i[$i = $j]`:                              {{"j", nil, 12}},
		`$sum([1]) & $ & $$`:                         nil,
		`{"a": $p}{$q: $r}`:                          {{"p", nil, 8}, {"q", nil, 12}, {"r", nil, 16}},
		`x^($k).{"a": $states.context.Execution.Id}`: {{"k", nil, 5}, {"states", []string{"context", "Execution", "Id"}, 20}},
		`$a ~> |$b|{"x": $c}, $d|`:                   {{"a", nil, 2}, {"b", nil, 9}, {"c", nil, 18}, {"d", nil, 23}},
		`$a ? $b : $c ?? $d ?: $e`:                   {{"a", nil, 2}, {"b", nil, 7}, {"c", nil, 12}, {"d", nil, 18}, {"e", nil, 24}},
		`$f(?, $g)`:                                  {{"f", nil, 2}, {"g", nil, 8}},
		`$states."input"."q r"`:                      {{"states", []string{"input", "q r"}, 7}},
	} {
		e, err := jsonata.Compile(text)
		if err != nil {
			if want != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if d := cmp.Diff(want, e.References()); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestContextReferences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`phone.x[y]`:                         {"phone"},
		`$.phone`:                            {"$"},
		`$$.phone`:                           {"$$"},
		`$states.input.phone[type = "x"]`:    nil,
		`$map($states.a, function($x){ b })`: {"b"},
		`a + b & a`:                          {"a", "b"},
		`$states.a.(b.c)`:                    nil,
		`$states.a[$$.b]`:                    {"$$"},
		`$x^(y){z: w}`:                       nil,
		`{"k": q}`:                           {"q"},
		`* + **`:                             {"*", "**"},
		`$a ~> |b|{"c": d}|`:                 nil,
		`a ? b : c`:                          {"a", "b", "c"},
	} {
		if d := cmp.Diff(want, compile(t, text).ContextReferences()); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestOneExpressionServesManyGoroutines(t *testing.T) {
	t.Parallel()
	e := compile(t, `$sum($states.list.v) + $count($match("aXbXc", /X/))`)
	states, err := jsonvalue.Parse(`{"list":[{"v":1},{"v":2},{"v":3}]}`)
	if err != nil {
		t.Fatal(err)
	}
	env := &jsonata.Env{Now: time.Time{}, Variable: func(name string) (jsonvalue.Value, bool) {
		return states, name == "states"
	}}
	results := make(chan string)
	for range 8 {
		go func() {
			last := ""
			for range 200 {
				v, _, err := e.Eval(env)
				if last = v.String(); err != nil || last != "8" {
					break
				}
			}
			results <- last
		}()
	}
	for range 8 {
		if got := <-results; got != "8" {
			t.Errorf("got %s", got)
		}
	}
}

func compile(t *testing.T, text string) *jsonata.Expr {
	t.Helper()
	e, err := jsonata.Compile(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}
