package interp

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonpath"
	"gust/stepfunctions/jsonvalue"
)

// matches evaluates a choice rule's condition. A value of the wrong type does not match; a path that finds nothing is
// an error, except for IsPresent.
func (e *env) matches(c *asl.Condition) (bool, error) {
	switch c.Op {
	case "And", "Or":
		for _, child := range c.Children {
			ok, err := e.matches(child)
			if err != nil || ok == (c.Op == "Or") {
				return ok, err
			}
		}
		return c.Op == "And", nil
	case "Not":
		ok, err := e.matches(c.Children[0])
		return !ok, err
	}
	v, err := e.Resolve(c.Variable)
	if c.Op == "IsPresent" {
		present := err == nil && (c.Variable.Definite() || v.Len() > 0)
		return present == c.Literal.Bool(), nil
	}
	if err != nil {
		return false, invalidPath(c.Variable)
	}
	if strings.HasPrefix(c.Op, "Is") {
		return isType(c.Op, v) == c.Literal.Bool(), nil
	}
	other := c.Literal
	if c.OtherPath != nil {
		if other, err = e.Resolve(c.OtherPath); err != nil {
			return false, invalidPath(c.OtherPath)
		}
	}
	return compare(strings.TrimSuffix(c.Op, "Path"), v, other), nil
}

func invalidPath(p *jsonpath.Path) error {
	return fmt.Errorf("Invalid path '%s': The choice state's condition path references an invalid value.", p)
}

func isType(op string, v jsonvalue.Value) bool {
	switch op {
	case "IsNull":
		return v.IsNull()
	case "IsNumeric":
		return v.Kind() == jsonvalue.Number
	case "IsString":
		return v.Kind() == jsonvalue.String
	case "IsBoolean":
		return v.Kind() == jsonvalue.Bool
	default: // IsTimestamp
		_, err := asl.ParseTimestamp(v.Text())
		return v.Kind() == jsonvalue.String && err == nil
	}
}

// compare applies a comparison operator without its Path suffix.
func compare(op string, v, other jsonvalue.Value) bool {
	if v.Kind() != other.Kind() {
		return false
	}
	switch {
	case op == "BooleanEquals":
		return v.Kind() == jsonvalue.Bool && v.Bool() == other.Bool()
	case op == "StringMatches":
		return v.Kind() == jsonvalue.String && wildcard(other.Text(), v.Text())
	case strings.HasPrefix(op, "String"):
		return v.Kind() == jsonvalue.String && ordered(op[len("String"):], compareUTF16(v.Text(), other.Text()))
	case strings.HasPrefix(op, "Numeric"):
		return v.Kind() == jsonvalue.Number && ordered(op[len("Numeric"):], jsonvalue.CompareNumbers(v, other))
	}
	a, errA := asl.ParseTimestamp(v.Text())
	b, errB := asl.ParseTimestamp(other.Text())
	return v.Kind() == jsonvalue.String && errA == nil && errB == nil && ordered(op[len("Timestamp"):], a.Compare(b))
}

func ordered(relation string, order int) bool {
	switch relation {
	case "Equals":
		return order == 0
	case "LessThan":
		return order < 0
	case "GreaterThan":
		return order > 0
	case "LessThanEquals":
		return order <= 0
	default: // GreaterThanEquals
		return order >= 0
	}
}

// compareUTF16 orders strings like Java's compareTo, by UTF-16 units.
func compareUTF16(a, b string) int {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return int(x[i]) - int(y[i])
		}
	}
	return len(x) - len(y)
}

// wildcard matches text against a pattern in which * stands for any characters and \* for a star.
func wildcard(pattern, text string) bool {
	// star is where the last * was, mark where its match began: the only place worth going back to.
	p, i, star, mark := 0, 0, -1, 0
	for i < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		c, size := literalAt(pattern, p)
		if size > 0 && c == text[i] {
			p += size
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// literalAt returns the literal byte of a pattern and how many bytes it takes there; 0 at the end.
func literalAt(pattern string, p int) (byte, int) {
	switch {
	case p >= len(pattern):
		return 0, 0
	case pattern[p] == '\\' && p+1 < len(pattern) && (pattern[p+1] == '*' || pattern[p+1] == '\\'):
		return pattern[p+1], 2
	}
	return pattern[p], 1
}
