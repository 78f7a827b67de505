package jinja

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gust/dag/template/pyvalue"
)

// TestLimits renders templates that would take all memory or time without limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	env := NewEnv(pyvalue.Limits{Steps: 300_000})
	for _, c := range []struct{ text, want string }{
		{"{{ 'x' * 10000000000 }}", "a text grows beyond"},
		{"{{ 10000000000 * 'x' }}", "a text grows beyond"},
		{"{{ [1] * 100000 }}", "a list grows beyond 10000 items"},
		{"{{ ('x' * 1000) * 9223372036854775807 }}", "a text grows beyond"},
		{"{% for i in range(10001) %}{% endfor %}", "range() is too long (limit 10000)"},
		{"{{ range(0, 9223372036854775807)|list }}", "range() is too long"},
		{"{{ range(-9223372036854775807, 9223372036854775807)|list }}", "range() is too long"},
		{"{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "does too much work"},
		{"{% for a in range(9999) %}{{ 'x' * 999 }}{% endfor %}", "the output grows beyond"},
		{"{% set x = 'abcdefgh' %}{% for a in range(99) %}{% set x = x ~ x %}{% endfor %}{{ x }}{% set ns = namespace(x='abcdefgh') %}" +
			"{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "the output grows beyond"},
		{"{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "a list grows beyond"},
		{"{% set ns = namespace(x=[1]) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "too much work"},
		{"{% set ns = namespace(x=[1]) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == [ns.x[0], ns.x[1]] }}", "too much work"},
		{"{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "nests too deeply"},
		{"{% set x = [] %}{% do x.append(x) %}{{ x }}", "nests too deeply"},
		{"{% set x = [] %}{% do x.append(x) %}{{ x|tojson }}", "nests too deeply"},
		{"{% set x = [] %}{% do x.append(x) %}{{ x == [x] }}", "nests too deeply"},
		{"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nests too deeply"},
		{"{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}", "nests too deeply"},
		{"{{ " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + " }}", "nests too deeply"},
		{"{{ " + strings.Repeat("not ", 5000) + "a }}", "nests too deeply"},
		{"{{ " + strings.Repeat("-", 5000) + "1 }}", "nests too deeply"},
		{strings.Repeat("{% if a %}", 5000), "nests too deeply"},
		{"{{ " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + " }}", "nests too deeply"},
		{"{{ 1" + strings.Repeat(" + 1", 5000) + " }}", "nests too deeply"},
		{"{{ '%1000000000d' % 1 }}", "a text grows beyond"},
		{"{{ '%.1000000000d' % 1 }}", "a text grows beyond"},
		{"{{ '%.1000000000f' % 1 }}", "is too large"},
		{"{{ '{:>1000000000}'.format(1) }}", "a text grows beyond"},
		{"{{ 'a'.ljust(1000000000) }}", "a text grows beyond"},
		{"{{ 'a'|center(1000000000) }}", "a text grows beyond"},
		{"{{ 'a\nb'|indent(1000000000) }}", "a text grows beyond"},
		{"{{ ('a' * 100000).replace('a', 'b' * 100000) }}", "a text grows beyond"},
		{"{{ '\t'.expandtabs(1000000000) }}", "a text grows beyond"},
		{"{{ 2 ** 64 }}", "beyond 64 bits"}, {"{{ 9223372036854775807 + 1 }}", "beyond 64 bits"},
		{"{{ 9223372036854775807 * 3 }}", "beyond 64 bits"}, {"{{ -9223372036854775807 - 2 }}", "beyond 64 bits"},
		{"{{ 99999999999999999999 }}", "is too large"},
		{"{{ xs|batch(1000000000, 0) }}", "a list grows beyond"}, {"{{ xs|slice(1000000000) }}", "a list grows beyond"},
		{"{% set x = 'é' * 400000 %}{% for a in range(9999) %}{{ x[5] }}{{ x|length }}{{ x == x }}{% endfor %}", "too much work"},
		{"{% set x = 'é ' * 300000 %}{% for a in range(9999) %}{% set y = x|wordwrap(1000000000) %}{% endfor %}", "too much work"},
		{"{% set x = 'é ' * 300000 %}{% for a in range(9999) %}{% set y = x.rsplit(none, 9000) %}{% endfor %}", "too much work"},
		{"{% set ns = namespace(x=(1,)) %}{% for a in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}", "cannot be a key"},
		{"{{ 1|round(999) }}", "the precision is 999"},
	} {
		start := time.Now()
		_, err := render(t, env, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: error %v, want %s", c.text, err, c.want)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%.80s took %s", c.text, took)
		}
	}
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	env := NewEnv(pyvalue.Limits{})
	for _, text := range []string{
		"{{ ''.__class__ }}", "{{ ''['__class__'] }}", "{{ xs.__len__() }}", "{{ d|attr('__init__') }}", "{{ xs.Items }}",
		"{{ d.Keys() }}", "{{ range.Do }}", "{{ '{0.__class__}'.format(1) }}", "{{ '{0[__class__]}'.format('') }}",
		"{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{{ self }}",
		"{{ xs|map(attribute='__class__')|list }}",
	} {
		if out, err := render(t, env, text); err == nil {
			t.Errorf("%s printed %q", text, out)
		}
	}
}

func TestContextStopsARendering(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the task was killed")
	cancel(why)
	env := NewEnv(pyvalue.Limits{Steps: 1 << 40})
	tpl, err := env.Parse("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpl.Execute(ctx, Globals{}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestPanicsBecomeErrors(t *testing.T) {
	t.Parallel()
	tpl, err := NewEnv(pyvalue.Limits{}).Parse("{{ x }}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpl.Execute(t.Context(), Globals{Lookup: func(*pyvalue.State, string) (any, bool, error) { panic("boom") }})
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHavePositions(t *testing.T) {
	t.Parallel()
	env := NewEnv(pyvalue.Limits{})
	for text, want := range map[string]string{
		"ab\n {{ 1 / 0 }}":                          "line 2, column 7: division by zero",
		"{{ d.\n  nope.x }}":                        "line 2, column 3: dict has no key \"nope\" (available: z, a, k)",
		"é{{ nope }}":                               "line 1, column 5: \"nope\" is undefined",
		"{{ xs[7] }}":                               "index 7 is out of range of a list of length 3",
		"{% for x in 5 %}{% endfor %}":              "line 1, column 13: a value of type int cannot be iterated",
		"{{ s|truncate(2) }}":                       "line 1, column 6: the length 2 is less than that of the end",
		"{{ s|join(attr=1) }}":                      "join() has no argument \"attr\" (available: value, d, attribute)",
		"{{ s.uper() }}":                            "did you mean \"upper\"?",
		"{{ 'x' < 1 }}":                             "< is not supported between str and int",
		"{% set a, b = [1] %}":                      "line 1, column 8: 1 value to unpack into 2 names",
		"{% set s.x = 1 %}":                         "only a namespace() has assignable attributes",
		"{% macro m() %}{% endmacro %}{{ m(q=1) }}": "m() has no argument \"q\"",
	} {
		_, err := render(t, env, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	env := NewEnv(pyvalue.Limits{})
	for text, want := range map[string][2]int{
		"a\n {{ nope }}": {2, 5}, "{{ 1 / 0 }}": {1, 6}, "{% if %}": {1, 7}, "{{ 'a'|nofilter }}": {1, 8}, "{{ 1 is notest }}": {1, 9},
	} {
		_, err := render(t, env, text)
		var located interface{ Position() (line, col int) }
		if !errors.As(err, &located) {
			t.Errorf("%q: the error %v has no position", text, err)
			continue
		}
		if line, col := located.Position(); [2]int{line, col} != want {
			t.Errorf("%q: position %d:%d, want %v", text, line, col, want)
		}
	}
}

// TestAgainstNativeJinja compares native rendering with Jinja2's NativeEnvironment.
func TestAgainstNativeJinja(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import jinja2").Run(); err != nil {
		t.Skip("python3 with jinja2 is not installed (pip install jinja2)")
	}
	list := []string{
		"{{ 1 }}", "{{ '1' }}", "{{ 1 }}{{ 2 }}", "{{ '007' }}", "[{{ a }}, 'x']", "{{ n }}", "x{{ a }}", "{{ t }}", "{{ 'true' }}",
		"{{ 'True' }}", "{{ xs }}", "{{ d }}", "{{ 'None' }}", "{{ '1 + 1' }}", "{{ '-3' }}", "{{ '+3' }}", "{{ ' 3' }}", "{{ '3 ' }}",
		"{{ f }}", "{{ '1e3' }}", "{{ '0x10' }}", "{{ '010' }}", "{{ '(1,)' }}", "{{ '1,' }}", "{{ '()' }}", "{{ '[1, [2]]' }}",
		"{{ \"{'a': None}\" }}", "{{ '\"q\"' }}", "{{ \"'a' 'b'\" }}", "{{ '2024-01-31' }}", "{{ '1_000' }}", "{{ '' }}", "{{ s }}",
		"{{ [1, 2]|join(',') }}", "{{ '[1' }}", "{{ 'abc' }}", "{{ '{}' }}", "{{ (1, 'a') }}", "{{ '1.' }}x", "{{ 'a' }}{{ 1 }}",
		"{% if t %}5{% endif %}", "{% for x in xs %}{{ x }}{% endfor %}", "{{ 'nan' }}", "{{ '1 if 1 else 2' }}", "{{ '[a]' }}",
	}
	answers := oracle(t, list, true)
	env := NewEnv(pyvalue.Limits{})
	for i, text := range list {
		tpl, err := env.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := tpl.Evaluate(t.Context(), testGlobals(t))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		st := newEvaluation(t.Context(), env, Globals{})
		got, err := st.Repr(v)
		if err != nil {
			t.Fatal(err)
		}
		want, isText := answers[i].Out.(string)
		if isText {
			want = pyvalue.StringRepr(want)
		} else {
			want, _ = answers[i].Out.(map[string]any)["value"].(string)
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func FuzzParseAndExecute(f *testing.F) {
	for _, text := range []string{"{{ a }}", "{% for x in xs %}{{ loop.index }}{% endfor %}", "{{ '%5.2f' % f }}", "{{ rows|groupby('n') }}",
		"{% macro m(a, b=1) %}{{ caller() }}{% endmacro %}{% call m(1) %}x{% endcall %}", "{{ '{:>{w}}'.format(1, w=3) }}", "{%- raw -%}{{{%- endraw -%}",
		"{{ xs[::-1] }}{{ d.items()|list }}{{ s|wordwrap(3) }}", "{{ html|striptags|urlencode|truncate(5) }}"} {
		f.Add(text)
	}
	env := NewEnv(pyvalue.Limits{Steps: 20_000, Output: 1 << 14, Items: 500})
	f.Fuzz(func(t *testing.T, text string) {
		tpl, err := env.Parse(text)
		if err == nil {
			_, err = tpl.Execute(t.Context(), testGlobals(t))
		}
		if err != nil && strings.Contains(err.Error(), "engine failed") {
			t.Fatalf("%q: %v", text, err)
		}
		Literal(text)
	})
}
