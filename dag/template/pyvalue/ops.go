package pyvalue

import (
	"math"
	"strings"
)

var errTooLarge = Errorf("a number grows beyond 64 bits")

// Number splits a number into an int or a float; f is set for both. Booleans are numbers, as in Python.
func Number(v any) (i int, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case int:
		return v, float64(v), true, true
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case float64:
		return 0, v, false, true
	}
	return 0, 0, false, false
}

// Unary is +x or -x.
func (st *State) Unary(op string, x any) (any, error) {
	if u, ok := x.(*Undefined); ok {
		return nil, u.Err()
	}
	if o, ok := x.(Operator); ok {
		if v, ok, err := o.Operate(st, "unary"+op, nil, false); ok || err != nil {
			return v, err
		}
	}
	i, f, isInt, ok := Number(x)
	switch {
	case !ok:
		return nil, Errorf("a value of type %s has no sign", TypeName(x))
	case isInt && op == "-" && i == math.MinInt:
		return nil, tooLarge()
	case isInt && op == "-":
		return -i, nil
	case isInt:
		return i, nil
	case op == "-":
		return -f, nil
	}
	return f, nil
}

func tooLarge() *Error { e := *errTooLarge; return &e }

// Binary is an arithmetic operator: + - * / // % or **.
func (st *State) Binary(op string, l, r any) (any, error) {
	for _, v := range []any{l, r} {
		if u, ok := v.(*Undefined); ok {
			return nil, u.Err()
		}
	}
	if err := st.Charge(l, r); err != nil {
		return nil, err
	}
	if s, ok := l.(string); ok && op == "%" {
		return st.Percent(s, r)
	}
	if o, ok := l.(Operator); ok {
		if v, ok, err := o.Operate(st, op, r, false); ok || err != nil {
			return v, err
		}
	}
	if o, ok := r.(Operator); ok {
		if v, ok, err := o.Operate(st, op, l, true); ok || err != nil {
			return v, err
		}
	}
	li, lf, lInt, lok := Number(l)
	ri, rf, rInt, rok := Number(r)
	switch {
	case lok && rok && lInt && rInt:
		return intOp(op, li, ri)
	case lok && rok:
		return floatOp(op, lf, rf)
	case op == "+":
		if v, ok, err := st.join(l, r); ok {
			return v, err
		}
	case op == "*" && rInt:
		if v, ok, err := st.repeat(l, ri); ok {
			return v, err
		}
	case op == "*" && lInt:
		if v, ok, err := st.repeat(r, li); ok {
			return v, err
		}
	}
	return nil, Errorf("unsupported operand types for %s: %s and %s", op, TypeName(l), TypeName(r))
}

func intOp(op string, a, b int) (any, error) {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return c, nil
		}
		return nil, tooLarge()
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return c, nil
		}
		return nil, tooLarge()
	case "*":
		return multiply(a, b)
	case "/":
		if b == 0 {
			return nil, Errorf("division by zero")
		}
		return float64(a) / float64(b), nil
	case "//", "%":
		if b == 0 {
			return nil, Errorf("division by zero")
		}
		if b == -1 {
			if op == "%" {
				return 0, nil
			}
			return multiply(a, -1)
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) {
			q, m = q-1, m+b
		}
		if op == "%" {
			return m, nil
		}
		return q, nil
	}
	if b < 0 {
		return floatOp("**", float64(a), float64(b))
	}
	return power(a, b)
}

func multiply(a, b int) (any, error) {
	if a == 0 || b == 0 {
		return 0, nil
	}
	c := a * b
	if c/b != a || a == -1 && b == math.MinInt || b == -1 && a == math.MinInt {
		return nil, tooLarge()
	}
	return c, nil
}

func power(a, b int) (any, error) {
	switch {
	case a == 1 || b == 0:
		return 1, nil
	case a == 0:
		return 0, nil
	case a == -1:
		return 1 - 2*(b&1), nil
	case b > 64:
		return nil, tooLarge()
	}
	result := any(1)
	for range b {
		n, _ := result.(int)
		var err error
		if result, err = multiply(n, a); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func floatOp(op string, a, b float64) (any, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		if a == 0 && b < 0 {
			return nil, Errorf("zero cannot be raised to a negative power")
		}
		c := math.Pow(a, b)
		if math.IsNaN(c) && !math.IsNaN(a) && !math.IsNaN(b) {
			return nil, Errorf("a negative number cannot be raised to a fraction")
		}
		if math.IsInf(c, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
			return nil, Errorf("a number grows too large")
		}
		return c, nil
	}
	if b == 0 {
		return nil, Errorf("division by zero")
	}
	switch op {
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	}
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m, nil
}

// join is + of two sequences of one type.
func (st *State) join(l, r any) (any, bool, error) {
	switch l := l.(type) {
	case string:
		if r, ok := r.(string); ok {
			if err := st.ReserveText(len(l) + len(r)); err != nil {
				return nil, true, err
			}
			return l + r, true, nil
		}
	case *List:
		if r, ok := r.(*List); ok {
			if err := st.ReserveItems(len(l.Items) + len(r.Items)); err != nil {
				return nil, true, err
			}
			return &List{append(append(make([]any, 0, len(l.Items)+len(r.Items)), l.Items...), r.Items...)}, true, nil
		}
	case Tuple:
		if r, ok := r.(Tuple); ok {
			if err := st.ReserveItems(len(l) + len(r)); err != nil {
				return nil, true, err
			}
			return append(append(make(Tuple, 0, len(l)+len(r)), l...), r...), true, nil
		}
	}
	return nil, false, nil
}

// repeat is * of a sequence and a number.
func (st *State) repeat(v any, n int) (any, bool, error) {
	n = max(n, 0)
	size, ok := Len(v)
	if !ok {
		return nil, false, nil
	}
	if size > 0 && n > st.limits.Output {
		n = st.limits.Output + 1
	}
	switch v := v.(type) {
	case string:
		if err := st.ReserveText(len(v) * n); err != nil {
			return nil, true, err
		}
		return strings.Repeat(v, n), true, nil
	case *List:
		items, err := st.repeatItems(v.Items, n)
		return &List{items}, true, err
	case Tuple:
		items, err := st.repeatItems(v, n)
		return Tuple(items), true, err
	}
	return nil, false, nil
}

func (st *State) repeatItems(items []any, n int) ([]any, error) {
	if len(items) == 0 {
		return nil, nil
	}
	if err := st.ReserveItems(len(items) * n); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(items)*n)
	for range n {
		out = append(out, items...)
	}
	return out, nil
}
