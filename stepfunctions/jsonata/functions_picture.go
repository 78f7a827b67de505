package jsonata

import (
	"errors"

	"gust/stepfunctions/jsonata/picture"
)

// pictureFunctions format and read numbers and times by pictures.
func pictureFunctions(add adder) {
	add("formatNumber", "<n-so?:s>", 3, formatNumberFunction)
	add("formatBase", "<n-n?:s>", 2, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		base := 10.0
		if c.arg(1).defined() {
			base = c.arg(1).num
		}
		return pictured(picture.FormatBase(c.arg(0).num, base))
	})
	add("formatInteger", "<n-s:s>", 2, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		return pictured(picture.FormatInteger(c.arg(0).num, c.arg(1).str))
	})
	add("parseInteger", "<s-s:n>", 2, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		n, err := picture.ParseInteger(c.arg(0).str, c.arg(1).str)
		return numberValue(n), pictureError(err)
	})
	add("now", "<s?s?:s>", 2, func(c call) (value, error) {
		return pictured(picture.FormatDateTime(float64(c.ev.env.Now.UnixMilli()), c.optional(0), c.optional(1)))
	})
	add("millis", "<:n>", 0, func(c call) (value, error) {
		return numberValue(float64(c.ev.env.Now.UnixMilli())), nil
	})
	add("fromMillis", "<n-s?s?:s>", 3, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		return pictured(picture.FormatDateTime(c.arg(0).num, c.optional(1), c.optional(2)))
	})
	add("toMillis", "<s-s?:n>", 2, func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		millis, defined, err := picture.ParseDateTime(c.arg(0).str, c.optional(1), c.ev.env.Now)
		if err != nil || !defined {
			return value{}, pictureError(err)
		}
		return numberValue(millis), nil
	})
}

// optional is a string argument, nil when it is left out.
func (c call) optional(i int) *string {
	if v := c.arg(i); v.kind == kindString {
		return &v.str
	}
	return nil
}

func formatNumberFunction(c call) (value, error) {
	if !c.arg(0).defined() {
		return value{}, nil
	}
	var options map[string]string
	if o := c.arg(2); o.kind == kindObject {
		o.node.load()
		options = make(map[string]string, len(o.node.keys))
		for i, key := range o.node.keys {
			s, err := c.ev.stringOf(o.node.items[i], false)
			if err != nil {
				return value{}, err
			}
			options[key] = s
		}
	}
	return pictured(picture.FormatNumber(c.arg(0).num, c.arg(1).str, options))
}

func pictured(s string, err error) (value, error) { return stringValue(s), pictureError(err) }

// pictureError is a picture's failure in this package's terms.
func pictureError(err error) error {
	var p *picture.Error
	if errors.As(err, &p) {
		return &Error{Code: p.Code, Message: p.Message}
	}
	return err
}
