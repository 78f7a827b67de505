package jsonpath_test

import (
	"fmt"
	"strings"
	"testing"

	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

const document = `{"store":{"book":[
	{"category":"reference","title":"Sayings","price":8.95},
	{"category":"fiction","title":"Sword","price":12.99,"isbn":"1"},
	{"category":"fiction","title":"Moby","price":8.99,"isbn":"2"}],
	"bicycle":{"color":"red","price":19.95}},
	"detail-type":"x","a b":1,"n":null,"list":[1,2,3,4,5],"s":"text","nested":[[1,2],[3]]}`

func parse(t *testing.T, text string) jsonvalue.Value {
	t.Helper()
	v, err := jsonvalue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEval(t *testing.T) {
	t.Parallel()
	doc := parse(t, document)
	for path, want := range map[string]string{
		"$.detail-type":                       `"x"`,
		"$['a b']":                            `1`,
		`$["a b"]`:                            `1`,
		"$.n":                                 `null`,
		"$.store.book[0].title":               `"Sayings"`,
		"$.store.book[-1].title":              `"Moby"`,
		"$.store.book[*].title":               `["Sayings","Sword","Moby"]`,
		"$.store.book[0,2].title":             `["Sayings","Moby"]`,
		"$.store.book[:2].price":              `[8.95,12.99]`,
		"$.store.book[1:].price":              `[12.99,8.99]`,
		"$.store.book[-1:].price":             `[8.99]`,
		"$.list[1:3]":                         `[2,3]`,
		"$.list[10:]":                         `[]`,
		"$.list[3:1]":                         `[]`,
		"$..price":                            `[8.95,12.99,8.99,19.95]`,
		"$..book[?(@.isbn)].title":            `["Sword","Moby"]`,
		"$..book[?(@.price < 10)].title":      `["Sayings","Moby"]`,
		"$..book[?(@.price<10&&@.isbn)].isbn": `["2"]`,
		"$..book[?(@.category == 'reference' || @.isbn == '1')].title": `["Sayings","Sword"]`,
		"$..book[?(!@.isbn)].title":                                    `["Sayings"]`,
		"$..book[?(@.title =~ /s.*/i)].title":                          `["Sayings","Sword"]`,
		"$..book[?(@.price in [8.95, 8.99])].title":                    `["Sayings","Moby"]`,
		"$.store.book[?(@.price > $.store.book[0].price)].title":       `["Sword","Moby"]`,
		"$.store.bicycle['color','price']":                             `{"color":"red","price":19.95}`,
		"$.store.*.color":                                              `["red"]`,
		"$.missing[*]":                                                 `[]`,
		"$.missing[:1]":                                                `[]`,
		"$.s[*]":                                                       `[]`,
		"$.nested[*].missing.x":                                        `[]`,
		"$.nested[9][*]":                                               `[]`,
		"$..missing":                                                   `[]`,
		"$.list.length()":                                              `5`,
		"$.store.bicycle.keys()":                                       `["color","price"]`,
		"$.nested[*][0]":                                               `[1,3]`,
		"$.nested[0][1]":                                               `2`,
		"$.[0]":                                                        "",
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got, err := p.Eval(doc)
		if want == "" {
			if err == nil {
				t.Errorf("%s: got %s, want an error", path, got)
			}
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s (%v) want %s", path, got, err, want)
		}
	}
}

func TestMissingPlacesReadLikeJayway(t *testing.T) {
	t.Parallel()
	doc := parse(t, document)
	for path, want := range map[string]string{
		"$.x":            "Invalid path '$.x' : No results for path: $['x']",
		"$.x.y":          "Invalid path '$.x.y' : Missing property in path $['x']",
		"$.store.x":      "Invalid path '$.store.x' : No results for path: $['store']['x']",
		"$.list[9]":      "Invalid path '$.list[9]' : No results for path: $['list'][9]",
		"$.s[0]":         `Invalid path '$.s[0]' : Filter: [0] can only be applied to arrays. Current context is: "text"`,
		"$.s.length.x":   "Invalid path '$.s.length.x' : Expected to find an object with property ['length'] in path $['s'] but found 'com.fasterxml.jackson.databind.node.TextNode'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
		"$.n.length()":   "Invalid path '$.n.length()' : length() cannot be applied to a null",
		"$.list.sum()":   "Invalid path '$.list.sum()' : Aggregation function attempted to calculate value using empty array",
		"$.nested.sum()": "Invalid path '$.nested.sum()' : Aggregation function attempted to calculate value using empty array",
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Eval(doc); fmt.Sprint(err) != want {
			t.Errorf("%s:\ngot  %v\nwant %s", path, err, want)
		}
	}
}

func TestRootsAndReferencePaths(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"$":           "root=0 var= ref=true definite=true",
		"$$.State":    "root=1 var= ref=true definite=true",
		"$$":          "root=1 var= ref=true definite=true",
		"$x":          "root=2 var=x ref=true definite=true",
		"$größe_1[0]": "root=2 var=größe_1 ref=true definite=true",
		"$x.a[*]":     "root=2 var=x ref=false definite=false",
		"$.a['b']":    "root=0 var= ref=true definite=true",
		"$.a.size()":  "root=0 var= ref=false definite=true",
		"$..a":        "root=0 var= ref=false definite=false",
	} {
		p, err := jsonpath.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if from := strings.TrimPrefix(text, "$"); p.Root() == jsonpath.Context && p.FromRoot() != from {
			t.Errorf("%s from its root: %s", text, p.FromRoot())
		}
		got := fmt.Sprintf("root=%d var=%s ref=%v definite=%v", p.Root(), p.Variable(), p.IsReference(), p.Definite())
		if got != want || p.String() != text {
			t.Errorf("%s: got %s want %s", text, got, want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                "a path starts with $",
		"a.b":             "a path starts with $",
		"$.":              "a name must follow the dot",
		"$.a b":           `unexpected character " "`,
		"$[":              "expected a name in quotes, an index, a slice, * or a filter",
		"$['a'":           "expected ]",
		"$['a":            "unterminated string",
		"$[1,]":           "expected an index after the comma",
		"$['a',1]":        "expected a quoted name after the comma",
		"$[?(@.a ==)]":    "expected a path or a literal",
		"$[?(@.a]":        "expected ) at the end of the filter",
		"$[?(1)]":         "expected a comparison",
		"$[?(@.a=~/x)]":   "unterminated regular expression",
		"$[?(@.a=~/(/)]":  "error parsing regexp: missing closing ): `^(?:()$`",
		"$.a.nothing()":   "unknown function nothing()",
		"$.a.length().b":  "a function ends the path",
		"$[99999999999]":  "99999999999 is not an index",
		"$[?(((((@.a)))]": "expected )",
	} {
		_, err := jsonpath.Parse(text)
		var got string
		if e, ok := err.(*jsonpath.SyntaxError); ok { //nolint:errorlint // the exact type is promised
			got = e.Message
		}
		if got != want {
			t.Errorf("%s: got %q want %q", text, got, want)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, doc, want string }{
		{"$", `{"a":1}`, `"new"`},
		{"$.a", `{"a":1,"b":2}`, `{"a":"new","b":2}`},
		{"$.c.d", `{"a":1}`, `{"a":1,"c":{"d":"new"}}`},
		{"$.a[1]", `{"a":[1,2]}`, `{"a":[1,"new"]}`},
		{"$.a", `[1]`, ``},
		{"$.a[5]", `{"a":[1]}`, ``},
		{"$.a.b", `{"a":3}`, ``},
	} {
		p, err := jsonpath.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		doc := parse(t, c.doc)
		got, err := p.Set(doc, jsonvalue.NewString("new"))
		if c.want == "" != (err != nil) || err == nil && got.String() != c.want {
			t.Errorf("%s in %s: got %s (%v) want %s", c.path, c.doc, got, err, c.want)
		}
		if doc.String() != c.doc {
			t.Errorf("%s changed the original to %s", c.path, doc)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"$.a[0]['b','c'][1:2][*]..d", "$$.Map.Item", "$x[?(@.a =~ /b/i && !($.c in [1,'2']))]", "$[?(@", "$.a.length()", "$[0]("} {
		f.Add(s)
	}
	doc, err := jsonvalue.Parse(document)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := jsonpath.Parse(text)
		if err != nil {
			return
		}
		v, err := p.Eval(doc)
		if err == nil && !p.Definite() && v.Kind() != jsonvalue.Array && p.String()[len(p.String())-1] != ')' {
			t.Fatalf("%q is indefinite and yields %s", text, v)
		}
		if p.IsReference() {
			if out, err := p.Set(doc, jsonvalue.NewInt(1)); err == nil {
				if got, err := p.Eval(out); err != nil || got.String() != "1" {
					t.Fatalf("%q: set and read back: %v %v", text, got, err)
				}
			}
		}
	})
}
