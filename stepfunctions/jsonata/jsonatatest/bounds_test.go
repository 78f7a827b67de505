package jsonatatest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

// Expressions that end nowhere, or not soon, are stopped by the limits, and without waiting for a clock: the bound is on
// steps, depth and memory.
func TestEndlessExpressionsAreStopped(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"recursion without end":                  `($f := function($x){1 + $f($x + 1)}; $f(0))`,
		"recursion in tail position":             `($f := function($x){$f($x + 1)}; $f(0))`,
		"two functions that call the other":      `($f := function($x){$g($x)}; $g := function($x){$f($x)}; $f(1))`,
		"recursion through a library function":   `($f := function($x){$map([1, 2], $f)}; $f(0))`,
		"composition of itself":                  `($f := function($x){$x ~> $f}; $f(1))`,
		"a fixed point combinator":               `(function($x){$x($x)}(function($x){$x($x)}))`,
		"exponential recursion":                  `($fib := function($n){$n < 2 ? $n : $fib($n - 1) + $fib($n - 2)}; $fib(45))`,
		"exponential regular expression":         `$contains($pad("", 40, "a") & "!", /^(a+)+$/)`,
		"regular expression with nested choices": `$match($pad("", 5000, "a") & "b", /(a|aa|a?)+$/)`,
		"ten million items":                      `$sum($map([1..10000000], function($v){$v * $v}))`,
		"ten million items in small parts":       `$sum([1..3200].($sum([1..3200])))`,
		"a product of arrays":                    `$count([1..2000].([1..2000].([1..2000])))`,
		"a join without condition":               `$count($map([1..3000], function($x){$map([1..3000], function($y){[$x, $y]})}))`,
		"text that doubles":                      `$reduce([1..60], function($s, $i){$s & $s}, "x")`,
		"an array that doubles":                  `$reduce([1..60], function($a, $i){$append($a, $a)}, [1])`,
		"text that is padded":                    `$length($pad("x", 1000000000))`,
		"text that is replaced":                  `$reduce([1..40], function($s, $i){$replace($s, "x", "xxxx")}, "x")`,
		"text joined of itself":                  `$reduce([1..40], function($s, $i){$join([$s, $s, $s])}, "x")`,
		"an object that doubles":                 `$length($string($reduce([1..40], function($o, $i){{"a": $o, "b": $o}}, {})))`,
		"sorting by a slow comparison":           `$sort([1..20000], function($a, $b){$count([1..1000]) > $a - $b})`,
		"descendants of descendants":             `($n := $reduce([1..18], function($o, $i){{"a": $o, "b": $o}}, {}); $count($n.**.**.**))`,
		"roman numerals":                         `$formatInteger(1e15, "I")`,
		"a wide number":                          `$length($fromMillis(0, "[Y,999999999]"))`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiled, err := jsonata.Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			// A tenth of the default bound on steps, so that the test is quick with the race detector.
			limits := jsonata.Limits{Steps: 1_000_000}
			value, _, err := compiled.Eval(&jsonata.Env{Input: jsonvalue.NewInt(1), HasInput: true, Limits: limits})
			var stopped *jsonata.Error
			if !errors.As(err, &stopped) {
				t.Fatalf("%s\n gave %.100s, %v after %v", text, value, err, time.Since(began))
			}
			if stopped.Code != "" {
				t.Errorf("%s\n is not stopped by a bound: %v", text, err)
			}
			t.Logf("%v: %v", time.Since(began).Round(time.Millisecond), err)
		})
	}
}

// The bounds are on by default.
func TestTheDefaultBoundsHold(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`($f := function($x){$f($x + 1)}; $f(0))`,
		`$sum($map([1..10000000], function($v){$v * $v}))`,
		`$reduce([1..60], function($s, $i){$s & $s}, "x")`,
	} {
		compiled, err := jsonata.Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if value, _, err := compiled.Eval(nil); err == nil {
			t.Errorf("%s gave %.100s", text, value)
		}
	}
}

// A deep but finite expression or value is not an end of the process.
func TestDeepTextsAreRefusedOrRead(t *testing.T) {
	t.Parallel()
	for _, deep := range []string{
		strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000),
		strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		strings.Repeat("-", 100_000) + "1",
		"1" + strings.Repeat("+1", 100_000),
		"a" + strings.Repeat(".a", 100_000),
		"a" + strings.Repeat("[0]", 100_000),
		strings.Repeat("true ? ", 100_000) + "1",
		strings.Repeat("function($x){", 100_000),
		"$f" + strings.Repeat("()", 100_000),
		strings.Repeat("{'a':", 100_000),
		strings.Repeat("%.", 100_000) + "a",
		strings.Repeat("a ~> ", 100_000) + "a",
	} {
		compiled, err := jsonata.Compile(deep)
		if err != nil {
			continue
		}
		if _, _, err := compiled.Eval(&jsonata.Env{}); err != nil {
			var stopped *jsonata.Error
			if !errors.As(err, &stopped) && !errors.Is(err, jsonata.ErrFunctionResult) {
				t.Errorf("%.20s...: %v", deep, err)
			}
		}
	}
}
