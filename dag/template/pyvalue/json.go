package pyvalue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// DecodeJSON reads a JSON document into template values. Objects keep their order.
func DecodeJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is text after the JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > 8*maxDepth {
		return nil, fmt.Errorf("the JSON value nests too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		if n, err := strconv.Atoi(t.String()); err == nil {
			return n, nil
		}
		return t.Float64()
	case json.Delim:
		if t == '[' {
			list := &List{}
			for d.More() {
				v, err := decodeValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				list.Items = append(list.Items, v)
			}
			_, err := d.Token()
			return list, err
		}
		dict := NewDict(4)
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			dict.Set(k, v)
		}
		_, err := d.Token()
		return dict, err
	}
	return t, nil
}

// Import turns Go data (what JSON and YAML decoding yield) into template values. Maps are sorted by key.
func Import(v any) any {
	switch v := v.(type) {
	case []any:
		list := &List{make([]any, len(v))}
		for i, item := range v {
			list.Items[i] = Import(item)
		}
		return list
	case []string:
		list := &List{make([]any, len(v))}
		for i, item := range v {
			list.Items[i] = item
		}
		return list
	case map[string]any:
		d := NewDict(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.Set(k, Import(v[k]))
		}
		return d
	case json.RawMessage:
		if out, err := DecodeJSON(v); err == nil {
			return out
		}
		return nil
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case int64:
		return int(v)
	case int32:
		return int(v)
	case float32:
		return float64(v)
	}
	return v
}

// Export turns template values into Go data: lists and tuples into []any, dicts into map[string]any, objects into
// what they export. Keys that are not strings are printed as Python's json.dumps does.
func Export(v any) (any, error) { return export(v, 0) }

func export(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, Errorf("a value nests too deeply")
	}
	switch v := v.(type) {
	case *List:
		return exportItems(v.Items, depth)
	case Tuple:
		return exportItems(v, depth)
	case *NamedTuple:
		return exportItems(v.Items, depth)
	case Range:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = v.Start + i*v.Step
		}
		return items, nil
	case *Dict:
		m := make(map[string]any, v.Len())
		var err error
		v.Each(func(k, item any) bool {
			var out any
			if out, err = export(item, depth+1); err == nil {
				m[keyText(k)] = out
			}
			return err == nil
		})
		return m, err
	case *Undefined:
		return nil, v.Err()
	case Exporter:
		return v.Export(), nil
	case Stringer:
		return v.Str(), nil
	case nil, bool, int, float64, string:
		return v, nil
	}
	return nil, Errorf("a value of type %s has no form outside of a template", TypeName(v))
}

func exportItems(items []any, depth int) (any, error) {
	out := make([]any, len(items))
	for i, item := range items {
		var err error
		if out[i], err = export(item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func keyText(k any) string {
	switch k := k.(type) {
	case string:
		return k
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(k)
	case int:
		return strconv.Itoa(k)
	case float64:
		return FloatRepr(k)
	case Stringer:
		return k.Str()
	}
	return fmt.Sprint(k)
}

// JSON writes a value as Python's json.dumps does. A negative indent means one line.
func (st *State) JSON(v any, indent int, sortKeys bool) (string, error) {
	b := st.NewWriter()
	err := st.dump(b, v, indent, 0, sortKeys)
	return b.String(), err
}

// dump writes JSON as Python's json.dumps does, with ", " and ": " when indent is negative.
func (st *State) dump(b *Writer, v any, indent, depth int, sortKeys bool) error {
	if depth > maxDepth {
		return Errorf("a value nests too deeply for JSON")
	}
	if err := st.Step(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return b.Put("null")
	case bool:
		return b.Put(strconv.FormatBool(v))
	case int:
		return b.Put(strconv.Itoa(v))
	case float64:
		return b.Put(jsonFloat(v))
	case string:
		return b.Put(jsonString(v))
	case *List:
		return st.dumpSeq(b, v.Items, indent, depth, sortKeys)
	case Tuple:
		return st.dumpSeq(b, v, indent, depth, sortKeys)
	case *Dict:
		return st.dumpDict(b, v, indent, depth, sortKeys)
	case *Undefined:
		return v.Err()
	}
	return Errorf("a value of type %s cannot be written as JSON", TypeName(v))
}

func newline(indent, depth int) string {
	if indent < 0 {
		return ""
	}
	return "\n" + strings.Repeat(" ", indent*depth)
}

func (st *State) dumpSeq(b *Writer, items []any, indent, depth int, sortKeys bool) error {
	if len(items) == 0 {
		return b.Put("[]")
	}
	err := b.Put("[")
	for i, item := range items {
		if err == nil && i > 0 {
			err = b.Put(comma(indent))
		}
		if err == nil {
			err = b.Put(newline(indent, depth+1))
		}
		if err == nil {
			err = st.dump(b, item, indent, depth+1, sortKeys)
		}
		if err != nil {
			return err
		}
	}
	return b.Put(newline(indent, depth) + "]")
}

func comma(indent int) string {
	if indent < 0 {
		return ", "
	}
	return ","
}

func (st *State) dumpDict(b *Writer, d *Dict, indent, depth int, sortKeys bool) error {
	if d.Len() == 0 {
		return b.Put("{}")
	}
	keys := d.Keys()
	if sortKeys {
		sorted, err := st.sorted(keys, false)
		if err != nil {
			return err
		}
		keys = sorted
	}
	err := b.Put("{")
	for i, k := range keys {
		switch k.(type) {
		case string, int, float64, bool, nil:
		default:
			return Errorf("a key of type %s cannot be written as JSON", TypeName(k))
		}
		v, _ := d.Get(k)
		if err == nil && i > 0 {
			err = b.Put(comma(indent))
		}
		if err == nil {
			err = b.Put(newline(indent, depth+1) + jsonString(keyText(k)) + ": ")
		}
		if err == nil {
			err = st.dump(b, v, indent, depth+1, sortKeys)
		}
		if err != nil {
			return err
		}
	}
	return b.Put(newline(indent, depth) + "}")
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return FloatRepr(f)
}

// jsonString quotes as json.dumps does: everything beyond ASCII is escaped.
func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < 0x20 || r >= 0x7f && r <= 0xffff:
			if r == 0x7f {
				b.WriteRune(r)
				continue
			}
			fmt.Fprintf(&b, `\u%04x`, r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
