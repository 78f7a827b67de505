package jsonatatest

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
)

// Generate yields n different cases; the same seed gives the same cases. Two thirds of them are expressions of one
// topic, so that every feature is met often; the others mix everything.
func Generate(seed uint64, n int) []Case {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
	topics := []func() string{
		g.arithmetic, g.comparison, g.text, g.path, g.path, g.stages, g.sorting, g.grouping, g.binding, g.call, g.call, g.call, g.wrongCall,
		g.higherOrder, g.lambda, g.composition, g.expression, g.transform, g.numberPicture, g.integerPicture, g.dateWrite, g.dateRead,
		g.conditional, g.literal, g.malformed, g.construct, g.parent, g.mixed, g.mixed, g.mixed,
	}
	seen := map[string]bool{}
	cases := make([]Case, 0, n)
	for i := 0; len(cases) < n; i++ {
		g.document = pick(g, documents...)
		c := Case{Expr: topics[i%len(topics)](), Now: pick(g, int64(1510067557121), 1700000000000, 951782399999)}
		if g.document != "" {
			c.Input = json.RawMessage(g.document)
		}
		if id := c.Expr + "\x00" + g.document; !seen[id] && len(c.Expr) < 600 && !beyondReference(c.Expr) {
			seen[id] = true
			cases = append(cases, c)
		}
	}
	return cases
}

// beyondReference tells expressions on which the reference goes wrong by itself: a regular expression literal left of ?: or
// ?? is compiled twice and then matches everything, or for ever.
func beyondReference(expr string) bool {
	return strings.Contains(expr, "/") && (strings.Contains(expr, " ?: ") || strings.Contains(expr, " ?? "))
}

// bound is a limit of a range. Node.js itself breaks down on ranges beyond the whole numbers of a double.
func (g *generator) bound() string {
	return pick(g, "0", "1", "2", "5", "-3", "1.5", "10", "20", "zero", "list[1]", "people[0].age", "shop.stock.p10", "nothing", `"a"`, "null", "-1", "$count(list)", "2.0", "1e2")
}

// generator writes expressions. depth is how much nesting is left.
type generator struct {
	rng      *rand.Rand
	document string
	// locals are variables in scope: name to kind.
	locals []local
}

type local struct {
	name string
	kind kind
}

// kind is the type that an expression is meant to have; about one in twenty has another.
type kind byte

const (
	number  kind = 'n'
	str     kind = 's'
	boolean kind = 'b'
	numbers kind = 'N'
	strs    kind = 'S'
	array   kind = 'a'
	object  kind = 'o'
	objects kind = 'O'
	any_    kind = 'x'
)

var kinds = []kind{number, str, boolean, numbers, strs, array, object, objects, any_}

func pick[T any](g *generator, from ...T) T { return from[g.rng.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.rng.IntN(100) < percent }

func (g *generator) some(least, most int) int { return least + g.rng.IntN(most-least+1) }

// join writes n parts with a separator.
func (g *generator) join(n int, separator string, part func() string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = part()
	}
	return strings.Join(parts, separator)
}

// of writes an expression of a kind.
func (g *generator) of(k kind, depth int) string {
	if g.chance(4) {
		k = pick(g, kinds...)
	}
	if len(g.locals) > 0 && g.chance(25) {
		if l := pick(g, g.locals...); l.kind == k || k == any_ || g.chance(10) {
			return "$" + l.name
		}
	}
	if depth <= 0 {
		return g.leaf(k)
	}
	switch k {
	case number:
		return g.number(depth - 1)
	case str:
		return g.string(depth - 1)
	case boolean:
		return g.boolean(depth - 1)
	case any_:
		return g.of(pick(g, kinds[:len(kinds)-1]...), depth)
	}
	return g.collection(k, depth-1)
}

func (g *generator) number(depth int) string {
	switch g.rng.IntN(8) {
	case 0, 1:
		return "(" + g.of(number, depth) + pick(g, " + ", " - ", " * ", " / ", " % ", "+", "-") + g.of(number, depth) + ")"
	case 2:
		return "-" + g.leaf(number)
	case 3:
		return g.ternary(number, depth)
	case 4:
		return g.of(numbers, depth) + "[" + pick(g, "0", "1", "-1", "2.7", "-5") + "]"
	default:
		return g.returning(number, depth)
	}
}

func (g *generator) string(depth int) string {
	switch g.rng.IntN(6) {
	case 0, 1:
		return "(" + g.of(str, depth) + " & " + g.of(pick(g, str, number, any_), depth) + ")"
	case 2:
		return g.ternary(str, depth)
	default:
		return g.returning(str, depth)
	}
}

func (g *generator) boolean(depth int) string {
	switch g.rng.IntN(6) {
	case 0:
		return "(" + g.of(number, depth) + pick(g, " < ", " > ", " <= ", " >= ", " = ", " != ") + g.of(number, depth) + ")"
	case 1:
		return "(" + g.of(str, depth) + pick(g, " < ", " > ", " = ", " != ", " in ") + g.of(pick(g, str, strs), depth) + ")"
	case 2, 3:
		return "(" + g.of(boolean, depth) + pick(g, " and ", " or ") + g.of(boolean, depth) + ")"
	default:
		return g.returning(boolean, depth)
	}
}

func (g *generator) collection(k kind, depth int) string {
	switch g.rng.IntN(5) {
	case 0:
		return g.ternary(k, depth)
	case 1:
		if k == object {
			return g.objectOf(depth)
		}
		return g.arrayOf(k, depth)
	case 2:
		if k == numbers {
			return "[" + g.bound() + ".." + g.bound() + "]"
		}
		return g.leaf(k)
	case 3:
		return g.leaf(k)
	default:
		return g.returning(k, depth)
	}
}

func (g *generator) ternary(k kind, depth int) string {
	return "(" + g.of(boolean, depth) + " ? " + g.of(k, depth) + pick(g, "", " : "+g.of(k, depth)) + ")"
}

func (g *generator) arrayOf(k kind, depth int) string {
	item := map[kind]kind{numbers: number, strs: str, array: any_, objects: object}[k]
	if item == 0 {
		item = any_
	}
	return "[" + g.join(g.some(0, 4), ", ", func() string { return g.of(item, depth) }) + "]"
}

func (g *generator) objectOf(depth int) string {
	return "{" + g.join(g.some(0, 3), ", ", func() string {
		key := pick(g, `"k"`, `"name"`, `"v"`, `"x y"`, "'q'")
		if g.chance(15) {
			// JavaScript moves fields with whole numbers for names to the front of their object.
			key = `("k" & ` + g.of(str, depth) + ")"
		}
		return key + ": " + g.of(any_, depth)
	}) + "}"
}

// leaf is a literal or a path of the document.
func (g *generator) leaf(k kind) string {
	if g.chance(55) {
		if len(paths[k]) > 0 {
			return g.field(k)
		}
	}
	switch k {
	case number:
		return pick(g, "0", "1", "2", "3", "10", "-1", "0.5", "1.5", "2.5", "100", "1e3", "-0", "0.1", "1e-7", "1e21", "7", "255", "9007199254740993", "3.14159")
	case str:
		return pick(g, `""`, `"a"`, `"hello world"`, `'single'`, `"Hello World"`, `"abc"`, `"3"`, `"1.5"`, `"é漢😀"`, `"a,b,c"`, `"tab\there"`, `"\u00e9"`, `" padded  text "`,
			`"line\nbreak"`, `"true"`, `"2017-11-07T15:12:37.121Z"`, `"a\"b\\c\/"`, `"0x1F"`, `"100%"`, `"a b&c=d"`)
	case boolean:
		return pick(g, "true", "false", "null", `""`, "[]", "0")
	case numbers:
		return pick(g, "[1..5]", "[3, 1, 2]", "[]", "[1.5, -2, 0]", "[5..1]", "[1, [2, 3]]", "[10]", "(1; 2; 3)")
	case strs:
		return pick(g, `["a", "b", "c"]`, `["b", "A", "a"]`, `[]`, `["x"]`, `["apple", "fig", "apple"]`, `["1", "2"]`)
	case array:
		return pick(g, `[1, "a", true, null]`, `[[1, 2], [3]]`, "[]", `[{}]`, "[null]", `[[], [[]], 1]`, `[false, 0, ""]`)
	case object:
		return pick(g, `{}`, `{"a": 1}`, `{"a": 1, "b": {"c": [1, 2]}}`, `{"x": null, "y": false}`, `{"name": "n", "tags": ["p", "q"]}`)
	case objects:
		return pick(g, `[{"a": 1, "b": 2}, {"a": 3}]`, `[{"n": "x", "v": 2}, {"n": "y", "v": 1}, {"n": "x", "v": 3}]`, `[{}]`, `[]`)
	}
	return pick(g, "null", "true", "nothing", `"s"`, "1", "[]", "{}", "$", "$nothing", "$$", "nothing.at.all", "/a/", "function($x){$x}", "$sum")
}
