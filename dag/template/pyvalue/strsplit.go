package pyvalue

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitMethods cut the text, or join texts.
var splitMethods = map[string]methodOf{
	"split":      {params: []Param{Opt("sep", nil), Opt("maxsplit", -1)}, do: splitMethod(false)},
	"rsplit":     {params: []Param{Opt("sep", nil), Opt("maxsplit", -1)}, do: splitMethod(true)},
	"splitlines": {params: []Param{Opt("keepends", false)}, do: splitLines},
	"partition":  partitionMethod(strings.Index, func(s string) Tuple { return Tuple{s, "", ""} }),
	"rpartition": partitionMethod(strings.LastIndex, func(s string) Tuple { return Tuple{"", "", s} }),
	"join":       {params: []Param{Req("iterable")}, do: joinMethod},
}

func joinMethod(st *State, self any, a Args) (any, error) {
	sep, err := Text(self, "the separator")
	if err != nil {
		return nil, err
	}
	items, err := st.Iterate(a.Values[0])
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if _, ok := item.(string); !ok {
			return nil, Errorf("join() needs strings, item %d is of type %s", i, TypeName(item))
		}
	}
	return st.JoinText(items, sep)
}

// JoinText prints items with a separator between them.
func (st *State) JoinText(items []any, sep string) (string, error) {
	b := st.NewWriter()
	for i, item := range items {
		if i > 0 {
			if err := b.Put(sep); err != nil {
				return "", err
			}
		}
		s, err := st.Str(item)
		if err == nil {
			err = b.Put(s)
		}
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// partitionMethod cuts around the place that search finds, or else gives what absent makes of the whole.
func partitionMethod(search func(s, sep string) int, absent func(s string) Tuple) methodOf {
	return methodOf{params: []Param{Req("sep")}, do: func(_ *State, self any, a Args) (any, error) {
		return onTexts(self, a.Values[0], func(s, sep string) (any, error) {
			if i := search(s, sep); i >= 0 && sep != "" {
				return Tuple{s[:i], sep, s[i+len(sep):]}, nil
			}
			return absent(s), emptySeparator(sep)
		})
	}}
}

func emptySeparator(sep string) error {
	if sep == "" {
		return Errorf("the separator is empty")
	}
	return nil
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
				err = st.ReserveItems(splits(strings.Count(s, sep), limit) + 1)
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
	if err := st.ReserveItems(len(parts)); err != nil {
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

func splits(found, limit int) int {
	if limit >= 0 {
		return min(found, limit)
	}
	return found
}

func splitLines(st *State, self any, a Args) (any, error) {
	s, err := Text(self, "the text")
	if err != nil {
		return nil, err
	}
	keep, err := Truth(a.Values[0])
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
