// Package params checks the values of a DAG's params against their JSON Schemas (Airflow: Param): the defaults when a
// scheduled DAG is loaded, and the values of a run when it is triggered.
package params

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"gust/dag"
)

// Error is one problem with a value.
type Error struct {
	// Name is the param, Path leads to the value inside it.
	Name    string
	Path    []string
	Message string
}

func (e *Error) Error() string {
	return "param " + strings.Join(append([]string{e.Name}, e.Path...), ".") + ": " + e.Message
}

// Schema is the JSON Schema (draft 2020-12) of one param.
type Schema struct{ compiled *jsonschema.Schema }

// Compile compiles a schema, an object of pure JSON values. It reads nothing from anywhere: a $ref stays inside.
func Compile(schema map[string]any) (*Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(noLoader{})
	doc, err := decoded(schema)
	if err != nil {
		return nil, err
	}
	if err := c.AddResource(location, doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(location)
	if err != nil {
		return nil, plain(err)
	}
	return &Schema{compiled}, nil
}

// location is the name of the schema inside the compiler.
const location = "param:schema"

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside of the schema, and nothing is loaded", url)
}

// decoded is a value in the types that the validator knows.
func decoded(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
}

// plain shortens the compiler's error about a schema that is not one.
func plain(err error) error {
	var invalid *jsonschema.SchemaValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	var ve *jsonschema.ValidationError
	if !errors.As(invalid.Err, &ve) {
		return err
	}
	first := leaves(ve)[0]
	at := strings.Join(first.InstanceLocation, ".")
	if at != "" {
		at += ": "
	}
	return errors.New(at + text(first))
}

var english = message.NewPrinter(language.English)

// text is the message of one violation.
func text(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return fmt.Sprintf("got %s, want %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Format:
		return fmt.Sprintf("%q is not a valid %s", fmt.Sprint(k.Got), k.Want)
	}
	return e.ErrorKind.LocalizedString(english)
}

// leaves are the violations themselves. Of alternatives (anyOf, oneOf) only that none holds is said.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		return []*jsonschema.ValidationError{e}
	}
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, c := range e.Causes {
		out = append(out, leaves(c)...)
	}
	return out
}

// Check says what is wrong with the value of the param called name.
func (s *Schema) Check(name string, value any) []*Error {
	v, err := decoded(value)
	if err != nil {
		return []*Error{{Name: name, Message: err.Error()}}
	}
	err = s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []*Error{{Name: name, Message: err.Error()}}
	}
	var out []*Error
	for _, leaf := range leaves(ve) {
		out = append(out, &Error{Name: name, Path: leaf.InstanceLocation, Message: text(leaf)})
	}
	slices.SortStableFunc(out, func(x, y *Error) int { return slices.Compare(x.Path, y.Path) })
	return out
}

// Resolve returns the params of a run: the DAG's defaults with conf over them, checked against the schemas. conf may
// hold names that are no params; those are not checked and stay out of the result. With override false, conf changes
// nothing ([core] dag_run_conf_overrides_params).
func Resolve(d *dag.DAG, conf map[string]any, override bool) (map[string]any, []*Error) {
	values, err := object(d.Params)
	if err != nil {
		return nil, []*Error{{Message: err.Error()}}
	}
	schemas, err := object(d.ParamSchemas)
	if err != nil {
		return nil, []*Error{{Message: err.Error()}}
	}
	if override {
		for name, x := range conf {
			_, known := values[name]
			if _, declared := schemas[name]; known || declared {
				values[name] = x
			}
		}
	}
	names := make([]string, 0, len(schemas))
	for name := range schemas {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []*Error
	for _, name := range names {
		value, given := values[name]
		if !given {
			out = append(out, &Error{Name: name, Message: "it has no default, and the run's conf gives no value"})
			continue
		}
		schema, _ := schemas[name].(map[string]any)
		s, err := Compile(schema)
		if err != nil {
			out = append(out, &Error{Name: name, Message: "the schema is not valid: " + err.Error()})
			continue
		}
		out = append(out, s.Check(name, value)...)
	}
	return values, out
}

func object(raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	v, err := dag.DecodeJSON(raw)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("params are %T, not an object", v)
	}
	return m, nil
}
