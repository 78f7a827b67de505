package sqlconn

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gust/internal/param"
)

// Params are a task's hook_params: what it may change of the connection. The names are Airflow's.
type Params struct{ Schema, Options string }

// hookParams are the keys of Params.
var hookParams = []string{"options", "schema"}

// ParamType names the notation.
func (Params) ParamType() string { return "dict" }

// UnmarshalParam reads the mapping.
func (p *Params) UnmarshalParam(value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return &param.Error{Problem: fmt.Sprintf("wrong type: %T", value), Expected: "a mapping with schema or options"}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		var field *string
		switch key {
		case "schema", "database":
			field = &p.Schema
		case "options":
			field = &p.Options
		default:
			return &param.Error{
				Path: []string{key}, Problem: "unknown parameter", Expected: strings.Join(hookParams, " or "),
				Nearest: param.Nearest(key, hookParams),
			}
		}
		text, ok := object[key].(string)
		if !ok {
			return &param.Error{Path: []string{key}, Problem: fmt.Sprintf("wrong type: %T", object[key]), Expected: "string"}
		}
		*field = text
	}
	return nil
}

// Target is the database of a task. database, when not empty, goes before the parameters' schema.
func (p Params) Target(connID, database string) Target {
	if database == "" {
		database = p.Schema
	}
	return Target{ConnID: connID, Database: database, Options: p.Options}
}

// ParamsOf reads the parameters of a statement: nothing, a list, a mapping, or the JSON text of one, which a template
// makes.
func ParamsOf(value any) (any, error) {
	switch v := value.(type) {
	case nil, []any, map[string]any:
		return v, nil
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, nil
		}
		dec := json.NewDecoder(strings.NewReader(v))
		dec.UseNumber()
		var decoded any
		if err := dec.Decode(&decoded); err == nil {
			switch decoded.(type) {
			case []any, map[string]any:
				return decoded, nil
			}
		}
	}
	return nil, &param.Error{
		Path: []string{"parameters"}, Problem: fmt.Sprintf("%v is neither a list nor a mapping", value),
		Expected: "a list for %s and ?, a mapping for %(name)s and :name",
	}
}
