package jsonata_test

import (
	"fmt"
	"strings"
	"testing"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsonata.Compile(`{"total": $sum($states.input.items.(price * quantity)), "names": $states.input.items[price > 10].name}`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	var items []string
	for i := range 100 {
		items = append(items, fmt.Sprintf(`{"name":"item %d","price":%d.5,"quantity":%d}`, i, i, i%7))
	}
	states, err := jsonvalue.Parse(`{"input":{"id":"abc","n":5,"items":[` + strings.Join(items, ",") + `]}}`)
	if err != nil {
		b.Fatal(err)
	}
	env := &jsonata.Env{Variable: func(name string) (jsonvalue.Value, bool) { return states, name == "states" }}
	for _, c := range []struct{ name, text string }{
		{"path", `$states.input.id`},
		{"condition", `$states.input.n >= 5 and $states.input.n < 10`},
		{"object", `{"id": $states.input.id, "next": $states.input.n + 1}`},
		{"sum100", `$sum($states.input.items.(price * quantity))`},
		{"filter100", `$states.input.items[price > 50].name`},
		{"map100", `$map($states.input.items, function($i) { $uppercase($i.name) })`},
		{"fib15", `($f := function($n) { $n < 2 ? $n : $f($n - 1) + $f($n - 2) }; $f(15))`},
		{"replace", `$replace($states.input.id, /b/, "x")`},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := jsonata.Compile(c.text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := e.Eval(env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
