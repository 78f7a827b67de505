package dagfile

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"gust/dag"
	"gust/internal/param"
	"gust/operators"
)

// object is a part of a JSON Schema.
type object = map[string]any

// Schema returns the JSON Schema (draft 7, which editors know) of pipeline files with the operators of a registry. It
// holds for files as they are written: values may be environment variables, and what the default block or a defaults
// file gives may be missing.
func Schema(reg *operators.Registry) ([]byte, error) {
	defs := definitions()
	task := taskProperties()
	names := []string{}
	var choices []any
	for _, spec := range reg.Specs() {
		own := append([]string{spec.Name}, spec.Aliases...)
		names = append(names, own...)
		defs["operator "+spec.Name] = operatorSchema(spec, task)
		choices = append(choices, object{
			"if":   object{"properties": object{"operator": object{"enum": own}}, "required": []string{"operator"}},
			"then": ref("operator " + spec.Name),
		})
	}
	slices.Sort(names)
	generic := maps.Clone(task)
	generic["operator"] = object{
		"description": "The operator: its name, or an import path of Airflow. See gust operators list.",
		"anyOf":       []any{object{"enum": names}, ref("environment")},
	}
	defs["task"] = object{"type": "object", "properties": generic, "allOf": choices}
	defs["default_args"] = object{"type": []string{"object", "null"}, "properties": defaultArgProperties(reg)}
	root := object{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "Gust pipeline file",
		"description": "DAGs by id, in the dialect of dag-factory.", "type": "object",
		"properties": object{
			"default":     describe(ref("dag"), "Keys that every DAG of the file has unless it says otherwise."),
			"task_groups": true, "vars": true,
		},
		"patternProperties":    object{"^x-": true},
		"additionalProperties": ref("dag"),
		"definitions":          defs,
	}
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

func ref(name string) object { return object{"$ref": "#/definitions/" + name} }

// describe adds a description to a reference, beside which draft 7 allows nothing.
func describe(schema object, text string) object {
	if text == "" {
		return schema
	}
	return object{"description": text, "allOf": []any{schema}}
}

// anyOf allows schemas, and what may stand for any value.
func anyOf(schemas ...any) object {
	return object{"anyOf": append(schemas, ref("environment"), ref("helper"))}
}

// definitions are the kinds of values.
func definitions() object {
	kind := func(name string) object { return object{"type": name} }
	typed := object{"type": "object", "required": []string{"__type__"}, "properties": object{"__type__": kind("string")}}
	helper := object{"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false}
	parts := object{}
	for _, key := range []string{"__join__", "__and__", "__or__"} {
		parts[key] = object{"type": "array"}
	}
	helper["properties"] = parts
	callback := anyOf(kind("string"), ref("typed"), object{
		"type": "object", "required": []string{"callback"}, "properties": object{"callback": kind("string")},
	}, object{
		"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
		"properties": object{
			"bash": object{"type": []string{"string", "object"}}, "http": object{"type": []string{"string", "object"}},
			"slack_webhook": object{"type": []string{"string", "object"}},
		},
	})
	deadline := object{"anyOf": []any{ref("typed"), object{
		"type": "object", "required": []string{"reference", "interval", "callback"},
		"properties": object{
			"reference": true, "interval": ref("duration"), "callback": ref("callback"), "name": true, "description": true,
		}, "additionalProperties": false,
	}}}
	list := func(item object) object { return object{"type": "array", "items": item} }
	return object{
		"environment": object{"type": "string", "pattern": `\$`},
		"helper":      helper,
		"typed":       typed,
		"null":        kind("null"),
		"text":        anyOf(kind("string"), kind("null")),
		// YAML 1.1, which pipeline files are, has more words for true and false than editors know.
		"bool":     anyOf(object{"type": []string{"boolean", "null"}}, object{"enum": yamlBools}),
		"int":      anyOf(object{"type": []string{"integer", "null"}}, object{"type": "string", "pattern": `^[-+]?[0-9_:]+$`}),
		"number":   anyOf(object{"type": []string{"number", "null"}}),
		"duration": anyOf(object{"type": []string{"number", "string", "null"}}, ref("typed")),
		"date":     anyOf(object{"type": []string{"string", "null"}}, ref("typed")),
		"names":    anyOf(list(anyOf(kind("string"))), ref("typed"), kind("null")),
		"asset":    anyOf(kind("string"), ref("typed"), kind("null"), ref("condition")),
		"condition": object{
			"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
			"properties": object{"__and__": list(ref("asset")), "__or__": list(ref("asset"))},
		},
		"assets": anyOf(list(ref("asset")), ref("typed"), kind("null"), object{
			"type": "object", "required": []string{"datasets"}, "additionalProperties": false,
			"properties": object{"file": kind("string"), "datasets": true},
		}),
		"schedule": anyOf(object{"type": []string{"string", "null"}}, list(ref("asset")), ref("typed"), ref("condition"), object{
			"type": "object", "required": []string{"datasets"}, "additionalProperties": false,
			"properties": object{"datasets": true, "file": kind("string"), "timetable": ref("schedule")},
		}),
		"callback":  callback,
		"callbacks": object{"anyOf": []any{ref("callback"), list(ref("callback")), kind("null")}},
		"deadline":  deadline,
		"dag":       dagSchema(),
		"task_group": object{
			"type": []string{"object", "null"}, "properties": groupProperties(), "patternProperties": object{"^x-": true},
			"additionalProperties": false,
		},
	}
}

var yamlBools = []string{
	"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "true", "True", "false", "False",
}

// dagSchema is the schema of a DAG, and of the default block.
func dagSchema() object {
	properties := object{"<<": true, "vars": true}
	for key, reason := range dagKeys {
		properties[key] = object{"description": noEffectText(reason)}
	}
	for name, kind := range dagKinds {
		properties[name] = describe(ref(kind), keyDocs[name])
	}
	items := func(of, id string) object {
		return object{"anyOf": []any{
			ref("null"),
			object{"type": "object", "additionalProperties": object{"anyOf": []any{ref(of), ref("null")}}},
			object{"type": "array", "items": object{"allOf": []any{ref(of)}, "required": []string{id}}},
		}}
	}
	properties["tasks"] = describe(items("task", "task_id"), "The tasks: a list of dicts with task_id, or a dict by task id.")
	properties["task_groups"] = describe(items("task_group", "group_name"), "The task groups: a list of dicts with group_name, or a dict by name.")
	properties["default_args"] = describe(ref("default_args"), "Arguments that every task has unless it says otherwise.")
	properties["deadline"] = describe(object{"anyOf": []any{
		ref("deadline"), object{"type": "array", "items": ref("deadline")}, ref("null"),
	}}, "When a run is late, and what to call then.")
	properties["user_defined_macros"] = describe(object{"type": []string{"object", "null"}}, keyDocs["user_defined_macros"])
	properties["params"] = describe(object{"type": []string{"object", "null"}}, keyDocs["params"])
	maps.Copy(properties, callbackProperties())
	return object{
		"type": []string{"object", "null"}, "properties": properties, "patternProperties": object{"^x-": true},
		"additionalProperties": false,
	}
}

func noEffectText(reason string) string {
	if reason == "" {
		return ""
	}
	return "Has no effect: " + reason + "."
}

func callbackProperties() object {
	out := object{}
	for _, event := range callbackEvents {
		out[string(event)] = describe(ref("callbacks"), keyDocs[string(event)])
		out[string(event)+"_name"] = describe(ref("text"), "The function in "+string(event)+"_file.")
		out[string(event)+"_file"] = describe(ref("text"), "The Python file of "+string(event)+"_name.")
	}
	return out
}

func groupProperties() object {
	out := object{"<<": true}
	for key, reason := range groupKeys {
		out[key] = object{"description": noEffectText(reason)}
	}
	out["dependencies"] = describe(ref("names"), "The tasks and task groups that the group waits for.")
	out["default_args"] = describe(ref("default_args"), "Arguments that every task of the group has unless it says otherwise.")
	out["prefix_group_id"] = describe(ref("bool"), "Whether the ids of the tasks begin with that of the group.")
	out["parent_group_name"] = describe(ref("text"), "The group that this one is in.")
	out["tooltip"] = describe(ref("text"), "What the group is for.")
	return out
}

// baseProperties are the arguments that every task has.
func baseProperties() object {
	out := callbackProperties()
	for key, reason := range taskNoEffect {
		out[key] = object{"description": noEffectText(reason)}
	}
	for key := range baseArgs {
		out[key] = describe(ref(baseKinds[key]), keyDocs[key])
	}
	rules := []string{"dummy", "none_failed_or_skipped", teardownRule}
	for _, r := range dag.TriggerRules {
		rules = append(rules, string(r))
	}
	out["trigger_rule"] = describe(anyOf(object{"enum": rules}, ref("null")), keyDocs["trigger_rule"])
	weights := []string{string(dag.WeightDownstream), string(dag.WeightUpstream), string(dag.WeightAbsolute)}
	out["weight_rule"] = describe(anyOf(object{"enum": weights}, ref("null")), keyDocs["weight_rule"])
	out["retry_exponential_backoff"] = describe(object{"anyOf": []any{ref("bool"), ref("number")}}, keyDocs["retry_exponential_backoff"])
	out["params"] = describe(object{"type": []string{"object", "null"}}, "Params of this task, over those of the DAG.")
	out["map_index_template"] = describe(ref("text"), "A template for the name of each instance of a mapped task.")
	return out
}

// taskProperties are the keys that every task may have, whatever its operator.
func taskProperties() object {
	out := baseProperties()
	maps.Copy(out, object{
		"<<": true, "vars": true,
		"task_id":         describe(ref("text"), "The task's id; in list form it must be there."),
		"decorator":       describe(ref("text"), "Instead of operator: a Python function as a task, such as airflow.sdk.task."),
		"dependencies":    describe(ref("names"), "The tasks and task groups that it waits for."),
		"task_group_name": describe(ref("text"), "The task group that it is in."),
		"expand":          describe(object{"type": []string{"object", "null"}}, "Parameters to map over: lists, dicts, or outputs of tasks."),
		"partial":         describe(object{"type": []string{"object", "null"}}, "Parameters that all instances of a mapped task share."),
		"setup":           describe(ref("bool"), "A setup: tasks behind it run only when it has succeeded."),
		"teardown": describe(object{"anyOf": []any{ref("bool"), ref("names")}},
			"A teardown: it runs when everything before it is done; a list names its setups."),
		"on_failure_fail_dagrun": describe(ref("bool"), "A failure of this teardown fails the run."),
		"variables_as_arguments": true,
	})
	return out
}

func defaultArgProperties(reg *operators.Registry) object {
	out := object{}
	for _, spec := range reg.Specs() {
		for _, f := range spec.Schema().Fields {
			out[f.Name] = true // different operators may mean different things
		}
	}
	maps.Copy(out, baseProperties())
	return out
}

// operatorSchema is the schema of the tasks of one operator.
func operatorSchema(spec *operators.Spec, task object) object {
	properties := object{}
	for key := range task {
		properties[key] = true // checked by the schema of all tasks
	}
	properties["operator"] = true
	for _, f := range spec.Schema().Fields {
		schema := fieldSchema(&f)
		properties[f.Name] = schema
		for _, alias := range f.Aliases {
			properties[alias] = schema
		}
	}
	return object{
		"type": "object", "description": spec.Doc, "properties": properties, "patternProperties": object{"^x-": true},
		"additionalProperties": false,
	}
}

// fieldSchema is the schema of one parameter.
func fieldSchema(f *param.Field) object {
	var kinds []any
	text := false
	switch f.Type {
	case "string":
		kinds, text = append(kinds, object{"type": []string{"string", "null"}}), true
	case "bool", "int", "number", "duration":
		kinds = append(kinds, ref(f.Type))
	case "list":
		kinds = append(kinds, object{"type": []string{"array", "null"}}, ref("typed"))
	case "dict":
		kinds = append(kinds, object{"type": []string{"object", "null"}})
	default:
		if f.Doc == "" {
			return object{}
		}
		return object{"description": f.Doc}
	}
	if len(f.Enum) > 0 {
		kinds, text = []any{object{"enum": f.Enum}, ref("null")}, false
	}
	if f.Template && !text {
		kinds = append(kinds, object{"type": "string", "pattern": `\{[{%#]`})
	}
	out := anyOf(kinds...)
	if f.Doc != "" {
		out["description"] = f.Doc
	}
	if f.Default != "" {
		out["default"] = f.Default
		if n, err := strconv.ParseFloat(f.Default, 64); err == nil {
			out["default"] = n
		} else if b, err := strconv.ParseBool(f.Default); err == nil {
			out["default"] = b
		}
	}
	return out
}
