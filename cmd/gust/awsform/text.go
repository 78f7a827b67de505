package awsform

import (
	"slices"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// text writes the form for cut and awk: a line of tab separated scalars, in the order of their keys, for each object, which
// begins with the upper-case key that the object has in its parent. Objects of one list all show the columns that any of
// them has (columns).
func text(b *strings.Builder, v jsonvalue.Value, name string, columns []string) {
	switch v.Kind() {
	case jsonvalue.Object:
		textObject(b, v, name, columns)
	case jsonvalue.Array:
		textList(b, v, name)
	default:
		b.WriteString(plain(v) + "\n")
	}
}

func textObject(b *strings.Builder, v jsonvalue.Value, name string, columns []string) {
	keys := sortedKeys(v)
	var line []string
	if columns == nil {
		for _, key := range keys {
			if item, _ := v.Get(key); scalar(item) {
				line = append(line, plain(item))
			}
		}
	}
	for _, column := range columns {
		item, ok := v.Get(column)
		cell := ""
		if ok {
			cell = plain(item)
		}
		line = append(line, cell)
	}
	if len(line) > 0 {
		if name != "" {
			line = slices.Insert(line, 0, strings.ToUpper(name))
		}
		b.WriteString(strings.Join(line, "\t") + "\n")
	}
	for _, key := range keys {
		item, _ := v.Get(key)
		if columns == nil && !scalar(item) || columns != nil && !slices.Contains(columns, key) {
			text(b, item, key, nil)
		}
	}
}

func textList(b *strings.Builder, v jsonvalue.Value, name string) {
	items := v.Items()
	switch {
	case slices.ContainsFunc(items, isObject):
		columns := []string{}
		for _, item := range items {
			for i, field := range item.Items() {
				if isObject(item) && scalar(field) && !slices.Contains(columns, item.Key(i)) {
					columns = append(columns, item.Key(i))
				}
			}
		}
		slices.Sort(columns)
		for _, item := range items {
			text(b, item, name, columns)
		}
	case slices.ContainsFunc(items, func(v jsonvalue.Value) bool { return !scalar(v) }):
		var scalars, rest []jsonvalue.Value
		for _, item := range items {
			if scalar(item) {
				scalars = append(scalars, item)
			} else {
				rest = append(rest, item)
			}
		}
		textScalars(b, scalars, name)
		for _, item := range rest {
			text(b, item, name, nil)
		}
	default:
		textScalars(b, items, name)
	}
}

func textScalars(b *strings.Builder, items []jsonvalue.Value, name string) {
	if len(items) == 0 {
		return
	}
	cells := make([]string, len(items))
	for i, item := range items {
		cells[i] = plain(item)
	}
	if name == "" {
		b.WriteString(strings.Join(cells, "\t") + "\n")
		return
	}
	for _, cell := range cells {
		b.WriteString(strings.ToUpper(name) + "\t" + cell + "\n")
	}
}

func isObject(v jsonvalue.Value) bool { return v.Kind() == jsonvalue.Object }

func sortedKeys(v jsonvalue.Value) []string {
	keys := make([]string, v.Len())
	for i := range keys {
		keys[i] = v.Key(i)
	}
	slices.Sort(keys)
	return keys
}
