package sfnapi

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gust/cmd/gust/awsform"
	"gust/internal/param"
	"gust/stepfunctions/jsonvalue"
)

// ParameterError is a value that does not fit its parameter.
type ParameterError struct {
	// Place is the flag, followed by the place in its value.
	Place, Problem string
}

func (e *ParameterError) Error() string { return e.Place + ": " + e.Problem }

// ExitCode is that of wrong usage.
func (*ParameterError) ExitCode() int { return codeUsage }

func wrongParameter(place, format string, args ...any) error {
	return &ParameterError{place, fmt.Sprintf(format, args...)}
}

// assign sets a member from what a flag was given: words, each of which is a text, JSON or shorthand as its type demands.
func assign(to reflect.Value, words []string, place string) error {
	t := to.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		return assignList(to, words, place)
	case reflect.Struct:
		v, err := document(words[0], place)
		if err != nil {
			return err
		}
		return set(to, v, place)
	}
	return set(to, jsonvalue.NewString(words[0]), place)
}

// assignList takes one JSON list, or an item from each word.
func assignList(to reflect.Value, words []string, place string) error {
	if len(words) == 1 && strings.HasPrefix(strings.TrimSpace(words[0]), "[") {
		v, err := document(words[0], place)
		if err != nil {
			return err
		}
		return set(to, v, place)
	}
	items := make([]jsonvalue.Value, len(words))
	for i, word := range words {
		items[i] = jsonvalue.NewString(word)
		if to.Type().Elem().Kind() == reflect.Struct {
			var err error
			if items[i], err = document(word, place); err != nil {
				return err
			}
		}
	}
	return set(to, jsonvalue.NewArray(items), place)
}

// document reads JSON or shorthand.
func document(text, place string) (jsonvalue.Value, error) {
	read := awsform.ParseShorthand
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		read = jsonvalue.Parse
	}
	v, err := read(text)
	if err != nil {
		return v, wrongParameter(place, "%v", err)
	}
	return v, nil
}

// set sets a member of an input. Texts become numbers and booleans where those are wanted.
func set(to reflect.Value, v jsonvalue.Value, place string) error {
	t := to.Type()
	if t.Kind() == reflect.Pointer {
		target := reflect.New(t.Elem())
		if err := set(target.Elem(), v, place); err != nil {
			return err
		}
		to.Set(target)
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		if v.Kind() != jsonvalue.String {
			return wrongParameter(place, "%s is %s; expected a text", v, article(v.Kind()))
		}
		to.SetString(v.Text())
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(scalarText(v)))
		if err != nil {
			return wrongParameter(place, "%s; expected true or false", v)
		}
		to.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(scalarText(v), 10, t.Bits())
		if err != nil {
			return wrongParameter(place, "%s; expected a whole number", v)
		}
		to.SetInt(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(scalarText(v), t.Bits())
		if err != nil {
			return wrongParameter(place, "%s; expected a number", v)
		}
		to.SetFloat(f)
	case reflect.Slice:
		return setList(to, v, place)
	case reflect.Struct:
		return setStruct(to, v, place)
	default:
		return wrongParameter(place, "a %s cannot be given", t)
	}
	return nil
}

func article(k jsonvalue.Kind) string {
	if k == jsonvalue.Array || k == jsonvalue.Object {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// scalarText is the text of a scalar, "" of anything else.
func scalarText(v jsonvalue.Value) string {
	if v.Kind() == jsonvalue.Bool {
		return v.String()
	}
	return v.Text()
}

func setList(to reflect.Value, v jsonvalue.Value, place string) error {
	if v.Kind() != jsonvalue.Array { // one item of a list that shorthand does not show to be one
		v = jsonvalue.NewArray([]jsonvalue.Value{v})
	}
	list := reflect.MakeSlice(to.Type(), v.Len(), v.Len())
	for i, item := range v.Items() {
		if err := set(list.Index(i), item, fmt.Sprintf("%s[%d]", place, i)); err != nil {
			return err
		}
	}
	to.Set(list)
	return nil
}

func setStruct(to reflect.Value, v jsonvalue.Value, place string) error {
	if v.Kind() != jsonvalue.Object {
		return wrongParameter(place, "%s is %s; expected an object with %s", v, article(v.Kind()), memberNames(to.Type()))
	}
	known := map[string]member{}
	var names []string
	for _, m := range members(to.Type()) {
		known[m.name] = m
		names = append(names, m.name)
	}
	for i, item := range v.Items() {
		m, ok := known[v.Key(i)]
		if !ok {
			text := fmt.Sprintf("unknown key %q; expected one of %s", v.Key(i), memberNames(to.Type()))
			if near := param.Nearest(v.Key(i), names); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
			return wrongParameter(place, "%s", text)
		}
		if item.IsNull() {
			continue
		}
		if err := set(to.FieldByName(m.field()), item, place+"."+m.name); err != nil {
			return err
		}
	}
	return nil
}

func memberNames(t reflect.Type) string {
	var names []string
	for _, m := range members(t) {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}
