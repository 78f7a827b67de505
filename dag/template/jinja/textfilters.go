package jinja

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text makes a filter of a function of the printed value.
func textFilter(name string, f func(st *State, s string, a []any) (any, error), params ...Param) *Func {
	return NewFunc(name, func(st *State, a []any) (any, error) {
		s, err := st.str(a[0])
		if err != nil {
			return nil, err
		}
		return f(st, s, a)
	}, append([]Param{Req("value")}, params...)...)
}

func plainFilter(name string, f func(string) string) *Func {
	return textFilter(name, func(_ *State, s string, _ []any) (any, error) { return f(s), nil })
}

func textFilters(add func(*Func, ...string)) {
	add(plainFilter("upper", strings.ToUpper))
	add(plainFilter("lower", strings.ToLower))
	add(plainFilter("capitalize", capitalize))
	add(plainFilter("title", filterTitle))
	add(plainFilter("string", func(s string) string { return s }))
	add(textFilter("wordcount", func(_ *State, s string, _ []any) (any, error) {
		return len(strings.FieldsFunc(s, func(r rune) bool {
			return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
		})), nil
	}))
	add(textFilter("trim", func(_ *State, s string, a []any) (any, error) {
		if a[1] == nil {
			return strings.TrimSpace(s), nil
		}
		chars, err := Text(a[1], "the characters to trim")
		return strings.Trim(s, chars), err
	}, Opt("chars", nil)))
	add(textFilter("replace", func(st *State, s string, a []any) (any, error) {
		from, err := st.str(a[1])
		if err != nil {
			return nil, err
		}
		to, err := st.str(a[2])
		if err != nil {
			return nil, err
		}
		count := a[3]
		if count == nil {
			count = -1
		}
		return st.replace(s, from, to, count)
	}, Req("old"), Req("new"), Opt("count", nil)))
	add(textFilter("center", func(st *State, s string, a []any) (any, error) {
		width, err := Int(a[1], "the width")
		if err != nil {
			return nil, err
		}
		return st.pad("", s, spec{fill: ' ', align: 'c', width: width})
	}, Opt("width", 80)))
	add(textFilter("truncate", func(_ *State, s string, a []any) (any, error) { return truncate(s, a) },
		Opt("length", 255), Opt("killwords", false), Opt("end", "..."), Opt("leeway", 5)))
	add(textFilter("indent", func(st *State, s string, a []any) (any, error) { return indentText(st, s, a) },
		Opt("width", 4), Opt("first", false), Opt("blank", false)))
	add(textFilter("wordwrap", func(_ *State, s string, a []any) (any, error) { return wordWrap(s, a) },
		Opt("width", 79), Opt("break_long_words", true), Opt("wrapstring", "\n"), Opt("break_on_hyphens", true)))
	add(&Func{Name: "format", Params: []Param{Req("value")}, TakesRest: true, TakesKw: true, Do: formatFilter})
	add(NewFunc("pprint", func(st *State, a []any) (any, error) { return st.reprOf(a[0]) }, Req("value")))
	add(NewFunc("urlencode", func(st *State, a []any) (any, error) { return urlEncode(st, a[0]) }, Req("value")))
	add(NewFunc("tojson", func(st *State, a []any) (any, error) { return toJSON(st, a[0], a[1]) },
		Req("value"), Opt("indent", nil)))
}

func formatFilter(st *State, a Args) (any, error) {
	s, err := st.str(a.Values[0])
	if err != nil {
		return nil, err
	}
	if a.Kw.Len() > 0 {
		if len(a.Rest) > 0 {
			return nil, errf("format takes positional or named arguments, not both")
		}
		return st.percent(s, a.Kw)
	}
	return st.percent(s, Tuple(a.Rest))
}

// filterTitle is Jinja's title filter: a word begins after a blank, a dash or an opening bracket.
func filterTitle(s string) string {
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

func truncate(s string, a []any) (any, error) {
	size, err := Int(a[1], "the length")
	if err != nil {
		return nil, err
	}
	kill, err := truth(a[2])
	if err != nil {
		return nil, err
	}
	end, err := Text(a[3], "the end")
	if err != nil {
		return nil, err
	}
	leeway, err := Int(a[4], "the leeway")
	if err != nil {
		return nil, err
	}
	runes := []rune(s)
	keep := size - utf8.RuneCountInString(end)
	switch {
	case keep < 0:
		return nil, errf("the length %d is less than that of the end", size)
	case leeway < 0:
		return nil, errf("the leeway must not be negative")
	case len(runes) <= size+leeway:
		return s, nil
	}
	head := string(runes[:keep])
	if i := strings.LastIndexByte(head, ' '); !kill && i >= 0 {
		head = head[:i]
	}
	return head + end, nil
}

func indentText(st *State, s string, a []any) (any, error) {
	pad, isText := a[1].(string)
	if !isText {
		n, err := Int(a[1], "the width")
		if err == nil {
			err = st.text(n)
		}
		if err != nil {
			return nil, err
		}
		pad = strings.Repeat(" ", max(n, 0))
	}
	first, err := truth(a[2])
	if err != nil {
		return nil, err
	}
	blank, err := truth(a[3])
	if err != nil {
		return nil, err
	}
	if err := st.text(len(s) + (strings.Count(s, "\n")+1)*len(pad)); err != nil {
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
func wordWrap(s string, a []any) (any, error) {
	width, err := Int(a[1], "the width")
	if err == nil && width < 1 {
		err = errf("the width must be positive")
	}
	if err != nil {
		return nil, err
	}
	breakLong, err := truth(a[2])
	if err != nil {
		return nil, err
	}
	sep, err := Text(a[3], "the wrap string")
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

func urlEncode(st *State, v any) (any, error) {
	var pairs []any
	switch v := v.(type) {
	case *Dict:
		v.Each(func(k, item any) bool { pairs = append(pairs, Tuple{k, item}); return true })
	case *List:
		pairs = v.Items
	case Tuple:
		pairs = v
	default:
		s, err := st.str(v)
		return quote(s, "/"), err
	}
	var parts []string
	for _, p := range pairs {
		kv, err := st.iterate(p)
		if err == nil && len(kv) != 2 {
			err = errf("urlencode needs pairs of a name and a value")
		}
		if err != nil {
			return nil, err
		}
		k, err := st.str(kv[0])
		if err != nil {
			return nil, err
		}
		val, err := st.str(kv[1])
		if err != nil {
			return nil, err
		}
		parts = append(parts, url.QueryEscape(k)+"="+url.QueryEscape(val))
	}
	return strings.Join(parts, "&"), nil
}

var jsonEscapes = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`)

// toJSON is the tojson filter: keys are sorted and the characters that matter to HTML are escaped, as in Jinja.
func toJSON(st *State, v, indent any) (any, error) {
	n := -1
	if indent != nil {
		var err error
		if n, err = Int(indent, "the indent"); err != nil {
			return nil, err
		}
		if n = max(n, 0); n > 64 {
			return nil, errf("the indent is %d; at most 64 is allowed", n)
		}
	}
	text, err := st.JSON(v, n, true)
	return jsonEscapes.Replace(text), err
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

func htmlFilters(add func(*Func, ...string)) {
	add(plainFilter("escape", htmlEscapes.Replace), "e", "forceescape")
	add(plainFilter("safe", func(s string) string { return s }))
	add(plainFilter("striptags", stripTags))
	add(NewFunc("xmlattr", func(st *State, a []any) (any, error) { return xmlAttr(st, a[0], a[1]) },
		Req("value"), Opt("autospace", true)))
	add(plainFilter("urlize", urlize))
}

// stripTags removes tags and comments and joins runs of blanks.
func stripTags(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		end := "-->"
		if !strings.HasPrefix(s[i:], "<!--") {
			end = ">"
		}
		j := strings.Index(s[i:], end)
		if j < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i+j+len(end):]
	}
	b.WriteString(s)
	return strings.Join(strings.Fields(b.String()), " ")
}

func xmlAttr(st *State, v, autospace any) (any, error) {
	d, ok := v.(*Dict)
	if !ok {
		return nil, errf("xmlattr needs a dict, not %s", typeName(v))
	}
	space, err := truth(autospace)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, k := range d.Keys() {
		item, _ := d.Get(k)
		if item == nil {
			continue
		}
		name, err := st.str(k)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(name, " \t\n\f/>=") {
			return nil, errf("%s is not the name of an attribute", StringRepr(name))
		}
		text, err := st.str(item)
		if err != nil {
			return nil, err
		}
		parts = append(parts, htmlEscapes.Replace(name)+`="`+htmlEscapes.Replace(text)+`"`)
	}
	out := strings.Join(parts, " ")
	if space && out != "" {
		out = " " + out
	}
	return out, nil
}

// urlize turns words that are web addresses into links.
func urlize(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if slices.ContainsFunc([]string{"http://", "https://"}, func(p string) bool {
			return strings.HasPrefix(w,
				p) && len(w) > len(p)
		}) {
			e := htmlEscapes.Replace(w)
			words[i] = `<a href="` + e + `" rel="noopener">` + e + `</a>`
		}
	}
	return strings.Join(words, " ")
}
