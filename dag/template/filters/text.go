package filters

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"gust/dag/template/pyvalue"
)

// textFilter makes a filter of a function of the printed value.
func textFilter(name string, f func(st *pyvalue.State, s string, a []any) (any, error),
	params ...pyvalue.Param) *pyvalue.Func {
	return pyvalue.NewFunc(name, func(st *pyvalue.State, a []any) (any, error) {
		s, err := st.Str(a[0])
		if err != nil {
			return nil, err
		}
		return f(st, s, a)
	}, append([]pyvalue.Param{req("value")}, params...)...)
}

func plainFilter(name string, f func(string) string) *pyvalue.Func {
	return textFilter(name, func(_ *pyvalue.State, s string, _ []any) (any, error) { return f(s), nil })
}

// textFilters are the filters of the printed value.
var textFilters = []*pyvalue.Func{
	plainFilter("upper", strings.ToUpper),
	plainFilter("lower", strings.ToLower),
	plainFilter("capitalize", pyvalue.Capitalize),
	plainFilter("title", title),
	plainFilter("string", func(s string) string { return s }),
	textFilter("wordcount", func(_ *pyvalue.State, s string, _ []any) (any, error) {
		return len(strings.FieldsFunc(s, func(r rune) bool {
			return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
		})), nil
	}),
	textFilter("trim", func(_ *pyvalue.State, s string, a []any) (any, error) {
		if a[1] == nil {
			return strings.TrimSpace(s), nil
		}
		chars, err := pyvalue.Text(a[1], "the characters to trim")
		return strings.Trim(s, chars), err
	}, opt("chars", nil)),
	textFilter("replace", replace, req("old"), req("new"), opt("count", nil)),
	textFilter("center", func(st *pyvalue.State, s string, a []any) (any, error) {
		width, err := pyvalue.Int(a[1], "the width")
		if err != nil {
			return nil, err
		}
		return st.Center(s, width)
	}, opt("width", 80)),
	textFilter("truncate", truncate, opt("length", 255), opt("killwords", false), opt("end", "..."), opt("leeway", 5)),
	textFilter("indent", indent, opt("width", 4), opt("first", false), opt("blank", false)),
	textFilter("wordwrap", wordWrap,
		opt("width", 79), opt("break_long_words", true), opt("wrapstring", "\n"), opt("break_on_hyphens", true)),
	{Name: "format", Params: []pyvalue.Param{req("value")}, TakesRest: true, TakesKw: true, Do: formatFilter},
	pyvalue.NewFunc("pprint", func(st *pyvalue.State, a []any) (any, error) { return st.Repr(a[0]) }, req("value")),
	pyvalue.NewFunc("urlencode", urlEncode, req("value")),
	pyvalue.NewFunc("tojson", toJSON, req("value"), opt("indent", nil)),
}

func replace(st *pyvalue.State, s string, a []any) (any, error) {
	from, err := st.Str(a[1])
	if err != nil {
		return nil, err
	}
	to, err := st.Str(a[2])
	if err != nil {
		return nil, err
	}
	count := -1
	if a[3] != nil {
		if count, err = pyvalue.Int(a[3], "the count"); err != nil {
			return nil, err
		}
	}
	return st.Replace(s, from, to, count)
}

func formatFilter(st *pyvalue.State, a pyvalue.Args) (any, error) {
	s, err := st.Str(a.Values[0])
	if err != nil {
		return nil, err
	}
	if a.Kw.Len() > 0 {
		if len(a.Rest) > 0 {
			return nil, pyvalue.Errorf("format takes positional or named arguments, not both")
		}
		return st.Percent(s, a.Kw)
	}
	return st.Percent(s, pyvalue.Tuple(a.Rest))
}

// title is Jinja's title filter: a word begins after a blank, a dash or an opening bracket.
func title(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		was := start
		start = unicode.IsSpace(r) || strings.ContainsRune("-({[<", r)
		if was {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func truncate(_ *pyvalue.State, s string, a []any) (any, error) {
	size, err := pyvalue.Int(a[1], "the length")
	if err != nil {
		return nil, err
	}
	kill, err := pyvalue.Truth(a[2])
	if err != nil {
		return nil, err
	}
	end, err := pyvalue.Text(a[3], "the end")
	if err != nil {
		return nil, err
	}
	leeway, err := pyvalue.Int(a[4], "the leeway")
	if err != nil {
		return nil, err
	}
	runes := []rune(s)
	keep := size - utf8.RuneCountInString(end)
	switch {
	case keep < 0:
		return nil, pyvalue.Errorf("the length %d is less than that of the end", size)
	case leeway < 0:
		return nil, pyvalue.Errorf("the leeway must not be negative")
	case len(runes) <= size+leeway:
		return s, nil
	}
	head := string(runes[:keep])
	if i := strings.LastIndexByte(head, ' '); !kill && i >= 0 {
		head = head[:i]
	}
	return head + end, nil
}

func indent(st *pyvalue.State, s string, a []any) (any, error) {
	pad, isText := a[1].(string)
	if !isText {
		n, err := pyvalue.Int(a[1], "the width")
		if err == nil {
			err = st.ReserveText(n)
		}
		if err != nil {
			return nil, err
		}
		pad = strings.Repeat(" ", max(n, 0))
	}
	first, err := pyvalue.Truth(a[2])
	if err != nil {
		return nil, err
	}
	blank, err := pyvalue.Truth(a[3])
	if err != nil {
		return nil, err
	}
	if err := st.ReserveText(len(s) + (strings.Count(s, "\n")+1)*len(pad)); err != nil {
		return nil, err
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if (i > 0 || first) && (line != "" || blank || i == 0) {
			lines[i] = pad + line
		}
	}
	return strings.Join(lines, "\n"), nil
}

// wordWrap wraps each line as textwrap does for text without tabs.
func wordWrap(_ *pyvalue.State, s string, a []any) (any, error) {
	width, err := pyvalue.Int(a[1], "the width")
	if err == nil && width < 1 {
		err = pyvalue.Errorf("the width must be positive")
	}
	if err != nil {
		return nil, err
	}
	breakLong, err := pyvalue.Truth(a[2])
	if err != nil {
		return nil, err
	}
	sep, err := pyvalue.Text(a[3], "the wrap string")
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, strings.Join(wrapLine(line, width, breakLong), sep))
	}
	return strings.Join(lines, sep), nil
}

func wrapLine(line string, width int, breakLong bool) []string {
	var out []string
	var current strings.Builder
	size := 0
	for i, word := range strings.Split(line, " ") {
		n := utf8.RuneCountInString(word)
		if i > 0 && size+1+n <= width {
			current.WriteString(" " + word)
			size += 1 + n
			continue
		}
		if i > 0 {
			out = append(out, strings.TrimRight(current.String(), " "))
			current.Reset()
		}
		if breakLong && n > width {
			runes := []rune(word)
			for ; len(runes) > width; runes = runes[width:] {
				out = append(out, string(runes[:width]))
			}
			word = string(runes)
		}
		current.WriteString(word)
		size = utf8.RuneCountInString(word)
	}
	return append(out, current.String())
}

// quote percent-encodes as Python's urllib.parse.quote does.
func quote(s, safe string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_.-~"+safe, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// urlEncode encodes a text for a path, or pairs of names and values for a query.
func urlEncode(st *pyvalue.State, a []any) (any, error) {
	var list []any
	switch v := a[0].(type) {
	case *pyvalue.Dict:
		list = v.Pairs()
	case *pyvalue.List:
		list = v.Items
	case pyvalue.Tuple:
		list = v
	default:
		s, err := st.Str(v)
		return quote(s, "/"), err
	}
	var parts []string
	for _, p := range list {
		kv, err := st.Iterate(p)
		if err == nil && len(kv) != 2 {
			err = pyvalue.Errorf("urlencode needs pairs of a name and a value")
		}
		if err != nil {
			return nil, err
		}
		k, err := st.Str(kv[0])
		if err != nil {
			return nil, err
		}
		val, err := st.Str(kv[1])
		if err != nil {
			return nil, err
		}
		parts = append(parts, url.QueryEscape(k)+"="+url.QueryEscape(val))
	}
	return strings.Join(parts, "&"), nil
}

var jsonEscapes = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`)

// toJSON is the tojson filter: keys are sorted and the characters that matter to HTML are escaped, as in Jinja.
func toJSON(st *pyvalue.State, a []any) (any, error) {
	n := -1
	if a[1] != nil {
		var err error
		if n, err = pyvalue.Int(a[1], "the indent"); err != nil {
			return nil, err
		}
		if n = max(n, 0); n > 64 {
			return nil, pyvalue.Errorf("the indent is %d; at most 64 is allowed", n)
		}
	}
	text, err := st.JSON(a[0], n, true)
	return jsonEscapes.Replace(text), err
}
