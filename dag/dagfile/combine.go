package dagfile

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// joined resolves {__join__: [...]}, which concatenates the texts of its items.
func (c *converter) joined(v *value) *value {
	e := v.find("__join__")
	if e == nil {
		return v
	}
	if e.val.kind != kindList || len(v.keys) > 1 {
		c.errorf(e.pos, "__join__ must be the only key of its dict and hold a list")
		return &value{kind: kindNull, pos: v.pos, size: 1}
	}
	var b strings.Builder
	for _, item := range e.val.items {
		if item.kind == kindList || item.kind == kindDict {
			c.errorf(item.pos, "__join__ joins texts and numbers, not %s", item.describe())
			continue
		}
		b.WriteString(pythonText(item.kind, item.data))
	}
	return &value{
		kind: kindText, pos: v.pos, until: v.pos.place, style: uint8(yaml.DoubleQuotedStyle), data: b.String(), size: 1,
	}
}

// combined resolves {__and__: [...]} and {__or__: [...]} of whole numbers and bools, bit by bit as Python does, and of
// texts, which become the text of a condition. Those of anything else stay for whoever can combine it.
func combined(v *value) *value {
	e := combinator(v)
	if e == nil || len(v.keys) > 1 || e.val.kind != kindList || len(e.val.items) == 0 {
		return v
	}
	items, all := e.val.items, combinators[e.key]
	if texts, ok := textsOf(items); ok && len(texts) > 1 && !strings.Contains(strings.Join(texts, ""), "://") {
		by := " | "
		if all {
			by = " & "
		}
		text := texts[0]
		for _, t := range texts[1:] {
			text = "(" + text + by + t + ")"
		}
		return &value{
			kind: kindText, pos: v.pos, until: v.pos.place, style: uint8(yaml.DoubleQuotedStyle), data: text, size: 1,
		}
	}
	var sum int64
	k := kindBool
	for i, item := range items {
		n, isInt := item.data.(int64)
		if on, isBool := item.data.(bool); isBool && on {
			n = 1
		} else if isInt {
			k = kindInt
		} else if !isBool {
			return v
		}
		switch {
		case i == 0:
			sum = n
		case all:
			sum &= n
		default:
			sum |= n
		}
	}
	out := &value{kind: k, pos: v.pos, data: sum, size: 1}
	if k == kindBool {
		out.data = sum != 0
	}
	return out
}

func textsOf(items []*value) ([]string, bool) {
	out := make([]string, len(items))
	for i, item := range items {
		s, ok := item.text()
		if !ok {
			return nil, false
		}
		out[i] = s
	}
	return out, true
}
