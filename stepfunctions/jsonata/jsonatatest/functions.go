package jsonatatest

import "strings"

// signature is a library function: what it returns, and its arguments, one letter each. Letters are kinds, or
//
//	i small number   X exponent      w width          k field name       r pattern       l replacement limit
//	p predicate      m mapper         e reducer          c comparator    v mapper of fields
//	f number picture q integer picture  d date picture    t timestamp     z timezone     u milliseconds
//	g radix          j decimals       ? begins optional arguments
type signature struct {
	name    string
	returns kind
	args    string
}

var functions = []signature{
	{"string", str, "x?b"}, {"length", str2num, "s"}, {"substring", str, "si?i"}, {"substringBefore", str, "sh"}, {"substringAfter", str, "sh"},
	{"uppercase", str, "s"}, {"lowercase", str, "s"}, {"trim", str, "s"}, {"pad", str, "sw?h"}, {"contains", boolean, "sr"},
	{"split", strs, "sr?l"}, {"join", str, "S?h"}, {"match", objects, "sR?l"}, {"replace", str, "srh?l"}, {"replace", str, "sRy?l"},
	{"base64encode", str, "s"}, {"base64decode", str, "B"}, {"encodeUrlComponent", str, "s"}, {"encodeUrl", str, "s"},
	{"decodeUrlComponent", str, "U"}, {"decodeUrl", str, "U"}, {"formatNumber", str, "nf"}, {"formatBase", str, "n?g"},
	{"formatInteger", str, "nq"}, {"parseInteger", number, "sq"}, {"number", number, "x"}, {"number", number, "s"}, {"abs", number, "n"}, {"floor", number, "n"},
	{"ceil", number, "n"}, {"round", number, "n?j"}, {"power", number, "nX"}, {"sqrt", number, "n"}, {"sum", number, "N"},
	{"max", number, "N"}, {"min", number, "N"}, {"average", number, "N"}, {"count", number, "a"}, {"append", array, "aa"},
	{"sort", numbers, "N"}, {"sort", strs, "S"}, {"sort", objects, "Oc"}, {"reverse", array, "a"}, {"distinct", array, "a"}, {"zip", array, "aaa"},
	{"keys", strs, "o"}, {"keys", strs, "O"}, {"lookup", any_, "ok"}, {"lookup", array, "Ok"}, {"spread", objects, "o"}, {"merge", object, "O"}, {"sift", object, "oP"},
	{"each", array, "ov"}, {"type", str, "x"}, {"exists", boolean, "x"}, {"boolean", boolean, "x"}, {"not", boolean, "x"},
	{"map", array, "am"}, {"filter", array, "ap"}, {"single", any_, "ap"}, {"reduce", any_, "Ne?n"}, {"fromMillis", str, "u?dz"},
	{"toMillis", number, "t"}, {"toMillis", number, "td"}, {"error", any_, "?s"}, {"assert", any_, "b?s"}, {"now", str, "?dz"}, {"millis", number, ""},
}

// str2num marks functions of a text that return a number.
const str2num = number

// returning calls a library function that returns a kind.
func (g *generator) returning(k kind, depth int) string {
	for range 20 {
		f := pick(g, functions...)
		if f.returns == k && f.name != "error" && f.name != "assert" {
			return g.apply(f, depth)
		}
	}
	return g.leaf(k)
}

// call calls any function with arguments of the right kinds.
func (g *generator) call() string { return g.apply(pick(g, functions...), 2) }

// wrongCall calls a function with too few, too many or other arguments.
func (g *generator) wrongCall() string {
	f := pick(g, functions...)
	letters := strings.ReplaceAll(f.args, "?", "")
	n := min(g.rng.IntN(5), len(letters)+1)
	args := make([]string, n)
	for i := range args {
		if i < len(letters) && g.chance(50) {
			args[i] = g.argument(letters[i], 1)
		} else {
			args[i] = g.of(pick(g, kinds...), 1)
		}
	}
	return "$" + f.name + "(" + strings.Join(args, ", ") + ")"
}

func (g *generator) apply(f signature, depth int) string {
	needed, optional, _ := strings.Cut(f.args, "?")
	letters := needed + optional[:g.rng.IntN(len(optional)+1)]
	args := make([]string, len(letters))
	for i := range args {
		args[i] = g.argument(letters[i], depth)
	}
	switch {
	case len(args) > 0 && g.chance(8):
		return args[0] + " ~> $" + f.name + "(" + strings.Join(args[1:], ", ") + ")"
	case len(args) > 0 && g.chance(8):
		return args[0] + ".$" + f.name + "(" + strings.Join(args[1:], ", ") + ")"
	}
	return "$" + f.name + "(" + strings.Join(args, ", ") + ")"
}

// argument writes an argument by its letter.
func (g *generator) argument(letter byte, depth int) string {
	switch letter {
	case 'i':
		return pick(g, "0", "1", "2", "-1", "3", "-3", "5", "0.5", "100", "1.9")
	case 'X':
		return pick(g, "0", "1", "2", "-1", "0.5", "1000")
	case 'w':
		return pick(g, "5", "-5", "0", "20", "-20", "3.7", "1")
	case 'j':
		return pick(g, "0", "1", "2", "-1", "-2", "5", "1.5")
	case 'g':
		return pick(g, "2", "8", "16", "36", "10", "1", "37", "2.5", "3")
	case 'l':
		return pick(g, "0", "1", "2", "-1", "10", "1.5")
	case 'k':
		return pick(g, `"a"`, `"name"`, `"price"`, `"p10"`, `"nothing"`, `"sku"`, `"v"`, `"c"`)
	case 'h':
		return pick(g, `" "`, `","`, `"o"`, `"-"`, `""`, `"ab"`, `"$1"`, `"$0$$"`, `"é"`, `"😀"`, `"$12"`, `"[$2|$1]"`)
	case 'y':
		return pick(g, "function($m){$uppercase($m.match)}", "function($m){$m.groups[0]}", `function($m){"<" & $m.match & $string($m.index) & ">"}`, "function($m){1}", "$uppercase", "λ($m){$m.match & $m.groups[1]}")
	case 'r':
		return pick(g, g.pattern(), `" "`, `"o"`, `","`, `""`, `"a"`, `"the"`)
	case 'R':
		return g.pattern()
	case 'B':
		return pick(g, `"aGVsbG8="`, `"bXlzdHJpbmc="`, `"4pyTIMOgIGxhIG1vZGU="`, `"a"`, `""`, "$base64encode("+g.of(str, 0)+")")
	case 'U':
		return pick(g, `"%3Fx%3Dtest"`, `"a%20b"`, `"%E0%A4%A"`, `"%"`, `"https://example.com/?shape=%C3%A9"`, `"%F0%9F%98%80"`, "$encodeUrlComponent("+g.of(str, 0)+")", `"%2F%3A%23"`)
	case 'f':
		return quote(g.numberPictureText())
	case 'q':
		return quote(g.integerPictureText())
	case 'd':
		return quote(g.datePictureText())
	case 'z':
		return pick(g, `"+0530"`, `"-0800"`, `"0000"`, `"+0100"`, `"Z"`)
	case 't':
		return pick(g, "day", "shop.founded", `"2017-11-07"`, `"2017"`, `"2017-11-07T15:12:37Z"`, `"2017-02-30"`, `"nonsense"`, `"2017-11-07T15:12:37.5+0100"`, "shop.orders.day", `"17:30"`)
	case 'u':
		return pick(g, "when", "0", "1510067557121", "-1", "951782399999", "1e12", "253402300800000", "$millis()")
	case 'p', 'P', 'm', 'e', 'c', 'v':
		return g.callback(letter)
	}
	return g.of(kind(letter), depth)
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// callback writes a function for a higher-order function.
func (g *generator) callback(letter byte) string {
	switch letter {
	case 'p':
		return pick(g, "function($v){$v > 2}", "function($v, $i){$i < 2}", "function($v, $i, $a){$v = $max($a)}", "$boolean", "function($v){$contains($string($v), 'a')}",
			"function($v){"+g.within([]local{{"v", any_}}, boolean)+"}", "$not", "λ($x){true}", "function($v){$v.price < 15}", "$exists", "function(){false}")
	case 'P':
		return pick(g, "function($v){$type($v) = 'string'}", "function($v, $k){$k = 'name'}", "function($v, $k, $o){$count($keys($o)) > 2}", "λ($v, $k){$length($k) > 4}", "$boolean")
	case 'm':
		return pick(g, "function($v){$v}", "function($v, $i){$string($v) & $i}", "function($v, $i, $a){$count($a) - $i}", "$string", "$uppercase", "function($v){{'v': $v}}", "function($v){[$v, $v]}",
			"function($v){"+g.within([]local{{"v", any_}}, any_)+"}", "$sum", "$length", "$type", "function($v){$nothing}", "$number", "function($x){$x * 2}")
	case 'e':
		return pick(g, "function($a, $b){$a + $b}", "function($a, $b){$a * $b}", "function($p, $c, $i){$p + $c * $i}", "function($p, $c, $i, $l){$p + $count($l)}", "$append",
			"function($a, $b){$a > $b ? $a : $b}", "function($a){$a}", "function($a, $b){$string($a) & $string($b)}", "$max")
	case 'c':
		return pick(g, "function($l, $r){$l.v > $r.v}", "function($l, $r){$l.price < $r.price}", "function($l, $r){$string($l) > $string($r)}", "function($l, $r){$l.name > $r.name}", "λ($a, $b){$a.a > $b.a}")
	}
	return pick(g, "function($v, $k){$k & '=' & $string($v)}", "function($v){$v}", "function($v, $k, $o){$count($keys($o))}", "$string", "λ($v, $k){$uppercase($k)}")
}

// within writes an expression that can use the locals.
func (g *generator) within(locals []local, k kind) string {
	before := g.locals
	g.locals = append(append([]local(nil), before...), locals...)
	text := g.of(k, 2)
	g.locals = before
	return text
}
