package pyvalue

import (
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strMethods returns the methods of Python's str.
func strMethods() map[string]methodOf {
	all := maps.Clone(caseMethods)
	maps.Copy(all, strTests)
	maps.Copy(all, searchMethods)
	maps.Copy(all, splitMethods)
	maps.Copy(all, layoutMethods)
	all["format"] = methodOf{rest: true, kw: true, do: formatMethod}
	all["format_map"] = methodOf{params: []Param{Req("mapping")}, do: formatMap}
	return all
}

// caseMethods change the case of letters.
var caseMethods = map[string]methodOf{
	"upper":      onStr(strings.ToUpper),
	"lower":      onStr(strings.ToLower),
	"casefold":   onStr(strings.ToLower),
	"title":      onStr(titleCase),
	"capitalize": onStr(Capitalize),
	"swapcase":   onStr(swapCase),
}

// strTests ask about the characters.
var strTests = map[string]methodOf{
	"isdigit":   isAll(unicode.IsDigit),
	"isdecimal": isAll(unicode.IsDigit),
	"isnumeric": isAll(unicode.IsNumber),
	"isalpha":   isAll(unicode.IsLetter),
	"isalnum":   isAll(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isspace":   isAll(unicode.IsSpace),
	"isascii": strTest(func(s string) bool {
		return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
	}),
	"isupper":      strTest(func(s string) bool { return s == strings.ToUpper(s) && s != strings.ToLower(s) }),
	"islower":      strTest(func(s string) bool { return s == strings.ToLower(s) && s != strings.ToUpper(s) }),
	"istitle":      strTest(func(s string) bool { return s == titleCase(s) && s != strings.ToLower(s) }),
	"isidentifier": strTest(func(s string) bool { return s != "" && IdentifierLen(s) == len(s) }),
}

// searchMethods look for parts of the text, or remove and replace them.
var searchMethods = map[string]methodOf{
	"startswith":   affix(strings.HasPrefix),
	"endswith":     affix(strings.HasSuffix),
	"removeprefix": cut(strings.TrimPrefix),
	"removesuffix": cut(strings.TrimSuffix),
	"find":         findMethod(strings.Index, false),
	"rfind":        findMethod(strings.LastIndex, false),
	"index":        findMethod(strings.Index, true),
	"rindex":       findMethod(strings.LastIndex, true),
	"count":        {params: []Param{Req("sub")}, do: countMethod},
	"replace":      {params: []Param{Req("old"), Req("new"), Opt("count", -1)}, do: replaceMethod},
}

// layoutMethods strip and pad.
var layoutMethods = map[string]methodOf{
	"strip":      stripMethod(strings.TrimFunc, strings.Trim),
	"lstrip":     stripMethod(strings.TrimLeftFunc, strings.TrimLeft),
	"rstrip":     stripMethod(strings.TrimRightFunc, strings.TrimRight),
	"zfill":      padMethod('=', false),
	"ljust":      padMethod('<', true),
	"rjust":      padMethod('>', true),
	"center":     padMethod('c', true),
	"expandtabs": {params: []Param{Opt("tabsize", 8)}, do: expandTabs},
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

// Capitalize makes the first letter large and the others small.
func Capitalize(s string) string {
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

// Replace is str.replace. A negative count replaces all.
func (st *State) Replace(s, from, to string, count int) (any, error) {
	found := strings.Count(s, from)
	if count >= 0 {
		found = min(found, count)
	}
	if err := st.ReserveText(len(s) + found*max(0, len(to)-len(from))); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, count), nil
}

func replaceMethod(st *State, self any, a Args) (any, error) {
	count, err := Int(a.Values[2], "the count")
	if err != nil {
		return nil, err
	}
	return onTexts(a.Values[0], a.Values[1], func(from, to string) (any, error) {
		s, err := Text(self, "the text")
		if err != nil {
			return nil, err
		}
		return st.Replace(s, from, to, count)
	})
}

func countMethod(_ *State, self any, a Args) (any, error) {
	return onTexts(self, a.Values[0], func(s, sub string) (any, error) { return strings.Count(s, sub), nil })
}

func formatMethod(st *State, self any, a Args) (any, error) {
	s, err := Text(self, "the format")
	if err != nil {
		return nil, err
	}
	return st.strFormat(s, a.Rest, a.Kw)
}

func formatMap(st *State, self any, a Args) (any, error) {
	s, err := Text(self, "the format")
	d, ok := a.Values[0].(*Dict)
	if err == nil && !ok {
		err = Errorf("format_map() needs a dict, not %s", TypeName(a.Values[0]))
	}
	if err != nil {
		return nil, err
	}
	return st.strFormat(s, nil, d)
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
				return nil, Errorf("%s is not in the text", StringRepr(sub))
			}
			if i > 0 {
				i = utf8.RuneCountInString(s[:i])
			}
			return i, nil
		})
	}}
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
				return nil, Errorf("the fill character must be one character")
			}
			f.fill, _ = utf8.DecodeRuneInString(fill)
		} else if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = s[:1], s[1:]
		}
		return st.pad(sign, s, f)
	}}
}

func expandTabs(st *State, self any, a Args) (any, error) {
	s, err := Text(self, "the text")
	if err != nil {
		return nil, err
	}
	n, err := Int(a.Values[0], "the tab size")
	if err != nil {
		return nil, err
	}
	n = max(n, 0)
	if err := st.ReserveText(len(s) + strings.Count(s, "\t")*min(n, st.limits.Output)); err != nil {
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

// IdentifierLen is the length of the Python identifier that the text begins with.
func IdentifierLen(s string) int {
	for i, r := range s {
		if r == '_' || unicode.IsLetter(r) || i > 0 && unicode.IsDigit(r) {
			continue
		}
		return i
	}
	return len(s)
}
