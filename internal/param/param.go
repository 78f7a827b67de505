// Package param reads the parameters of operators and sensors from one declaration: the tags of a Go struct.
//
//	type StartExecution struct {
//		StateMachineARN string         `param:"state_machine_arn" template:"true" required:"true" doc:"..."`
//		WaiterDelay     param.Duration `param:"waiter_delay" default:"60s" doc:"..."`
//	}
//
// From that declaration come strict decoding, defaults, the list of templated fields, the JSON Schema and the reference
// page. Tags:
//
//	param     the parameter's name in a pipeline file ("-" or absent: not a parameter)
//	doc       one or two sentences of user documentation
//	required  "true": must be given and not null
//	default   the value when absent, in the notation of a file
//	template  "true": rendered before the task runs
//	ext       file endings (".sh,.bash") that make a string the name of a file: of a template file if the parameter is
//	          templated, otherwise of one whose text is the value, as it is
//	enum      the legal values, comma separated
//	alias     other spellings of the name, comma separated (older Airflow names)
//
// Embedded structs contribute their fields. A value may be of any JSON kind; null means absent.
package param

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Unmarshaler is implemented by parameter types with their own notation. The value is what JSON or YAML decoding
// yields: nil, bool, string, int, int64, float64, []any or map[string]any.
type Unmarshaler interface{ UnmarshalParam(value any) error }

// Nullable is implemented by parameter types for which null is a value of its own rather than an absent one.
type Nullable interface{ SetNull() }

// Typed names the notation of an Unmarshaler for documentation, for example "bool or path".
type Typed interface{ ParamType() string }

// Field describes one parameter.
type Field struct {
	Name     string
	Aliases  []string
	Doc      string
	Type     string // "string", "bool", "int", "number", "duration", "list", "dict", "any", or Typed's word
	Required bool
	Template bool
	Ext      []string
	Default  string
	Enum     []string

	index []int
	typ   reflect.Type
}

// Schema describes the parameters of one struct type, in declaration order.
type Schema struct {
	Fields []Field
	byName map[string]int
	typ    reflect.Type
}

// Error is one problem with a parameter. Path leads from the parameter's name to the offending value; it is empty for
// a problem of the whole set (a missing parameter).
type Error struct {
	Path     []string
	Problem  string // what was wrong, lower case, without a full stop
	Expected string // what was expected, or ""
	Nearest  string // the nearest valid name, or ""
	// Line and Column, from 1, are the place in the text at Path, when it has an inner form; 0 is the value as a whole.
	Line, Column int
}

func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Path) > 0 {
		b.WriteString(strings.Join(e.Path, "."))
		b.WriteString(": ")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	b.WriteString(e.Problem)
	if e.Expected != "" {
		b.WriteString("; expected " + e.Expected)
	}
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	return b.String()
}

var schemas sync.Map // reflect.Type -> *Schema

// Of returns the schema of the struct that v points to. It fails on a malformed declaration: a duplicate name, a type
// that cannot be decoded, a default that does not parse. Schemas are cached by type.
func Of(v any) (*Schema, error) {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("param: %T is not a pointer to a struct", v)
	}
	t = t.Elem()
	if s, ok := schemas.Load(t); ok {
		return s.(*Schema), nil
	}
	s := &Schema{byName: map[string]int{}, typ: t}
	if err := s.collect(t, nil); err != nil {
		return nil, fmt.Errorf("param: %s: %w", t, err)
	}
	probe := reflect.New(t)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Default == "" {
			continue
		}
		if err := setDefault(probe.Elem().FieldByIndex(f.index), f.Default); err != nil {
			return nil, fmt.Errorf("param: %s: default of %s: %w", t, f.Name, err)
		}
	}
	schemas.Store(t, s)
	return s, nil
}

func (s *Schema) collect(t reflect.Type, index []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(slices.Clone(index), i)
		name := sf.Tag.Get("param")
		if sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct {
			if err := s.collect(sf.Type, at); err != nil {
				return err
			}
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		if !sf.IsExported() {
			return fmt.Errorf("field %s is not exported", sf.Name)
		}
		f := Field{
			Name: name, Aliases: list(sf.Tag.Get("alias")), Doc: sf.Tag.Get("doc"), Type: typeWord(sf.Type),
			Required: sf.Tag.Get("required") == "true", Template: sf.Tag.Get("template") == "true",
			Ext: list(sf.Tag.Get("ext")), Default: sf.Tag.Get("default"), Enum: list(sf.Tag.Get("enum")),
			index: at, typ: sf.Type,
		}
		if f.Type == "" {
			return fmt.Errorf("parameter %s: type %s cannot be decoded", name, sf.Type)
		}
		for _, n := range append([]string{name}, f.Aliases...) {
			if _, dup := s.byName[n]; dup {
				return fmt.Errorf("parameter %s is declared twice", n)
			}
			s.byName[n] = len(s.Fields)
		}
		s.Fields = append(s.Fields, f)
	}
	return nil
}

func list(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, ",")
}

// Field returns the parameter with this name or alias.
func (s *Schema) Field(name string) (*Field, bool) {
	i, ok := s.byName[name]
	if !ok {
		return nil, false
	}
	return &s.Fields[i], true
}

// Names lists the parameters' names in declaration order.
func (s *Schema) Names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

// Decode fills dst (a pointer to the schema's struct) from raw: defaults first, then what is given. Every problem is
// reported, in the order of the names. With deferTemplates a templated parameter whose text holds a Jinja marker is
// left at its zero value, for a check at load time, before rendering.
func (s *Schema) Decode(dst any, raw map[string]any, deferTemplates bool) []*Error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.Elem().Type() != s.typ {
		return []*Error{{Problem: fmt.Sprintf("cannot decode %s into %T", s.typ, dst)}}
	}
	v = v.Elem()
	for i := range s.Fields {
		if d := s.Fields[i].Default; d != "" {
			_ = setDefault(v.FieldByIndex(s.Fields[i].index), d) // proven by Of
		}
	}
	var errs []*Error
	given := map[int]bool{}
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		i, ok := s.byName[name]
		if !ok {
			errs = append(errs, &Error{Path: []string{name}, Problem: "unknown parameter", Nearest: Nearest(name, s.Names())})
			continue
		}
		f := &s.Fields[i]
		if given[i] {
			errs = append(errs, &Error{Path: []string{name}, Problem: fmt.Sprintf("parameter %s is given twice", f.Name)})
			continue
		}
		value := raw[name]
		if value == nil {
			if n, ok := v.FieldByIndex(f.index).Addr().Interface().(Nullable); ok {
				n.SetNull()
			}
			continue
		}
		given[i] = true
		if deferTemplates && f.Template && HasTemplate(value) {
			continue
		}
		if err := f.set(v.FieldByIndex(f.index), value); err != nil {
			errs = append(errs, under(name, err))
		}
	}
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Required && !given[i] {
			errs = append(errs, &Error{Problem: fmt.Sprintf("missing required parameter %q", f.Name), Expected: f.Type})
		}
	}
	return errs
}

func under(name string, err error) *Error {
	var pe *Error
	if errors.As(err, &pe) {
		inner := *pe
		inner.Path = append([]string{name}, pe.Path...)
		return &inner
	}
	return &Error{Path: []string{name}, Problem: err.Error()}
}

func (f *Field) set(v reflect.Value, value any) error {
	if err := set(v, value); err != nil {
		return err
	}
	if len(f.Enum) > 0 {
		if text := fmt.Sprint(v.Interface()); !slices.Contains(f.Enum, text) {
			return &Error{Problem: fmt.Sprintf("%q is not a legal value", text), Expected: "one of " + strings.Join(f.Enum, ", "), Nearest: Nearest(text, f.Enum)}
		}
	}
	return nil
}

// NamesFile reports whether a value of the parameter is the name of a file, which is read instead of it and not
// rendered.
func (f *Field) NamesFile(value any) bool {
	text, ok := value.(string)
	return ok && !f.Template && slices.ContainsFunc(f.Ext, func(ext string) bool { return strings.HasSuffix(text, ext) })
}

// HasTemplate reports whether the value, or anything inside it, holds a Jinja marker.
func HasTemplate(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.Contains(v, "{{") || strings.Contains(v, "{%") || strings.Contains(v, "{#")
	case []any:
		return slices.ContainsFunc(v, HasTemplate)
	case map[string]any:
		for _, item := range v {
			if HasTemplate(item) {
				return true
			}
		}
	}
	return false
}

var unmarshalerType = reflect.TypeFor[Unmarshaler]()

func typeWord(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(unmarshalerType) {
		if typed, ok := reflect.New(t).Interface().(Typed); ok {
			return typed.ParamType()
		}
		return "any"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeWord(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return "dict"
		}
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return "any"
		}
	}
	return ""
}

func setDefault(v reflect.Value, text string) error {
	if reflect.PointerTo(v.Type()).Implements(unmarshalerType) || v.Kind() == reflect.String {
		return set(v, text)
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	return set(v, value)
}

// set assigns a JSON-shaped value to v. Strings are never read as numbers or booleans: a file that says "3" where a
// number belongs is told so, as Airflow's type checks do.
func set(v reflect.Value, value any) error {
	if u, ok := v.Addr().Interface().(Unmarshaler); ok {
		return u.UnmarshalParam(value)
	}
	mismatch := func() error {
		return &Error{Problem: "wrong type: " + describe(value), Expected: typeWord(v.Type())}
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := set(p.Elem(), value); err != nil {
			return err
		}
		v.Set(p)
	case reflect.Interface:
		v.Set(reflect.ValueOf(value))
	case reflect.String:
		text, ok := value.(string)
		if !ok {
			return mismatch()
		}
		v.SetString(text)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			return mismatch()
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, ok := Int(value)
		if !ok {
			return mismatch()
		}
		v.SetInt(n)
	case reflect.Float64:
		n, ok := Float(value)
		if !ok {
			return mismatch()
		}
		v.SetFloat(n)
	case reflect.Slice:
		items, ok := value.([]any)
		if !ok {
			return mismatch()
		}
		out := reflect.MakeSlice(v.Type(), len(items), len(items))
		for i, item := range items {
			if err := setItem(out.Index(i), item); err != nil {
				return under(strconv.Itoa(i), err)
			}
		}
		v.Set(out)
	case reflect.Map:
		items, ok := value.(map[string]any)
		if !ok {
			return mismatch()
		}
		out := reflect.MakeMapWithSize(v.Type(), len(items))
		for _, key := range slices.Sorted(maps.Keys(items)) { // the first problem is the same each time
			e := reflect.New(v.Type().Elem()).Elem()
			if err := setItem(e, items[key]); err != nil {
				return under(key, err)
			}
			out.SetMapIndex(reflect.ValueOf(key), e)
		}
		v.Set(out)
	default:
		return fmt.Errorf("type %s cannot be decoded", v.Type())
	}
	return nil
}

func setItem(v reflect.Value, item any) error {
	if item == nil {
		if v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
			return nil
		}
		return &Error{Problem: "wrong type: null", Expected: typeWord(v.Type())}
	}
	return set(v, item)
}

// Int reads an integral JSON number.
func Int(value any) (int64, bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		return int64(n), n == float64(int64(n))
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

// Float reads a JSON number.
func Float(value any) (float64, bool) {
	switch n := value.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

// describe prints a value for an error message, short and on one line.
func describe(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%T", value)
	}
	if len(text) > 60 {
		text = append(text[:57], "..."...)
	}
	switch value.(type) {
	case string:
		return "string " + string(text)
	case bool:
		return "bool " + string(text)
	case []any:
		return "list " + string(text)
	case map[string]any:
		return "dict " + string(text)
	}
	return "number " + string(text)
}

// Duration is a length of time. A file writes it as a number of seconds, as a timedelta
// ({__type__: datetime.timedelta, minutes: 5}) or as a Go duration ("90s", "1h30m").
type Duration time.Duration

// ParamType names the notation.
func (Duration) ParamType() string { return "duration" }

// Std is the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// UnmarshalParam reads a number of seconds or a Go duration string.
func (d *Duration) UnmarshalParam(value any) error {
	if n, ok := Float(value); ok {
		*d = Duration(n * float64(time.Second))
		return nil
	}
	text, ok := value.(string)
	if !ok {
		return &Error{Problem: "wrong type: " + describe(value), Expected: "seconds as a number, a timedelta, or a text such as \"90s\""}
	}
	std, err := time.ParseDuration(text)
	if err != nil {
		return &Error{Problem: fmt.Sprintf("%q is not a duration", text), Expected: "seconds as a number, a timedelta, or a text such as \"90s\""}
	}
	*d = Duration(std)
	return nil
}
