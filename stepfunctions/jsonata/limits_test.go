package jsonata_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

// How the messages of the bounds begin; none says that no bound may be hit, "" that any may.
const (
	deep = "Stack overflow error"
	long = "Expression evaluation timeout"
	big  = "Expression evaluation memory limit exceeded"
	none = "none"
)

// bounded are expressions without end or measure, and some that AWS was seen to accept.
var bounded = map[string]string{
	`($f := function($x){ $f($x + 1) }; $f(1))`:                                                   long,
	`($f := function($x){ 1 + $f($x) }; $f(1))`:                                                   deep,
	`($f := function($x){ $g($x) }; $g := function($x){ $f($x) }; $f(1))`:                         long,
	`($p := function($s, $n){ $n = 0 ? $s : $p($s & $s, $n - 1) }; $p("x", 40))`:                  big,
	`($p := function($s, $n){ $n = 0 ? $s : $p([$s, $s], $n - 1) }; $p([1], 60))`:                 "",
	`($p := function($s, $n){ $n = 0 ? $string($s) : $p([$s, $s], $n - 1) }; $p([1], 60))`:        "",
	`($p := function($s, $n){ $n = 0 ? $s.**  : $p([$s, $s], $n - 1) }; $p([1], 60))`:             "",
	`($p := function($s, $n){ $n = 0 ? $s = $s & "" : $p([$s, $s], $n - 1) }; $p([1], 60))`:       "",
	`($p := function($s, $n){ $n = 0 ? {"a": $s}.* : $p([$s, $s], $n - 1) }; $p([1], 60))`:        "",
	`($p := function($s, $n){ $n = 0 ? $s : $p([[$s]], $n - 1) }; $p([1], 100000))`:               "",
	`($p := function($s, $n){ $n = 0 ? $string($s) : $p([[$s]], $n - 1) }; $p([1], 100000))`:      "",
	`($p := function($s, $n){ $n = 0 ? $s.**  : $p([[$s]], $n - 1) }; $p([1], 100000))`:           "",
	`($p := function($g, $n){ $n = 0 ? $g(1) : $p($g ~> $string, $n - 1) }; $p($string, 100000))`: "",
	`[1..900000]`:                                big,
	`$sum([1..873783])`:                          big,
	`[1..873782].[1..873782]`:                    "",
	`$pad("", 10000000)`:                         big,
	`$pad("", 1e300)`:                            big,
	`$range(1, 1e15, 1)`:                         big,
	`$join([1..800000].("0123456789"))`:          big,
	`$match($pad("", 40, "a") & "b", /^(a+)+$/)`: long,
	`[1..2000].([1..2000])`:                      big,
	`[1..800].([1..800].([1..800]))`:             "",
	`$map([1..10000], function($i){ $map([1..10000], function($j){ $i * $j }) })`: "",
	`[1..5000]^($$)`: none,
	strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200):                             deep,
	`($f := function($n){ $n = 0 ? 0 : 1 + $f($n - 1) }; $f(20))`:                         none,
	`($f := function($n){ $n = 0 ? 0 : 1 + $f($n - 1) }; $f(60))`:                         deep,
	"1" + strings.Repeat("+1", 200):                                                       deep,
	"1" + strings.Repeat("+1", 90):                                                        none,
	`$count([1..873782])`:                                                                 none,
	`($p := function($s, $n){ $n = 0 ? $s : $p($s & $s, $n - 1) }; $length($p("x", 22)))`: none,
	`$count($reduce([1..20000], $append))`:                                                none,
}

func TestBoundsStopWhatWouldNotEnd(t *testing.T) {
	t.Parallel()
	for text, want := range bounded {
		start := time.Now()
		limits := jsonata.Limits{}
		if want != none && want != big {
			limits.Steps = 1_000_000
		}
		_, _, err := evaluate(text, nil, limits)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%.100s: took %v", text, took)
		}
		if want == none {
			if err != nil {
				t.Errorf("%.100s: %v", text, err)
			}
			continue
		}
		var fault *jsonata.Error
		if !errors.As(err, &fault) || fault.Code != "" || !strings.HasPrefix(fault.Message, want) {
			t.Errorf("%.100s: got %v, want %s...", text, err, want)
		}
	}
}

func TestTheParserRefusesBottomlessNesting(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("(", 100_000), strings.Repeat("[", 100_000), strings.Repeat("-", 100_000) + "1", strings.Repeat("{'a':", 100_000),
		"1" + strings.Repeat("+1", 100_000), "a" + strings.Repeat(".a", 100_000), "a" + strings.Repeat("[0]", 100_000),
		strings.Repeat("a?", 100_000), strings.Repeat("function(){", 100_000), strings.Repeat("$a:=", 100_000),
	} {
		if _, err := jsonata.Compile(text); err == nil {
			t.Errorf("%.20s... was accepted", text)
		}
	}
}

func TestTheDeadlineStopsAnEvaluation(t *testing.T) {
	t.Parallel()
	_, _, err := evaluate(`($f := function($x){ $f($x + 1) }; $f(1))`, nil, jsonata.Limits{Steps: 1 << 40, Time: 20 * time.Millisecond})
	var fault *jsonata.Error
	if !errors.As(err, &fault) || fault.Code != "" {
		t.Errorf("got %v", err)
	}
}

func FuzzEval(f *testing.F) {
	for _, text := range []string{
		`a.b[0]{c: d}^(>e)`, `$map([1..3], function($x, $i){ $x * $i })`, `a@$x#$i.%.b`, `|a|{"b": 1}, "c"|`, `/a(b)*/i`,
		`$substring(?, 1)("abc")`, `a ? b : c ?? d ?: e`, `$formatNumber(1.5, "#0.00")`, `function($x)<s-:n>{$x}(1)`,
		`($f := function($n){ $n < 1 ? 1 : $n * $f($n - 1) }; $f(5))`, `**.*[]`, `"\ud83d\ude00" & 'x'`, "`a b`", `[[1], [2..4]]`,
		`$replace("aXa", /X/, "$0$1$$")`, `$split("a,b", /,/)`, `$parse('{"a": [1]}')`, `$zip([1], [2])`, `/* c */ 1`,
	} {
		f.Add(text, `{"a": [{"b": 1, "c": "x"}, {"b": [2, 3]}], "d": null, "e": ""}`)
	}
	f.Fuzz(func(t *testing.T, text, input string) {
		e, err := jsonata.Compile(text)
		if err != nil {
			return
		}
		e.References()
		e.ContextReferences()
		env := &jsonata.Env{Limits: jsonata.Limits{Steps: 100_000, Bytes: 16 << 20}}
		if v, err := jsonvalue.Parse(input); err == nil {
			env.Input, env.HasInput = v, true
		}
		first, defined, err := e.Eval(env)
		again, definedAgain, errAgain := e.Eval(env)
		if (err == nil) != (errAgain == nil) || defined != definedAgain || first.String() != again.String() {
			t.Fatalf("%q: %s, then %s (%v, %v)", text, first, again, err, errAgain)
		}
	})
}
