package sqlconn

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gust/internal/param"
)

// style is how a text writes its placeholders.
type style int

const (
	stylePercent  style = iota // %s or %(name)s, and %% for a percent sign
	styleQuestion              // ?
	styleColon                 // :name
	styleNative                // $1 in PostgreSQL, ?1 in SQLite: left as it is
)

// Bind translates a statement's placeholders to those of the dialect and returns the values to bind, in their order.
// params is nil, a list or a mapping; with nil the statement is left as it is, percent signs included. A list goes with
// %s, ? or the database's own $1; a mapping with %(name)s or :name. In a literal or a comment nothing is a placeholder.
//
// A list among the values is an array in PostgreSQL (= ANY(%s)); elsewhere it becomes as many placeholders as it has
// items (IN %s). A mapping among the values is bound as JSON.
func Bind(dialect Dialect, statement string, params any) (string, []any, error) {
	b := &binder{scanner: scanner{dialect, statement}}
	switch p := params.(type) {
	case nil:
		return statement, nil, nil
	case []any:
		b.list = p
	case map[string]any:
		b.named = p
	default:
		return "", nil, fmt.Errorf("parameters are %T; expected a list or a mapping", params)
	}
	b.style = b.detect()
	if b.style == styleNative {
		for _, value := range b.list {
			bound, err := b.plain(value)
			if err != nil {
				return "", nil, err
			}
			b.args = append(b.args, bound)
		}
		return statement, b.args, nil
	}
	for i := 0; i < len(statement); {
		end, err := b.step(i)
		if err != nil {
			return "", nil, err
		}
		i = end
	}
	if b.named == nil && b.used != len(b.list) {
		return "", nil, fmt.Errorf("%d parameters are given, but the statement has %d placeholders: %s",
			len(b.list), b.used, excerpt(statement))
	}
	return b.out.String(), b.args, nil
}

type binder struct {
	scanner
	style style
	list  []any
	named map[string]any

	out  strings.Builder
	args []any
	used int            // items of list
	seen map[string]int // PostgreSQL: the number of a name's placeholder
}

// detect finds out how the statement writes its placeholders: percent signs win, as Python's drivers know nothing else.
func (b *binder) detect() style {
	question, native := false, false
	for i := 0; i < len(b.text); {
		sp := b.next(i)
		if sp.kind == code {
			switch b.text[i] {
			case '%':
				if _, n := b.percent(i); n > 0 {
					return stylePercent
				}
			case '?':
				question = true
				native = native || b.digit(sp.end)
			case '$':
				native = native || b.dialect == Postgres && b.digit(sp.end)
			}
		}
		i = sp.end
	}
	switch {
	case b.named != nil:
		return styleColon
	case native:
		return styleNative
	case question:
		return styleQuestion
	}
	return stylePercent
}

func (b *binder) digit(i int) bool { return i < len(b.text) && b.text[i] >= '0' && b.text[i] <= '9' }

// percent reads %s or %(name)s at i. n is its length, 0 when there is none.
func (b *binder) percent(i int) (name string, n int) {
	rest := b.text[i:]
	if b.named == nil {
		if len(rest) >= 2 && rest[1] == 's' && (len(rest) == 2 || !wordChar(rest[2])) {
			return "", 2
		}
		return "", 0
	}
	if !strings.HasPrefix(rest, "%(") {
		return "", 0
	}
	end := strings.IndexByte(rest, ')')
	if end < 0 || end+1 >= len(rest) || rest[end+1] != 's' || strings.ContainsAny(rest[2:end], "()%\n") {
		return "", 0
	}
	return rest[2:end], end + 2
}

// step copies or translates what begins at i and returns where it ends.
func (b *binder) step(i int) (int, error) {
	sp := b.next(i)
	text := b.text[i:sp.end]
	if sp.kind == literal && b.style == stylePercent {
		if err := b.checkLiteral(text); err != nil {
			return 0, err
		}
		text = strings.ReplaceAll(text, "%%", "%")
	}
	if sp.kind == code {
		if end, err := b.placeholder(i); end > 0 || err != nil {
			return end, err
		}
	}
	b.out.WriteString(text)
	return sp.end, nil
}

// placeholder translates the placeholder at i. It returns 0 when there is none.
func (b *binder) placeholder(i int) (int, error) {
	switch c := b.text[i]; {
	case c == '%' && b.style == stylePercent:
		if strings.HasPrefix(b.text[i:], "%%") {
			b.out.WriteByte('%')
			return i + 2, nil
		}
		name, n := b.percent(i)
		if n == 0 {
			return 0, nil
		}
		if b.named != nil {
			return i + n, b.byName(name, i+n)
		}
		return i + n, b.nextOfList(i + n)
	case c == '?' && b.style == styleQuestion:
		return i + 1, b.nextOfList(i + 1)
	case c == ':' && b.style == styleColon:
		if strings.HasPrefix(b.text[i:], "::") {
			b.out.WriteString("::")
			return i + 2, nil
		}
		if i+1 == len(b.text) || !wordChar(b.text[i+1]) || b.digit(i+1) || b.inWord(i) {
			return 0, nil
		}
		sp := b.next(i + 1)
		return sp.end, b.byName(b.text[sp.start:sp.end], sp.end)
	}
	return 0, nil
}

// checkLiteral refuses a named placeholder between quotes: it would be text, not a parameter.
func (b *binder) checkLiteral(text string) error {
	for name := range b.named {
		if mark := "%(" + name + ")s"; strings.Contains(text, mark) {
			return fmt.Errorf("%s stands between quotes, where nothing can be bound: %s; remove the quotes", mark, excerpt(text))
		}
	}
	return nil
}

func (b *binder) nextOfList(end int) error {
	b.used++
	if b.used > len(b.list) {
		return nil // Bind tells both numbers
	}
	return b.bind(b.list[b.used-1], end)
}

func (b *binder) byName(name string, end int) error {
	value, ok := b.named[name]
	if !ok {
		known := slices.Sorted(maps.Keys(b.named))
		return &param.Error{
			Path: []string{"parameters"}, Problem: fmt.Sprintf("the statement asks for %q, which is not given", name),
			Expected: "one of " + strings.Join(known, ", "), Nearest: param.Nearest(name, known),
		}
	}
	if b.dialect != Postgres {
		return b.bind(value, end)
	}
	if n, again := b.seen[name]; again {
		fmt.Fprintf(&b.out, "$%d", n)
		return nil
	}
	if err := b.bind(value, end); err != nil {
		return err
	}
	if b.seen == nil {
		b.seen = map[string]int{}
	}
	b.seen[name] = len(b.args)
	return nil
}

// bind writes the placeholder of one value and keeps the value. end is where the original placeholder ended.
func (b *binder) bind(value any, end int) error {
	items, isList := value.([]any)
	if !isList || b.dialect == Postgres {
		bound, err := b.plain(value)
		if err != nil {
			return err
		}
		b.args = append(b.args, bound)
		if b.dialect == Postgres {
			fmt.Fprintf(&b.out, "$%d", len(b.args))
		} else {
			b.out.WriteByte('?')
		}
		return nil
	}
	if len(items) == 0 {
		return fmt.Errorf("a parameter is an empty list, which %s cannot compare with", b.dialect)
	}
	for _, item := range items {
		bound, err := b.plain(item)
		if err != nil {
			return err
		}
		b.args = append(b.args, bound)
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(items)), ", ")
	if strings.HasSuffix(strings.TrimRight(b.out.String(), " \t\r\n"), "(") &&
		strings.HasPrefix(strings.TrimLeft(b.text[end:], " \t\r\n"), ")") {
		b.out.WriteString(marks)
	} else {
		b.out.WriteString("(" + marks + ")")
	}
	return nil
}

// plain is a value as the driver takes it. PostgreSQL gets texts: the server reads them as the type it expects.
func (b *binder) plain(value any) (any, error) {
	if b.dialect != Postgres {
		switch v := value.(type) {
		case json.Number:
			if n, err := v.Int64(); err == nil {
				return n, nil
			}
			return v.String(), nil
		case map[string]any, []any:
			raw, err := json.Marshal(v)
			return string(raw), err
		}
		return value, nil
	}
	switch v := value.(type) {
	case nil, string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case json.Number:
		return v.String(), nil
	case []any:
		return arrayText(v)
	case map[string]any:
		raw, err := json.Marshal(v)
		return string(raw), err
	}
	return nil, fmt.Errorf("a parameter is a %T, which cannot be bound", value)
}

// arrayText writes PostgreSQL's text of an array.
func arrayText(items []any) (string, error) {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	parts := make([]string, len(items))
	for i, item := range items {
		switch v := item.(type) {
		case nil:
			parts[i] = "NULL"
		case []any:
			inner, err := arrayText(v)
			if err != nil {
				return "", err
			}
			parts[i] = inner
		case map[string]any:
			raw, err := json.Marshal(v)
			if err != nil {
				return "", err
			}
			parts[i] = `"` + quote.Replace(string(raw)) + `"`
		default:
			parts[i] = `"` + quote.Replace(plainText(v)) + `"`
		}
	}
	return "{" + strings.Join(parts, ",") + "}", nil
}
