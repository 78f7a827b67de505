package dagfile

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gust/dag"
)

// callbackEvents lists the events in the order in which callbacks are kept.
var callbackEvents = []dag.CallbackEvent{dag.OnExecute, dag.OnSuccess, dag.OnFailure, dag.OnRetry, dag.OnSkipped}

// ownForms are the callbacks that a file asks for by a key of their own: the operator, and the parameter that a plain
// text is.
var ownForms = map[string]struct{ operator, text string }{
	"bash": {"BashOperator", "bash_command"}, "http": {"HttpOperator", "endpoint"}, "slack_webhook": {"SlackWebhookOperator", "message"},
}

// pythonCallback is the operator that calls a function or notifier.
const pythonCallback = "PythonCallback"

// notifiers are Airflow's notifier classes, and the functions that make them, that Gust has without Python.
var notifiers = map[string]string{
	"SlackNotifier": "SlackWebhookOperator", "send_slack_notification": "SlackWebhookOperator",
	"SlackWebhookNotifier": "SlackWebhookOperator", "send_slack_webhook_notification": "SlackWebhookOperator",
	"HttpNotifier": "HttpOperator", "send_http_notification": "HttpOperator",
}

// notifierIdle are arguments of those notifiers that change how Airflow reaches the other side.
var notifierIdle = map[string]bool{
	"base_url": true, "proxy": true, "timeout": true, "retry_handlers": true, "unfurl_links": true, "unfurl_media": true,
	"initial_comment": true, "thread_ts": true, "context": true, "auth_type": true, "icon_url": true, "icon_emoji": true,
	"attachments": true,
}

const callbackWords = "the import path of a function, {callback: path, ...}, {bash: command}, {http: url}, {slack_webhook: text}, " +
	"or a list of them"

// callbackReader reads the callbacks of one dict: a task, default_args, or a DAG.
type callbackReader struct {
	b      *builder
	path   string
	events []dag.CallbackEvent
}

// callbacks lays the callbacks that a dict gives over those it inherits: an event that it names replaces the inherited
// ones of that event.
func (r *callbackReader) callbacks(inherited []dag.Callback, cfg *value) []dag.Callback {
	out := inherited
	for _, event := range r.events {
		given, ok := r.event(event, cfg)
		if !ok {
			continue
		}
		out = slices.DeleteFunc(slices.Clone(out), func(c dag.Callback) bool { return c.Event == event })
		out = append(out, given...)
	}
	slices.SortStableFunc(out, func(x, y dag.Callback) int {
		return slices.Index(callbackEvents, x.Event) - slices.Index(callbackEvents, y.Event)
	})
	return out
}

// event reads the callbacks of one event; false when the dict does not name it.
func (r *callbackReader) event(event dag.CallbackEvent, cfg *value) ([]dag.Callback, bool) {
	key := string(event)
	e := cfg.find(key)
	name, file := cfg.find(key+"_name"), cfg.find(key+"_file")
	if e == nil && name == nil && file == nil {
		return nil, false
	}
	if name == nil && file == nil {
		if e.val.isNull() {
			return nil, true
		}
		return r.list(event, e.val, r.path+"."+key), true
	}
	if name == nil || file == nil {
		r.b.fail(cmpEntry(name, file).pos, r.path+"."+cmpEntry(name, file).key, Problem{
			Message: fmt.Sprintf("%s_name and %s_file belong together", key, key), Expected: "both of them",
		})
		return nil, true
	}
	if name.val.isNull() && file.val.isNull() {
		return nil, true
	}
	function, ok := r.b.text(name.val, r.path+"."+name.key)
	path, good := r.b.pythonFile(file.val, r.path+"."+file.key)
	if !ok || !good {
		return nil, true
	}
	c, ok := r.run(event, pythonCallback, newDict(name.pos, []entry{
		textEntry("python_callable_name", name.val, function), textEntry("python_callable_file", file.val, path),
	}), r.path)
	if !ok {
		return nil, true
	}
	return []dag.Callback{c}, true
}

// textEntry is a key with a text, at the position of the value that it was read from.
func textEntry(key string, from *value, text string) entry {
	v := &value{kind: kindText, style: from.style, pos: from.pos, until: from.until, data: text, size: 1}
	return entry{key: key, kind: kindText, pos: from.pos, val: v}
}

func cmpEntry(x, y *entry) *entry {
	if x != nil {
		return x
	}
	return y
}

// pythonFile reads the path of a Python file, which stays as it is written: it is resolved where it is called. One that is
// not there is a warning: only what calls it will fail.
func (b *builder) pythonFile(v *value, path string) (string, bool) {
	written, ok := b.text(v, path)
	if !ok {
		return "", false
	}
	file := b.beside(written)
	b.depends[file] = true
	if info, err := os.Stat(file); err != nil || info.IsDir() {
		b.warn(v.pos, path, Problem{Message: fmt.Sprintf("there is no file %s", clip(file))})
	}
	return written, true
}

// list reads one callback or a list of them.
func (r *callbackReader) list(event dag.CallbackEvent, v *value, path string) []dag.Callback {
	v = r.b.plain(v, path)
	if v.kind != kindList {
		if c, ok := r.one(event, v, path); ok {
			return []dag.Callback{c}
		}
		return nil
	}
	var out []dag.Callback
	for i, item := range v.items {
		if c, ok := r.one(event, item, fmt.Sprintf("%s[%d]", path, i)); ok {
			out = append(out, c)
		}
	}
	return out
}

// one reads a callback in any of its forms.
func (r *callbackReader) one(event dag.CallbackEvent, v *value, path string) (dag.Callback, bool) {
	b := r.b
	if text, ok := v.text(); ok {
		return r.python(event, v, path, text, nil)
	}
	if v.kind != kindDict {
		b.mismatch(v, path, callbackWords)
		return dag.Callback{}, false
	}
	if class := v.typeName(); class != "" {
		return r.object(event, v, path, class)
	}
	if e := v.find("callback"); e != nil {
		at := path + ".callback"
		name, ok := b.text(e.val, at)
		if !ok {
			return dag.Callback{}, false
		}
		_, kwargs := without(v, "callback")
		return r.python(event, e.val, at, name, newDict(v.pos, kwargs.keys))
	}
	keys := sortedKeys(ownForms)
	for _, key := range keys {
		if e := v.find(key); e != nil {
			return r.own(event, v, e, path)
		}
	}
	p := Problem{Message: "the callback names neither a function nor a command", Expected: callbackWords}
	if len(v.keys) > 0 {
		p.Nearest = b.nearest(v.keys[0].key, append(keys, "callback"))
	}
	b.fail(v.pos, path, p)
	return dag.Callback{}, false
}

// own reads {bash: ...}, {http: ...} or {slack_webhook: ...}.
func (r *callbackReader) own(event dag.CallbackEvent, v *value, e *entry, path string) (dag.Callback, bool) {
	form := ownForms[e.key]
	if len(v.keys) > 1 {
		other := v.keys[0]
		if other.key == e.key {
			other = v.keys[1]
		}
		r.b.fail(other.pos, path+"."+other.key, Problem{
			Message: fmt.Sprintf("unknown key beside %s", e.key), Hint: fmt.Sprintf("put it inside: %s: {%s: ...}", e.key, other.key),
		})
		return dag.Callback{}, false
	}
	path += "." + e.key
	if text, ok := e.val.text(); ok {
		return r.run(event, form.operator, newDict(e.val.pos, []entry{textEntry(form.text, e.val, text)}), path)
	}
	if e.val.kind != kindDict || e.val.typeName() != "" {
		r.b.mismatch(e.val, path, "a text, or a dict of parameters")
		return dag.Callback{}, false
	}
	return r.run(event, form.operator, e.val, path)
}

// object reads a notifier that is written as a __type__ object.
func (r *callbackReader) object(event dag.CallbackEvent, v *value, path, class string) (dag.Callback, bool) {
	switch className(class) {
	case "AsyncCallback", "SyncCallback": // of deadlines
		a, ok := r.b.bind(v, path, []string{"callback_callable", "kwargs", "executor"}, false, false)
		if !ok {
			return dag.Callback{}, false
		}
		name, at := a.arg("callback_callable")
		if name == nil {
			r.b.errorf(v.pos, path, "missing required argument %q of %s", "callback_callable", a.class)
			return dag.Callback{}, false
		}
		text, ok := r.b.text(name, at)
		if !ok {
			return dag.Callback{}, false
		}
		kwargs, _ := a.arg("kwargs")
		return r.python(event, name, at, text, kwargs)
	case "partial":
		r.b.fail(v.pos, path, Problem{Message: class + " cannot be written as an object", Expected: "{callback: path, name: value}"})
		return dag.Callback{}, false
	}
	_, kwargs := without(v, "__type__")
	if args := v.find("__args__"); args != nil {
		r.b.fail(args.pos, path+".__args__", Problem{Message: "a notifier takes named arguments only"})
		return dag.Callback{}, false
	}
	return r.python(event, v, path, class, newDict(v.pos, kwargs.keys))
}

// python makes the callback of a function or notifier class. Airflow's own notifiers that Gust has too need no Python.
func (r *callbackReader) python(event dag.CallbackEvent, v *value, path, name string, kwargs *value) (dag.Callback, bool) {
	if kwargs == nil {
		kwargs = newDict(v.pos, nil)
	}
	path = strings.TrimSuffix(path, ".callback")
	if operator := notifiers[className(name)]; operator != "" && strings.HasPrefix(name, "airflow.") {
		return r.notifier(event, v, path, operator, kwargs)
	}
	if !dag.IsImportPath(name) {
		p := Problem{
			Message:  fmt.Sprintf("%q is not the import path of a function", clip(name)),
			Expected: "a dotted name such as \"alerts.on_failure\"",
		}
		if strings.ContainsAny(name, " /") {
			p.Hint = "a shell command is written {bash: \"...\"}"
		}
		r.b.fail(v.pos, path, p)
		return dag.Callback{}, false
	}
	params := []entry{textEntry("python_callable", v, name)}
	if len(kwargs.keys) > 0 {
		params = append(params, entry{key: "op_kwargs", kind: kindText, pos: kwargs.pos, val: kwargs})
	}
	return r.run(event, pythonCallback, newDict(v.pos, params), path)
}

// notifier makes the callback of one of Airflow's notifiers that Gust has. The one that uses Slack's API here posts to
// the webhook of its connection.
func (r *callbackReader) notifier(event dag.CallbackEvent, v *value, path, operator string, kwargs *value) (dag.Callback, bool) {
	var keys []entry
	spec, _ := r.b.opts.Operators.Lookup(operator)
	for _, e := range kwargs.keys {
		if operator == "SlackWebhookOperator" && e.key == "slack_conn_id" {
			r.b.warn(e.pos, path+".slack_conn_id", Problem{
				Message: "the message goes to an incoming webhook, not to Slack's API", Hint: "give the connection the webhook's URL as its password",
			})
			e.key = "slack_webhook_conn_id"
		}
		if _, known := notifierIdle[e.key]; known && spec != nil {
			if _, declared := spec.Schema().Field(e.key); !declared {
				r.b.warn(e.pos, path+"."+e.key, Problem{Message: "has no effect: " + ignoredHere})
				continue
			}
		}
		keys = append(keys, e)
	}
	return r.run(event, operator, newDict(v.pos, keys), path)
}

// run makes a callback of an operator with parameters, which are checked as those of a task.
func (r *callbackReader) run(event dag.CallbackEvent, operator string, params *value, path string) (dag.Callback, bool) {
	b := r.b
	spec, ok := b.opts.Operators.Lookup(operator)
	if !ok {
		b.errorf(params.pos, path, "this build has no %s, which such a callback needs", operator)
		return dag.Callback{}, false
	}
	n := &node{named: named{name: string(event), path: path, pos: params.pos, cfg: params}, task: &dag.Task{}}
	p := &operatorParams{b: b, n: n, spec: spec, schema: spec.Schema(), vals: map[string]argument{}}
	before := len(b.problems)
	good := true
	for _, e := range params.keys {
		if !p.declares(e.key) {
			b.fail(e.pos, path+"."+e.key, Problem{
				Message: "unknown parameter of " + spec.Name, Nearest: b.nearest(e.key, p.schema.Names()),
			})
			good = false
			continue
		}
		p.vals[e.key] = argument{e.val, path + "." + e.key}
	}
	p.order = sortedKeys(p.vals)
	p.decode()
	for _, problem := range b.problems[before:] {
		good = good && problem.Severity != Error
	}
	return dag.Callback{Event: event, Operator: spec.Name, Params: n.task.Params}, good
}

// callbacksOf returns the reader of a dict's callbacks.
func (b *builder) callbacksOf(path string) *callbackReader {
	return &callbackReader{b: b, path: path, events: callbackEvents}
}

// dagCallbacks reads the callbacks of the DAG's runs.
func (b *builder) dagCallbacks() {
	for _, e := range b.cfg.keys {
		event := strings.TrimSuffix(strings.TrimSuffix(e.key, "_name"), "_file")
		if isCallback(e.key) && event != string(dag.OnSuccess) && event != string(dag.OnFailure) {
			b.warn(e.pos, b.id+"."+e.key, Problem{
				Message: "has no effect: a DAG's own callbacks are on_success_callback and on_failure_callback",
				Hint:    "put it under default_args for every task to have it",
			})
		}
	}
	r := &callbackReader{b: b, path: b.id, events: []dag.CallbackEvent{dag.OnSuccess, dag.OnFailure}}
	b.d.Callbacks = r.callbacks(nil, b.cfg)
}
