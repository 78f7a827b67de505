package jsonatatest

import "strings"

// documents are the inputs of generated cases; an empty one is no input at all.
var documents = []string{
	shop, shop, shop, shop, people, people, shapes, shapes, `[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3}]`, `[1, 2, 3]`, `"text"`, `42`, `null`, `{}`, ``,
}

const shop = `{"shop": {"name": "Corner & Co", "open": true, "founded": "1987-03-09T08:00:00Z", "rating": null, "staff": ["Ann", "Bob", "Cy"],
"orders": [
 {"id": "o-1", "day": "2017-11-07", "paid": true, "lines": [
  {"sku": "p10", "text": "Blue Bowl", "price": 12.5, "count": 2, "size": {"w": 10, "h": 4}, "tags": ["blue", "bowl"]},
  {"sku": "p20", "text": "Red Cup", "price": 3.25, "count": 10, "size": {"w": 5, "h": 7}, "tags": ["red"]}]},
 {"id": "o-2", "day": "2018-02-28", "paid": false, "lines": [
  {"sku": "p10", "text": "Blue Bowl", "price": 12.5, "count": 1, "size": {"w": 10, "h": 4}, "tags": []},
  {"sku": "p30", "text": "green mug", "price": 107.99, "count": 1, "tags": ["green", "mug", "hot"]}]},
 {"id": "o-3", "day": null, "lines": {"sku": "p40", "text": "Jug", "price": 20, "count": 3, "tags": "jug"}},
 {"id": "o-4", "lines": []}],
"stock": {"p10": 4, "p20": 0, "p30": -1}, "odd name": {"a-b": [1, 2], "c d": "e"}}}`

const people = `{"people": [
 {"name": "Fred", "age": 28, "mail": ["fred@a.example", "f@b.example"], "phone": [{"type": "home", "number": "0203 544 1234"}, {"type": "office", "number": "01962 001234"}], "address": {"city": "Winchester", "post": "SO21 2JN"}},
 {"name": "Ada", "age": 36, "mail": "ada@a.example", "phone": [{"type": "mobile", "number": "077 7700 1234"}], "address": {"city": "London", "post": "N1"}},
 {"name": "Émile", "age": 7, "mail": [], "phone": [], "address": {"city": "Paris"}},
 {"name": "Bo", "age": 28.5, "address": null}],
"total": 4, "ratio": 0.333, "flags": [true, false, null], "grid": [[1, 2, 3], [4, 5, 6], [7, [8, 9]]]}`

const shapes = `{"a": {"b": {"c": 1, "d": [1, 2, {"c": 3}]}, "n": -12.75}, "list": [3, 1, 2, 10, 2], "words": ["pear", "apple", "fig", "Apple", "42", "", "banana split"],
"mixed": [1, "1", true, null, [2, [3]], {"k": "v"}, ""], "nested": [{"nested": [{"v": 1}, {"v": [2, 3]}]}, {"nested": {"v": 4}}], "empty": {}, "none": [], "zero": 0,
"when": 1510067557121, "day": "2017-11-07T15:12:37.121+01:00", "long": "The quick brown fox jumps over the lazy dog. The end?", "emoji": "a😀b漢é",
"rows": [{"g": "x", "v": 3, "w": "q"}, {"g": "y", "v": 1, "w": "p"}, {"g": "x", "v": 2}, {"g": null, "v": 5}, {"v": 4, "g": "y"}]}`

// paths are paths of the documents by the kind of what they hold; in another document they hold nothing.
var paths = map[kind][]string{
	number: {"shop.orders[0].lines[0].price", "shop.stock.p10", "people[0].age", "total", "ratio", "a.b.c", "a.n", "zero", "when", "list[1]", "$count(list)", "people[1].age",
		"$[0].a", "rows[0].v", "grid[0][1]", "shop.orders[1].lines[1].price"},
	str: {"shop.name", "shop.orders[0].id", "shop.orders[0].lines[1].text", "people[0].name", "people[2].name", "words[0]", "words[6]", "long", "emoji", "day", "shop.founded",
		"shop.`odd name`.`c d`", "people[0].phone[0].number", "mixed[1]", "$[0].b"},
	boolean: {"shop.open", "shop.orders[0].paid", "flags[0]", "flags[1]", "mixed[2]", "$exists(list)", "shop.rating"},
	numbers: {"shop.orders.lines.price", "people.age", "list", "grid[0]", "grid", "rows.v", "a.b.d", "shop.orders.lines.(price * count)", "$.a", "shop.orders.lines.size.w", "nested.nested.v"},
	strs:    {"shop.staff", "people.name", "words", "people.mail", "shop.orders.lines.sku", "shop.orders.id", "rows.g", "people.phone.number", "shop.orders.lines.tags", "$.b"},
	array:   {"mixed", "flags", "none", "grid", "shop.*", "nested", "shop.orders.lines.tags", "a.*", "$", "**.tags"},
	object:  {"shop", "shop.orders[0]", "people[0]", "people[0].address", "a", "a.b", "empty", "shop.stock", "rows[0]", "$"},
	objects: {"shop.orders", "shop.orders.lines", "people", "people.phone", "rows", "nested", "$", "nested.nested"},
}

// owners says which document a path belongs to, by how it begins; other paths belong to all.
var owners = []struct{ prefix, document string }{
	{"shop", shop}, {"people", people}, {"total", people}, {"ratio", people}, {"flags", people}, {"grid", people},
	{"a.", shapes}, {"list", shapes}, {"words", shapes}, {"mixed", shapes}, {"nested", shapes}, {"rows", shapes}, {"zero", shapes}, {"when", shapes},
	{"day", shapes}, {"long", shapes}, {"emoji", shapes}, {"empty", shapes}, {"none", shapes},
}

// holds says whether a document may hold something at a path.
func holds(document, path string) bool {
	for _, o := range owners {
		if strings.HasPrefix(path, o.prefix) {
			return o.document == document
		}
	}
	return true
}

// field picks a path to something of a kind, mostly one that the document of the case has.
func (g *generator) field(k kind) string { return g.held(paths[k]) }

// held picks one of the expressions, mostly one about the document of the case.
func (g *generator) held(expressions []string) string {
	for range 12 {
		if e := pick(g, expressions...); holds(g.document, e) || g.chance(5) {
			return e
		}
	}
	return pick(g, expressions...)
}

// steps are names that a path may go on with.
var steps = []string{"orders", "lines", "price", "count", "size", "tags", "sku", "text", "w", "name", "phone", "number", "type", "address", "city", "age", "b", "c", "d", "v", "g", "nested",
	"nothing", "*", "**", "`odd name`", "`a-b`", "stock", "p10", "id", "day"}

// roots are where paths begin.
var roots = []string{"shop", "shop.orders", "shop.orders.lines", "people", "people.phone", "a", "a.b", "rows", "nested", "list", "words", "mixed", "grid", "$", "$$", "*", "**", "nothing", "shop.stock",
	"[1, 2, 3]", `{"a": [1, {"b": 2}]}`, "(shop; people)", "shop.(orders)", "$.people"}
