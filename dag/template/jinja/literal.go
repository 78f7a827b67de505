package jinja

import "gust/dag/template/pyvalue"

// Literal reads a text as Python's ast.literal_eval does: numbers, strings, None, True, False, lists, tuples and dicts
// of them. It reports false for anything else, which then stays text.
func Literal(s string) (any, bool) {
	// literal_eval strips leading blanks, but a text that begins with one is indented code to Jinja's parser.
	if s == "" || len(s) > 1<<20 || isSpace(s[0]) {
		return nil, false
	}
	l := &lexer{src: s + "}}", line: 1, col: 1}
	if err := l.expression(pos{1, 1}, "}}", tokVarEnd); err != nil || l.i != len(l.src) {
		return nil, false
	}
	for _, t := range l.toks {
		if t.kind == tokName && t.text != "True" && t.text != "False" && t.text != "None" {
			return nil, false
		}
	}
	p := &parser{env: &Env{}, toks: append(l.toks, token{kind: tokEOF})}
	x, err := p.tuple(true)
	if err != nil || p.cur().kind != tokVarEnd {
		return nil, false
	}
	return constant(x)
}

// constant evaluates an expression made of literals only.
func constant(e expr) (any, bool) {
	switch e := e.(type) {
	case *constExpr:
		return e.value, true
	case *unaryExpr:
		v, ok := constant(e.x)
		if _, isBool := v.(bool); !ok || isBool {
			return nil, false
		}
		switch n := v.(type) {
		case int:
			if e.op == "-" {
				n = -n
			}
			return n, true
		case float64:
			if e.op == "-" {
				n = -n
			}
			return n, true
		}
		return nil, false
	case *listExpr:
		items, ok := constantItems(e.items)
		return &pyvalue.List{Items: items}, ok
	case *tupleExpr:
		items, ok := constantItems(e.items)
		return pyvalue.Tuple(items), ok
	case *dictExpr:
		keys, okKeys := constantItems(e.keys)
		values, okValues := constantItems(e.values)
		d := pyvalue.NewDict(len(keys))
		for i := range keys {
			if !okKeys || !okValues || !d.Set(keys[i], values[i]) {
				return nil, false
			}
		}
		return d, okKeys && okValues
	}
	return nil, false
}

func constantItems(list []expr) ([]any, bool) {
	values := make([]any, len(list))
	for i, e := range list {
		v, ok := constant(e)
		if !ok {
			return nil, false
		}
		values[i] = v
	}
	return values, true
}
