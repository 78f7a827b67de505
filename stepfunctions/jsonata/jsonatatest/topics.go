package jsonatatest

import "strings"

func (g *generator) arithmetic() string {
	return g.of(number, 2) + pick(g, " + ", " - ", " * ", " / ", " % ") + g.of(pick(g, number, number, number, any_), 2)
}

func (g *generator) comparison() string {
	k := pick(g, number, str, boolean, array, object, any_)
	return g.of(k, 1) + pick(g, " = ", " != ", " < ", " <= ", " > ", " >= ", " in ", " and ", " or ") + g.of(pick(g, k, k, k, any_), 1)
}

func (g *generator) text() string { return g.of(any_, 1) + " & " + g.of(any_, 2) }

// path walks through the document.
func (g *generator) path() string {
	return g.held(roots) + g.join(g.some(1, 4), "", func() string { return g.step() })
}

func (g *generator) step() string {
	name := "." + pick(g, steps...)
	switch g.rng.IntN(9) {
	case 0:
		return name + "[" + pick(g, "0", "-1", "1", "2", "[0, 1]", "[0..1]", "1.5", "$nothing", `"x"`, "true", "[-1, 0]", "-10", "[0][0]") + "]"
	case 1:
		return name + "[" + pick(g, "price > 10", "name", "age < 30", "$ = 2", `type = "home"`, "$exists(size)", "v", "tags", "$contains($string($), 'a')", "price > 3 and count", `sku in ["p10", "p40"]`, "$type($) = 'object'") + "]"
	case 2:
		return name + "[]"
	case 3:
		return ".(" + g.of(any_, 1) + ")"
	case 4:
		return ".[" + g.join(g.some(0, 3), ", ", func() string { return pick(g, steps[:22]...) }) + "]"
	case 5:
		return ".{" + `"k": ` + pick(g, steps[:22]...) + ", " + pick(g, `"v"`, "sku", "name", "('v' & v)") + ": " + pick(g, "$", "price", "1", "$string($)", "age") + "}"
	case 6:
		return "." + pick(g, "$string()", "$uppercase($string($))", "$count($)", "$type()", "$sum($)", "$length()", "$keys()", "$spread()", "$", "$number()", `"lit"`, "1", "true")
	}
	return name
}

// stages puts predicates and groups on whole paths.
func (g *generator) stages() string {
	p := g.field(pick(g, numbers, strs, array, objects))
	switch g.rng.IntN(7) {
	case 0:
		return "(" + p + ")[" + pick(g, "0", "-1", "[1..2]", "$ > 2", "$[0]") + "]"
	case 1:
		return p + "[" + g.of(any_, 1) + "]"
	case 2:
		return p + "[]" + g.step()
	case 3:
		return p + "[0][0]" + g.step()
	case 4:
		return "[" + p + "]" + g.step()
	case 5:
		return p + g.step() + "[" + g.of(boolean, 1) + "][" + pick(g, "0", "-1") + "]"
	}
	return "(" + p + g.step() + ")" + g.step()
}

func (g *generator) sorting() string {
	terms := func() string {
		return pick(g, "", "<", ">") + pick(g, "price", "v", "name", "age", "$", "sku", "g", "count * price", "$string($)", "size.w", "nothing", "tags", "a", "text", "w")
	}
	text := g.field(pick(g, objects, objects, numbers, strs)) + "^(" + g.join(g.some(1, 2), ", ", terms) + ")"
	if g.chance(50) {
		text += g.step()
	}
	return text
}

func (g *generator) grouping() string {
	pair := func() string {
		return pick(g, "sku", "g", "name", "('v' & v)", `"all"`, "type", "text", "$string($)", "a", "id", "address.city") + ": " +
			pick(g, "price", "$sum(price)", "v", "$", "$count($)", "[v]", "{'n': $count($)}", "$.v", "w", "$join(text, ',')", "name[0]", "$sum($.(price * count))", "age", "lines.sku")
	}
	text := g.field(objects) + "{" + g.join(g.some(1, 2), ", ", pair) + "}"
	switch g.rng.IntN(4) {
	case 0:
		return "$keys(" + text + ")"
	case 1:
		return text + ".*"
	}
	return text
}

// binding uses the context and index variables of steps.
func (g *generator) binding() string {
	return g.held([]string{"shop.orders@$o.lines.{'id': $o.id, 'sku': sku}", "people@$p.phone.($p.name & ':' & number)", "shop.orders#$i.lines#$j.[$i, $j, sku]", "people#$i[age > 10].{'i': $i, 'n': name}",
		"rows@$r.$[v > 1].[$r.v, v]", "list#$i[$i % 2 = 0]", "shop.orders.lines@$l.shop.staff[0].($l.sku & $)", "rows@$a@$b.[$a.v, $b.v]", "rows#$i^(v).($string($i) & g)",
		"people@$p.(phone@$q.[$p.name, $q.type])", "shop.orders@$o[$o.paid].id", "shop.orders@$o.lines[price > 10].{'o': $o.id, 'p': price}", "words#$i.($i & $)", "rows@$r#$i.[$i, $r.g]",
		"nested@$n.nested@$m.[$m.v]", "shop.orders#$i[0].$i", "(rows@$r)[0].$r", "rows@$r[v=2].$r.w", "rows[v > 1]#$i.[$i, v]", "rows#$i[v > 1].[$i, v]", "people@$p.people@$q[$p.age = $q.age].[$p.name, $q.name]",
		"shop.orders.lines^(>price)#$i.[$i, price]", "shop.orders@$o.lines@$l^($l.price).[$o.id, $l.sku]", "rows@$r{$r.g: $r.v}", "list@$x.(list@$y.($x * $y))", "rows#$i@$r.[$i, $r]"}) +
		pick(g, "", "", "", "[0]", "[-1]", "[]", "{'a': $}", ".$string()")
}

// parent uses the % operator.
func (g *generator) parent() string {
	return g.held([]string{"shop.orders.lines.{'id': %.id, 'sku': sku}", "shop.orders.lines.size.%.%.id", "people.phone.(number & %.name)", "people.phone[%.age > 30].number", "shop.orders.lines.%.id", "nested.nested.v.%.%",
		"shop.orders.lines[%.paid].sku", "people.address.%.name", "shop.orders.lines.size.[%.sku, %.%.id]", "shop.orders.lines.(%.%.name)", "a.b.c.%.d", "people.phone^(%.name, number).number", "%", "people.%.total",
		"shop.orders.lines{%.id: $sum(price)}", "people.phone.%.%.total", "shop.orders.lines.tags.%.sku", "rows.v.%.g", "shop.orders.lines.%.lines.sku", "people.(phone.%.name)", "shop.orders.(lines.%.id)",
		"shop.orders.lines[0].%.id", "(shop.orders.lines).%.id", "shop.*.lines.%.id", "a.*.c.%", "people.phone.{%.name: number}", "shop.orders@$o.lines.%.id", "**.sku.%.text", "shop.orders.lines.tags.%.%.id"}) +
		pick(g, "", "", "", "[0]", "[]", ".$string()", "[-1]")
}

func (g *generator) higherOrder() string {
	name := pick(g, "map", "filter", "reduce", "single", "sift", "each", "sort")
	for {
		if f := pick(g, functions...); f.name == name && len(f.args) > 1 {
			return g.apply(f, 2)
		}
	}
}

func (g *generator) lambda() string {
	body := g.within([]local{{"x", number}, {"y", number}}, pick(g, number, str, any_))
	switch g.rng.IntN(10) {
	case 0:
		return "(" + "$f := function($x, $y){" + body + "}; $f(" + g.of(number, 1) + ", " + g.of(number, 1) + "))"
	case 1:
		return "function($x, $y){" + body + "}(" + g.of(number, 1) + ")"
	case 2:
		return "($fact := λ($n){$n <= 1 ? 1 : $n * $fact($n - 1)}; $fact(" + pick(g, "5", "0", "10", "-1") + "))"
	case 3:
		return "($add := function($x){function($y){$x + $y}}; $add(" + g.of(number, 1) + ")(" + g.of(number, 1) + "))"
	case 4:
		return "($x := " + g.of(number, 1) + "; $f := function(){$x}; $x := " + g.of(number, 0) + "; [$f(), $x])"
	case 5:
		// Of the right types only: the reference does not check the arguments of a partial application, and what JavaScript
		// makes of others is not JSONata.
		return "($p := " + pick(g,
			"$substring(?, 0, 2); $p("+pick(g, `"hello"`, `"a"`, `""`, "long"),
			"$power(?, 2); $p("+pick(g, "3", "0", "-1.5", "total"),
			"function($x, $y){$x - $y}(?, 3); $p("+g.of(number, 1),
			"function($x, $y){[$x, $y]}(?, "+g.of(any_, 1)+"); $p("+g.of(any_, 1),
			"$formatNumber(?, '#.00'); $p("+pick(g, "3", "0.125", "-1234.5", "zero"),
			"$join(?, '-'); $p("+pick(g, `["a", "b"]`, "[]", `["x", "y", "z"]`),
			"$pad(?, 10, ?); $p("+pick(g, `"a"`, `"é"`, `"b", "#"`),
			"$map(?, function($v){$v * 2}); $p("+pick(g, "[1, 2, 3]", "[]", "[5]"),
			"$replace(?, 'l', ?); $p("+pick(g, `"hello", "L"`, `"", "x"`)) + "))"
	case 6:
		return "function($x, $y)<" + pick(g, "nn:n", "n-n:n", "sn?:s", "a<n>n:n", "n+:n", "x-:x", "(ns)n:x", "o:o", "s-s:s", "b?n:n", "a<s>:s", "f:x", "sa:s", "j:x", "u:x", "z", "n<", "a<a<n>>:n", "l:l") +
			">{" + body + "}(" + g.join(g.some(0, 3), ", ", func() string { return g.of(pick(g, number, str, array, any_), 0) }) + ")"
	case 7:
		return "($loop := function($n, $a){$n = 0 ? $a : $loop($n - 1, $a + $n)}; $loop(" + pick(g, "10", "200", "0") + ", " + g.leaf(number) + "))"
	case 8:
		return "(" + g.of(pick(g, array, objects), 1) + ").(function($x){" + body + "}($))"
	}
	return "($compose := function($f, $g){function($x){$g($f($x))}}; $h := $compose(" + pick(g, "$uppercase", "$trim", "$string", "$length") + ", " + pick(g, "$length", "$string", "$lowercase", "$type") + "); $h(" + g.of(pick(g, str, number), 1) + "))"
}

func (g *generator) composition() string {
	functionsOf := func() string {
		return pick(g, "$uppercase", "$trim", "$string", "$length", "$sum", "$count", "$reverse", "$substringBefore(' ')", "$map(function($v){$v})", "function($v){[$v]}", "$split(' ')", "$join('+')", "$type", "$keys",
			"$filter(λ($v){$v > 1})", "$substring(1)", "$nothing", "1", "$append(3)", "$distinct", "$not", "$max", "$pad(8)", "$contains('a')", "$replace('a', 'b')", "$exists", "$lookup('a')", "$average", "$round(1)")
	}
	chain := g.join(g.some(1, 3), " ~> ", functionsOf)
	switch g.rng.IntN(4) {
	case 0:
		return "($f := " + functionsOf() + " ~> " + chain + "; $f(" + g.of(any_, 1) + "))"
	case 1:
		return g.path() + " ~> " + chain
	}
	return g.of(pick(g, str, strs, numbers, any_), 1) + " ~> " + chain
}

func (g *generator) transform() string {
	update := pick(g, `{"price": price * 2}`, `{"new": $count($keys($))}`, `{}`, `"text"`, "nothing", `{"v": v + 1, "w": null}`, `[1]`, `{"name": $uppercase(name)}`, "$merge([{'z': 1}, {'y': 2}])", `{"sku": $.text}`)
	remove := pick(g, "", "", `, "tags"`, `, ["sku", "price"]`, `, 1`, `, nothing`, `, ["v"]`, `, []`, `, [1, 2]`)
	where := g.held([]string{"shop.orders.lines", "people", "**[price]", "rows", "nothing", "$", "shop", "a.b", "nested.nested", "rows[v > 2]", "list", "shop.orders[0]", "**.v"})
	switch g.rng.IntN(4) {
	case 0:
		return g.of(pick(g, object, objects, any_), 1) + " ~> |$|" + update + remove + "|"
	case 1:
		return "($t := |" + where + "|" + update + remove + "|; $t($))" + pick(g, "", ".shop.orders.lines", ".rows", ".people")
	}
	return "$ ~> |" + where + "|" + update + remove + "|"
}

func (g *generator) conditional() string {
	return g.of(any_, 1) + pick(g, " ? ", " ?: ", " ?? ", " ? 1 : ") + g.of(any_, 1) + pick(g, "", "", " ?? "+g.of(any_, 0), " ?: "+g.of(any_, 0), " : "+g.of(any_, 1))
}

func (g *generator) construct() string {
	switch g.rng.IntN(6) {
	case 0:
		return g.objectOf(2)
	case 1:
		return "[" + g.join(g.some(1, 3), ", ", func() string {
			return pick(g, g.of(any_, 1), g.bound()+".."+g.bound(), "[]", "nothing", "null")
		}) + "]"
	case 2:
		return "[" + g.bound() + ".." + g.bound() + "]." + pick(g, "($ * 2)", "[$]", "{'n': $}", "$string()", "$")
	case 3:
		return "(" + "$v := " + g.of(any_, 1) + "; " + g.within([]local{{"v", any_}}, any_) + ")"
	case 4:
		return g.field(objects) + ".{" + pick(g, "'a'", "sku", "name", "('v' & v)", "'v'") + ": " + g.of(any_, 1) + "}"
	}
	return "(" + g.join(g.some(0, 3), "; ", func() string { return g.of(any_, 1) }) + pick(g, "", ";") + ")"
}

func (g *generator) mixed() string { return g.of(pick(g, kinds...), 3) }

// malformed damages an expression, or takes one that is no expression.
func (g *generator) malformed() string {
	if g.chance(25) {
		return pick(g, "", " ", "(", ")", "[", "]", "{", "}", "1 +", "+ 1", "a.", ".a", "a..b", "$", "$$$", "'open", `"open`, "`open", "/open", "/* open", "a b", "1 2", "{1}", "{'a'}", "{'a': }", "[1,", "f(", "$f(", "function", "function(",
			"function($x)", "function(x){x}", "a := 1", "1 := 2", "a^", "a^(", "a^()", "@$x", "a@x", "a#x", "a[0]@$x", "a^(b)@$x", "a{b: c}{d: e}", "a{b: c}[0]", "|a|b", "|a|", "1.a", "'a'.b", "a.'b'", "a.1", "//", "/a/x", "/[/", "/(/",
			"1e400", "\"\\u12\"", `"\q"`, `"\u00g0"`, "1..2", "[1..2..3]", "a ? b :", "a ? : b", "a ~>", "~> a", "a !", "!a", "a ! = b", "%", "a.%.%", "%.a", "a and", "and", "or", "in", "and and and", "or or or", "in in in", "a = = b", "=", "*", "**", "*.*", "**.**",
			"a..*", "null", "true", "false", "null.a", "true.b", "nul", "λ($x){$x}(1)", "function($x)<n:n>{$x}('a')", "function($x)<n{$x}(1)", "function($x)<(n>{$x}(1)", "a.(b", "a[", "a[1", "{{}}", "{'a':1,}", "[1,,2]", "$f := ", "($a := 1; $b := $a; $b)", "$a := $b := 3",
			"1 = 1 = 1", "1 < 2 < 3", "a.b.c[", "a;b", "(a;;b)", "\u00a01", "1\u2003+ 1", "a\u00e9", "日本", "$日本 := 3", "?", "a ?", "a(?)", "$sum(?)", "$f(1)(2)", "#", "a # $i", "a @ $i", "@", "|", "||", "a || b", "a && b", "a == b", "^", "^(a)", "a ?? ", "?? a", "a ?: ", "-'a'", "-", "- - 1", "--1", "a--1", "1-1", "a-b", "\\", "~", "~>")
	}
	text := []rune(pick(g, g.path, g.call, g.lambda, g.construct, g.sorting, g.grouping, g.transform, g.composition, g.mixed)())
	at := g.rng.IntN(len(text) + 1)
	switch g.rng.IntN(4) {
	case 0:
		return string(text[:at])
	case 1:
		return string(text[:at]) + pick(g, "(", ")", "[", "]", "{", "}", ",", ";", ":", ".", "..", "?", "@", "#", "%", "^", "|", "~>", "'", "\"", "`", "/", "!", "=", "&", "$", "1", "a", " ", "*", "**", "-", ":=", "and", "\\", "??", "?:") + string(text[at:])
	case 2:
		return string(text[:at]) + string(text[min(at+1, len(text)):])
	}
	to := min(at+g.rng.IntN(8), len(text))
	return string(text[:at]) + string(text[to:])
}

// literal writes numbers, texts, comments and white space as people may write them.
func (g *generator) literal() string {
	switch g.rng.IntN(6) {
	case 0:
		return pick(g, "0", "00", "01", "1.", ".5", "1.50", "1e5", "1E+5", "1e-5", "1.5e300", "1e308 * 10", "-1", "- 1", "0x10", "1_000", "123456789012345678901234567890", "0.1 + 0.2", "1/3", "1e21", "1e-7", "-0", "5 % 3", "-5 % 3", "5.5 % 2", "1/0", "0/0", "2 * 1e308",
			"100 / 3", "1e20 + 1", "0.000001", "0.0000001", "1.0", "1e0", "12345.6789e-2", "4.35 * 100", "1.1 + 2.2", "9007199254740992 + 1", "10 - 10", "3 - -3", "3 --3", "2 - 1 - 1", "2 / 2 / 2", "7 - 2 * 3", "(7 - 2) * 3", "2 + 3 & 4", "1 & 2 + 3", "1 = 1 & ''")
	case 1:
		return pick(g, `"a\tb\nc\rd\be\ff\\g\/h\"i"`, `'it''s'`, `'a"b'`, `"a'b"`, `"\u0041\u00e9\u6f22\ud83d\ude00"`, `'\'`, `"multi
line"`, `"é"`, "`a`", "``", "`shop`.name", `"\u004"`, `"\x41"`, `""`, `''`, `"a" "b"`, `"😀" & "b"`, `"\\"`)
	case 2:
		return "/* comment */ " + g.of(any_, 1) + pick(g, "", " /* end */", "/**/", " /* open")
	case 3:
		return strings.ReplaceAll(g.of(any_, 1), " ", pick(g, "\n", "\t", "  ", " /* c */ ", "\r\n"))
	case 4:
		return pick(g, "true", "false", "null", "and", "or", "in", "function", "and.or", "in.and", "true.a", "null[0]", "[true, null]", "and and or", "`true`", "$true", "$null")
	}
	return pick(g, "$", "$$", "$.*", "$$.*", "*", "**", "$[0]", "$$[0]", "$.$", "$.$$", "$$.$", "*[0]", "**[0]", "*.*", "$^($)", "${'a': $}", "$[]", "*[]", "[$]", "[$$]", "{'a': $}", "$.[1, 2]", "$.{'a': 1}", "$[$]", "$[true]", "$[false]", "$[[0]]", "$[-1]")
}
