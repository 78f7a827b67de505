package dagfile

import (
	"maps"

	"gust/dag"
	"gust/dag/params"
)

// paramSet is what a dict of params holds: the default values, and the JSON Schemas of those that are Param objects. A
// Param without a default has only a schema.
type paramSet struct {
	values  map[string]any
	schemas map[string]any
}

func newParamSet() paramSet { return paramSet{map[string]any{}, map[string]any{}} }

// over lays the params of top over these. A plain value keeps the schema that its name has; a Param replaces both.
func (s paramSet) over(top paramSet) paramSet {
	out := paramSet{maps.Clone(s.values), maps.Clone(s.schemas)}
	for name := range top.schemas {
		delete(out.values, name)
	}
	maps.Copy(out.values, top.values)
	maps.Copy(out.schemas, top.schemas)
	return out
}

// params reads the DAG's params and those of default_args, which override them.
func (b *builder) params() {
	all := b.paramValues(b.cfg.get("params"), b.id+".params", nil)
	all = all.over(b.paramValues(b.cfg.get("default_args").get("params"), b.id+".default_args.params", all.schemas))
	if len(all.values) > 0 {
		b.d.Params = b.jsonText(all.values, b.cfg, b.id+".params")
	}
	if len(all.schemas) > 0 {
		b.d.ParamSchemas = b.jsonText(all.schemas, b.cfg, b.id+".params")
	}
	b.declared = all.schemas
}

// paramValues reads a dict of names to values or Param objects. A plain value for a name that has a schema already
// (declared) is checked against it.
func (b *builder) paramValues(v *value, path string, declared map[string]any) paramSet {
	out := newParamSet()
	d, ok := b.dict(v, path, "a dict of names to values")
	if !ok {
		return out
	}
	for _, e := range d.keys {
		at := path + "." + e.key
		switch class := className(e.val.typeName()); class {
		case "Param":
			b.paramObject(&out, e, at)
			continue
		case "ParamsDict", "DagParam":
			b.fail(e.val.pos, at, Problem{Message: e.val.typeName() + " cannot be a param", Expected: "a value, or an airflow.sdk.Param"})
			continue
		}
		b.warnPlainParam(e, at)
		x, ok := b.json(e.val, at)
		if !ok {
			continue
		}
		out.values[e.key] = x
		if schema, ok := declared[e.key].(map[string]any); ok && b.scheduled() {
			b.checkParam(schema, x, e.val, at)
		}
	}
	return out
}

// warnPlainParam warns about a dict that looks like a Param but is the value itself.
func (b *builder) warnPlainParam(e entry, path string) {
	if e.val.kind != kindDict || e.val.typeName() != "" || e.val.find("default") == nil || e.val.find("type") == nil {
		return
	}
	b.warn(e.val.pos, path, Problem{
		Message: "the dict is the value of the param, not its description",
		Hint:    "add __type__: airflow.sdk.Param to it to give a default and a schema",
	})
}

// scheduled reports whether the DAG runs by itself, so that its params must hold without a conf.
func (b *builder) scheduled() bool { return b.d.Schedule.Kind != dag.ScheduleNone }

// paramObject reads {__type__: airflow.sdk.Param, default: ..., type: ..., enum: [...], ...}. Everything but the default
// is JSON Schema.
func (b *builder) paramObject(out *paramSet, e entry, path string) {
	v := e.val
	a, ok := b.bind(v, path, []string{"default", "description", "source"}, false, true)
	if !ok {
		return
	}
	schema := map[string]any{}
	for _, name := range sortedKeys(a.vals) {
		if name == "default" || name == "source" {
			continue
		}
		if name == "schema" { // Param's own name for a whole schema
			b.fail(a.vals[name].pos, path+".schema", Problem{
				Message: "unknown argument of Param", Hint: "write the schema's keywords beside the default",
			})
			return
		}
		x, ok := b.json(a.vals[name], path+"."+name)
		if !ok {
			return
		}
		if x != nil {
			schema[name] = x
		}
	}
	given := a.vals["default"]
	if given != nil {
		x, ok := b.json(given, path+".default")
		if !ok {
			return
		}
		out.values[e.key] = x
	}
	out.schemas[e.key] = schema
	if !b.paramSchema(schema, v, path) || !b.scheduled() {
		return
	}
	if given == nil {
		b.fail(v.pos, path, Problem{
			Message: "a Param without a default in a scheduled DAG", Hint: "give it a default, or set schedule: null",
		})
		return
	}
	b.checkParam(schema, out.values[e.key], given, path+".default")
}

// paramSchema reports a schema that is none, at the keyword that is wrong.
func (b *builder) paramSchema(schema map[string]any, v *value, path string) bool {
	if types, ok := v.find("type"), true; types != nil && !types.val.isNull() {
		words, isWords := b.words(types.val, path+".type", "a JSON Schema type or a list of them")
		if !isWords {
			return false
		}
		for _, w := range words {
			if isJSONType(w) {
				continue
			}
			ok = false
			b.fail(types.val.pos, path+".type", Problem{
				Message: "\"" + clip(w) + "\" is not a JSON Schema type", Expected: "one of " + jsonTypes, Nearest: b.nearest(w, jsonTypeList),
			})
		}
		if !ok {
			return false
		}
	}
	_, err := params.Compile(schema)
	if err == nil {
		return true
	}
	at := v.pos
	for _, e := range v.keys {
		if prefix := e.key + ": "; len(err.Error()) > len(prefix) && err.Error()[:len(prefix)] == prefix {
			at = e.val.pos
		}
	}
	b.errorf(at, path, "the JSON Schema is not valid: %v", err)
	return false
}

// checkParam checks a value against its schema and places each violation in the file.
func (b *builder) checkParam(schema map[string]any, x any, v *value, path string) {
	s, err := params.Compile(schema)
	if err != nil {
		return // reported where the schema is
	}
	for _, e := range s.Check("", x) {
		at, atPath := b.plain(v, path), path
		for _, key := range e.Path {
			next, nextPath := child(at, atPath, key)
			atPath = nextPath
			if next != nil {
				at = next
			}
		}
		b.fail(at.pos, atPath, Problem{
			Message: "the value does not match the param's schema: " + e.Message,
			Hint:    "a scheduled DAG needs defaults that do; with schedule: null they are checked when it is triggered",
		})
	}
}

const jsonTypes = "string, number, integer, boolean, array, object, null"

var jsonTypeList = []string{"string", "number", "integer", "boolean", "array", "object", "null"}

func isJSONType(w string) bool {
	for _, t := range jsonTypeList {
		if t == w {
			return true
		}
	}
	return false
}
