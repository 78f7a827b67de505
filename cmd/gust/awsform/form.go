// Package awsform prints the answers of an AWS API as the AWS command line prints them (json, table, text, yaml), narrows
// them with JMESPath, and reads its shorthand syntax. It knows no service: values are JSON with ordered keys.
package awsform

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// Formats are the names of the output forms, the default first.
var Formats = []string{"json", "table", "text", "yaml"}

// Printer prints values in one form.
type Printer struct {
	Format string
	// Title heads a table: the operation's name.
	Title string
	// Colour paints the cells of a table.
	Colour bool
	// Width is the terminal's width; a wider table is turned so that one row becomes a column. 0 means 80.
	Width int
}

// Print writes a value. An answer without content prints nothing.
func (p Printer) Print(w io.Writer, v jsonvalue.Value) error {
	var b strings.Builder
	var err error
	switch p.Format {
	case "json":
		if v.Kind() != jsonvalue.Object || v.Len() > 0 {
			b.Write(appendJSON(nil, v, "\n"))
			b.WriteByte('\n')
		}
	case "table":
		err = p.table(&b, v)
	case "text":
		text(&b, v, "", nil)
	case "yaml":
		err = yamlText(&b, v)
	default:
		err = fmt.Errorf("unknown output format %q", p.Format)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// appendJSON appends indented JSON; newline is a line break with the indentation of v.
func appendJSON(dst []byte, v jsonvalue.Value, newline string) []byte {
	open, end := byte('['), byte(']')
	switch v.Kind() {
	case jsonvalue.String:
		return appendQuoted(dst, v.Text())
	case jsonvalue.Number:
		return append(dst, number(v)...)
	case jsonvalue.Object:
		open, end = '{', '}'
	case jsonvalue.Array:
	default:
		return v.Append(dst)
	}
	dst = append(dst, open)
	for i, item := range v.Items() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, newline...), "    "...)
		if open == '{' {
			dst = append(appendQuoted(dst, v.Key(i)), ": "...)
		}
		dst = appendJSON(dst, item, newline+"    ")
	}
	if v.Len() > 0 {
		dst = append(dst, newline...)
	}
	return append(dst, end)
}

// appendQuoted writes a JSON string; control characters as Python's json module writes them.
func appendQuoted(dst []byte, s string) []byte {
	start := len(dst)
	dst = jsonvalue.AppendString(dst, s)
	for i := start; i+5 < len(dst); i++ {
		if dst[i] != '\\' {
			continue
		}
		if dst[i+1] == 'u' {
			copy(dst[i+2:i+6], strings.ToLower(string(dst[i+2:i+6])))
		}
		i++
	}
	return dst
}

// number is a number as Python prints it after reading it: integers as they stand, floats in their shortest form with a
// fraction or an exponent.
func number(v jsonvalue.Value) string {
	if v.IsIntLiteral() {
		return v.Text()
	}
	f, _ := v.Float()
	text := strconv.FormatFloat(f, 'e', -1, 64)
	_, exponent, _ := strings.Cut(text, "e")
	if n, err := strconv.Atoi(exponent); err == nil && n >= -4 && n < 16 {
		text = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
	}
	return text
}

// scalar reports whether v is neither object nor list.
func scalar(v jsonvalue.Value) bool {
	return v.Kind() != jsonvalue.Object && v.Kind() != jsonvalue.Array
}

// plain is a value in text and table: Python's str().
func plain(v jsonvalue.Value) string {
	switch v.Kind() {
	case jsonvalue.Null:
		return "None"
	case jsonvalue.Bool:
		if v.Bool() {
			return "True"
		}
		return "False"
	case jsonvalue.Number:
		return number(v)
	case jsonvalue.String:
		return v.Text()
	default: // only in a list that mixes objects with and without parts
		return display(v)
	}
}

// display is Python's repr() of an object or a list.
func display(v jsonvalue.Value) string {
	parts := make([]string, v.Len())
	for i, item := range v.Items() {
		switch item.Kind() {
		case jsonvalue.String:
			parts[i] = displayText(item.Text())
		default:
			parts[i] = plain(item)
		}
		if isObject(v) {
			parts[i] = displayText(v.Key(i)) + ": " + parts[i]
		}
	}
	if isObject(v) {
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func displayText(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	var b strings.Builder
	b.WriteString(quote)
	for _, r := range s {
		switch {
		case string(r) == quote, r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString(quote)
	return b.String()
}
