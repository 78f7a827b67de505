package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strMethods returns the methods of Python's str.
func strMethods() map[string]methodOf {
	return map[string]methodOf{
		"upper":      onStr(strings.ToUpper),
		"lower":      onStr(strings.ToLower),
		"casefold":   onStr(strings.ToLower),
		"title":      onStr(titleCase),
		"capitalize": onStr(capitalize),
		"swapcase":   onStr(swapCase),
		"strip":      stripMethod(strings.TrimFunc, strings.Trim),
		"lstrip":     stripMethod(strings.TrimLeftFunc, strings.TrimLeft),
		"rstrip":     stripMethod(strings.TrimRightFunc, strings.TrimRight),
		"isdigit":    isAll(unicode.IsDigit),
		"isdecimal":  isAll(unicode.IsDigit),
		"isnumeric":  isAll(unicode.IsNumber),
		"isalpha":    isAll(unicode.IsLetter),
		"isalnum":    isAll(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isspace":    isAll(unicode.IsSpace),
		"isascii":    strTest(func(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0 }),
		"isupper":    strTest(func(s string) bool { return s == strings.ToUpper(s) && s != strings.ToLower(s) }),
		"islower":    strTest(func(s string) bool { return s == strings.ToLower(s) && s != strings.ToUpper(s) }),
		"istitle":    strTest(func(s string) bool { return s == titleCase(s) && s != strings.ToLower(s) }),
		"isidentifier": strTest(func(s string) bool {
			return s != "" && identLen(s) == len(s)
		}),
		"replace": {params: []Param{Req("old"), Req("new"), Opt("count", -1)}, do: func(st *State, self any, a Args) (any,
			error) {
			return st.replace(self, a.Values[0], a.Values[1], a.Values[2])
		}},
		"split":      {params: []Param{Opt("sep", nil), Opt("maxsplit", -1)}, do: splitMethod(false)},
		"rsplit":     {params: []Param{Opt("sep", nil), Opt("maxsplit", -1)}, do: splitMethod(true)},
		"splitlines": {params: []Param{Opt("keepends", false)}, do: splitLines},
		"join": {params: []Param{Req("iterable")}, do: func(st *State, self any, a Args) (any, error) {
			sep, err := Text(self, "the separator")
			if err != nil {
				return nil, err
			}
			items, err := st.iterate(a.Values[0])
			if err != nil {
				return nil, err
			}
			for i, item := range items {
				if _, ok := item.(string); !ok {
					return nil, errf("join() needs strings, item %d is of type %s", i, typeName(item))
				}
			}
			return st.joinText(items, sep)
		}},
		"startswith":   affix(strings.HasPrefix),
		"endswith":     affix(strings.HasSuffix),
		"removeprefix": cut(strings.TrimPrefix),
		"removesuffix": cut(strings.TrimSuffix),
		"find":         findMethod(strings.Index, false),
		"rfind":        findMethod(strings.LastIndex, false),
		"index":        findMethod(strings.Index, true),
		"rindex":       findMethod(strings.LastIndex, true),
		"count": {params: []Param{Req("sub")}, do: func(_ *State, self any, a Args) (any, error) {
			return onTexts(self, a.Values[0], func(s, sub string) (any, error) { return strings.Count(s, sub), nil })
		}},
		"partition": {params: []Param{Req("sep")}, do: func(_ *State, self any, a Args) (any, error) {
			return onTexts(self, a.Values[0], func(s, sep string) (any, error) {
				if i := strings.Index(s, sep); i >= 0 && sep != "" {
					return Tuple{s[:i], sep, s[i+len(sep):]}, nil
				}
				return Tuple{s, "", ""}, emptySeparator(sep)
			})
		}},
		"rpartition": {params: []Param{Req("sep")}, do: func(_ *State, self any, a Args) (any, error) {
			return onTexts(self, a.Values[0], func(s, sep string) (any, error) {
				if i := strings.LastIndex(s, sep); i >= 0 && sep != "" {
					return Tuple{s[:i], sep, s[i+len(sep):]}, nil
				}
				return Tuple{"", "", s}, emptySeparator(sep)
			})
		}},
		"zfill":  padMethod('=', false),
		"ljust":  padMethod('<', true),
		"rjust":  padMethod('>', true),
		"center": padMethod('c', true),
		"expandtabs": {params: []Param{Opt("tabsize", 8)}, do: func(st *State, self any, a Args) (any, error) {
			return st.expandTabs(self, a.Values[0])
		}},
		"format": {rest: true, kw: true, do: func(st *State, self any, a Args) (any, error) {
			s, err := Text(self, "the format")
			if err != nil {
				return nil, err
			}
			return st.strFormat(s, a.Rest, a.Kw)
		}},
		"format_map": {params: []Param{Req("mapping")}, do: func(st *State, self any, a Args) (any, error) {
			s, err := Text(self, "the format")
			d, ok := a.Values[0].(*Dict)
			if err == nil && !ok {
				err = errf("format_map() needs a dict, not %s", typeName(a.Values[0]))
			}
			if err != nil {
				return nil, err
			}
			return st.strFormat(s, nil, d)
		}},
	}
}

func emptySeparator(sep string) error {
	if sep == "" {
		return errf("the separator is empty")
	}
	return nil
}

func onStr(f func(string) string) methodOf {
	return methodOf{do: func(_ *State, self any, _ Args) (any, error) {
		s, err := Text(self, "the text")
		return f(s), err
	}}
}

func strTest(f func(string) bool) methodOf {
	return methodOf{do: func(_ *State, self any, _ Args) (any, error) {
		s, err := Text(self, "the text")
		return f(s), err
	}}
}

func isAll(f func(rune) bool) methodOf {
	return strTest(func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0
	})
}

// titleCase capitalises every run of letters, as str.title does.
func titleCase(s string) string {
	letter := false
	return strings.Map(func(r rune) rune {
		was := letter
		letter = unicode.IsLetter(r)
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

func stripMethod(space func(string, func(rune) bool) string, set func(string, string) string) methodOf {
	return methodOf{params: []Param{Opt("chars", nil)}, do: func(_ *State, self any, a Args) (any, error) {
		s, err := Text(self, "the text")
		if err != nil || a.Values[0] == nil {
			return space(s, unicode.IsSpace), err
		}
		chars, err := Text(a.Values[0], "the characters to strip")
		return set(s, chars), err
	}}
}

// onTexts calls f with two strings.
func onTexts(self, other any, f func(s, o string) (any, error)) (any, error) {
	s, err := Text(self, "the text")
	if err != nil {
		return nil, err
	}
	o, err := Text(other, "the argument")
	if err != nil {
		return nil, err
	}
	return f(s, o)
}

func (st *State) replace(self, from, to, count any) (any, error) {
	n, err := Int(count, "the count")
	if err != nil {
		return nil, err
	}
	return onTexts(from, to, func(from, to string) (any, error) {
		s, err := Text(self, "the text")
		if err != nil {
			return nil, err
		}
		found := strings.Count(s, from)
		if n >= 0 {
			found = min(found, n)
		}
		if err := st.text(len(s) + found*max(0, len(to)-len(from))); err != nil {
			return nil, err
		}
		return strings.Replace(s, from, to, n), nil
	})
}

func affix(has func(s, affix string) bool) methodOf {
	return methodOf{params: []Param{Req("affix")}, do: func(_ *State, self any, a Args) (any, error) {
		list, ok := a.Values[0].(Tuple)
		if !ok {
			list = Tuple{a.Values[0]}
		}
		for _, item := range list {
			v, err := onTexts(self, item, func(s, o string) (any, error) { return has(s, o), nil })
			if err != nil || v == true {
				return v, err
			}
		}
		return false, nil
	}}
}

func cut(f func(s, affix string) string) methodOf {
	return methodOf{params: []Param{Req("affix")}, do: func(_ *State, self any, a Args) (any, error) {
		return onTexts(self, a.Values[0], func(s, o string) (any, error) { return f(s, o), nil })
	}}
}

func findMethod(search func(s, sub string) int, must bool) methodOf {
	return methodOf{params: []Param{Req("sub")}, do: func(_ *State, self any, a Args) (any, error) {
		return onTexts(self, a.Values[0], func(s, sub string) (any, error) {
			i := search(s, sub)
			if i < 0 && must {
				return nil, errf("%s is not in the text", StringRepr(sub))
			}
			if i > 0 {
				i = utf8.RuneCountInString(s[:i])
			}
			return i, nil
		})
	}}
}

func splitMethod(right bool) func(*State, any, Args) (any, error) {
	return func(st *State, self any, a Args) (any, error) {
		s, err := Text(self, "the text")
		if err != nil {
			return nil, err
		}
		limit, err := Int(a.Values[1], "maxsplit")
		if err != nil {
			return nil, err
		}
		var parts []string
		if a.Values[0] == nil {
			parts = splitSpace(s, limit, right)
		} else {
			sep, err := Text(a.Values[0], "the separator")
			if err == nil {
				err = emptySeparator(sep)
			}
			if err == nil {
				err = st.items(splits(strings.Count(s, sep), limit) + 1)
			}
			if err != nil {
				return nil, err
			}
			parts = splitText(s, sep, limit, right)
		}
		return st.texts(parts)
	}
}

func (st *State) texts(parts []string) (any, error) {
	if err := st.items(len(parts)); err != nil {
		return nil, err
	}
	list := &List{make([]any, len(parts))}
	for i, p := range parts {
		list.Items[i] = p
	}
	return list, nil
}

func splitText(s, sep string, limit int, right bool) []string {
	if limit < 0 {
		return strings.Split(s, sep)
	}
	if !right {
		return strings.SplitN(s, sep, limit+1)
	}
	parts := strings.Split(s, sep)
	if extra := len(parts) - limit - 1; extra > 0 {
		parts = append([]string{strings.Join(parts[:extra+1], sep)}, parts[extra+1:]...)
	}
	return parts
}

// splitSpace splits at runs of white space; the rest after the limit keeps its inner blanks.
func splitSpace(s string, limit int, right bool) []string {
	if limit < 0 {
		return strings.Fields(s)
	}
	var parts []string
	for s = strings.TrimSpace(s); s != "" && len(parts) < limit; s = strings.TrimSpace(s) {
		i := strings.IndexFunc(s, unicode.IsSpace)
		if right {
			i = strings.LastIndexFunc(s, unicode.IsSpace)
		}
		if i < 0 {
			break
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if right {
			parts, s = append(parts, s[i+n:]), s[:i]
		} else {
			parts, s = append(parts, s[:i]), s[i+n:]
		}
	}
	if s != "" {
		parts = append(parts, s)
	}
	if right {
		slices.Reverse(parts)
	}
	return parts
}

func splitLines(st *State, self any, a Args) (any, error) {
	s, err := Text(self, "the text")
	if err != nil {
		return nil, err
	}
	keep, err := truth(a.Values[0])
	if err != nil {
		return nil, err
	}
	var parts []string
	for s != "" {
		i := strings.IndexAny(s, "\n\r")
		if i < 0 {
			parts = append(parts, s)
			break
		}
		end := i + 1
		if strings.HasPrefix(s[i:], "\r\n") {
			end++
		}
		if keep {
			i = end
		}
		parts, s = append(parts, s[:i]), s[end:]
	}
	return st.texts(parts)
}

func padMethod(align byte, withFill bool) methodOf {
	params := []Param{Req("width")}
	if withFill {
		params = append(params, Opt("fillchar", " "))
	}
	return methodOf{params: params, do: func(st *State, self any, a Args) (any, error) {
		s, err := Text(self, "the text")
		if err != nil {
			return nil, err
		}
		width, err := Int(a.Values[0], "the width")
		if err != nil {
			return nil, err
		}
		f := spec{fill: '0', align: align, width: width}
		sign := ""
		if withFill {
			fill, err := Text(a.Values[1], "the fill character")
			if err != nil {
				return nil, err
			}
			if utf8.RuneCountInString(fill) != 1 {
				return nil, errf("the fill character must be one character")
			}
			f.fill, _ = utf8.DecodeRuneInString(fill)
		} else if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = s[:1], s[1:]
		}
		return st.pad(sign, s, f)
	}}
}

func (st *State) expandTabs(self, size any) (any, error) {
	s, err := Text(self, "the text")
	if err != nil {
		return nil, err
	}
	n, err := Int(size, "the tab size")
	if err != nil {
		return nil, err
	}
	n = max(n, 0)
	if err := st.text(len(s) + strings.Count(s, "\t")*min(n, st.env.limits.Output)); err != nil {
		return nil, err
	}
	var b strings.Builder
	col := 0
	for _, r := range s {
		switch r {
		case '\t':
			if n > 0 {
				b.WriteString(strings.Repeat(" ", n-col%n))
				col += n - col%n
			}
		case '\n', '\r':
			b.WriteRune(r)
			col = 0
		default:
			b.WriteRune(r)
			col++
		}
	}
	return b.String(), nil
}

// joinText prints items with a separator between them.
func (st *State) joinText(items []any, sep string) (string, error) {
	var b limitedWriter
	b.max = st.env.limits.Output
	for i, item := range items {
		if i > 0 {
			if err := b.put(sep); err != nil {
				return "", err
			}
		}
		s, err := st.str(item)
		if err == nil {
			err = b.put(s)
		}
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func splits(found, limit int) int {
	if limit >= 0 {
		return min(found, limit)
	}
	return found
}
