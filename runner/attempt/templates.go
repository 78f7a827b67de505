package attempt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gust/connections"
	"gust/dag"
	"gust/dag/template"
	"gust/internal/param"
	"gust/store"
)

const (
	// maxEnvironments is how many DAG versions keep their parsed templates.
	maxEnvironments = 256
	// maxPriorRuns is how far back include_prior_dates looks.
	maxPriorRuns = 1000
)

// Templates renders with Airflow's variables, macros and filters. Its fields are set once, before the first attempt.
type Templates struct {
	// Runs finds earlier runs, for prev_..._success and include_prior_dates; nil means that there are none.
	Runs store.Runs
	// Variable reads an Airflow variable; see template.Vars.
	Variable func(ctx context.Context, key string) (value string, found bool, err error)
	// Function calls a Python function that a macro of a DAG names; nil: calling one is an error.
	Function func(ctx context.Context, d *dag.DAG, path string, args []any, kwargs map[string]any) (any, error)
	// AssetEvents reads the asset events that a run was made for; nil means that there are none.
	AssetEvents func(ctx context.Context, ids []int64) ([]dag.AssetEvent, error)
	// TestMode is what templates see as test_mode.
	TestMode bool

	mu           sync.Mutex
	environments map[*dag.DAG]*template.Environment
}

var _ Renderer = (*Templates)(nil)

// Searchpath lists where a DAG's template files are looked for: the folder of its file, then its template_searchpath,
// of which relative entries count from that folder.
func Searchpath(d *dag.DAG) []string {
	folder := filepath.Dir(d.FileLoc)
	dirs := []string{folder}
	for _, dir := range d.TemplateSearchPath {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(folder, dir)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// RenderParams renders the parameters that schema declares as templates, and reads the files that parameters name. What
// the operator's fields do not declare as templated is left alone, whatever it looks like.
func (r *Templates) RenderParams(
	ctx context.Context, h *Handle, schema *param.Schema, params map[string]any,
) (map[string]any, error) {
	var env *template.Environment
	var vars *template.Vars
	out := params
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f, ok := schema.Field(name)
		file := ok && f.NamesFile(params[name])
		if !file && (!ok || !f.Template || !renders(params[name], f.Ext)) {
			continue
		}
		if env == nil {
			var err error
			if env, err = r.environment(h.work.DAG); err != nil {
				return nil, err
			}
			if vars, err = r.vars(h); err != nil {
				return nil, err
			}
			out = maps.Clone(params)
		}
		var value any
		var err error
		if file {
			value, _, err = env.LoadFile(params[name].(string), f.Ext) // a file's name is a text
		} else {
			value, err = env.RenderField(ctx, params[name], f.Ext, vars, h.work.DAG.RenderNative)
		}
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		out[name] = value
	}
	return out, nil
}

// RenderText renders a text with what the attempt's templates see.
func (r *Templates) RenderText(ctx context.Context, h *Handle, text string) (string, error) {
	env, err := r.environment(h.work.DAG)
	if err != nil {
		return "", err
	}
	vars, err := r.vars(h)
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	vars.Added, vars.Rendered = maps.Clone(h.labels), h.rendered
	h.mu.Unlock()
	return env.Render(ctx, text, vars)
}

// renders tells values that rendering may change.
func renders(value any, ext []string) bool {
	switch v := value.(type) {
	case string:
		return template.IsTemplate(v) || strings.HasSuffix(v, "\n") ||
			slices.ContainsFunc(ext, func(e string) bool { return strings.HasSuffix(v, e) })
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return renders(item, ext) })
	case map[string]any:
		for _, item := range v {
			if renders(item, ext) {
				return true
			}
		}
	}
	return false
}

// environment returns the DAG version's environment, which keeps its parsed templates.
func (r *Templates) environment(d *dag.DAG) (*template.Environment, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if env := r.environments[d]; env != nil {
		return env, nil
	}
	var macros map[string]any
	if len(d.UserDefinedMacros) > 0 {
		if err := json.Unmarshal(d.UserDefinedMacros, &macros); err != nil {
			return nil, fmt.Errorf("user_defined_macros: %w", err)
		}
	}
	if r.environments == nil || len(r.environments) >= maxEnvironments {
		r.environments = map[*dag.DAG]*template.Environment{} // what is in use is parsed anew
	}
	env := template.New(template.Options{Macros: macros, SearchPath: Searchpath(d)})
	r.environments[d] = env
	return env, nil
}

// vars is what the attempt's templates see.
func (r *Templates) vars(h *Handle) (*template.Vars, error) {
	w := h.work
	params, err := template.MergeParams(w.DAG.Params, w.Task.TaskParams, w.Run.Conf)
	if err != nil {
		return nil, err
	}
	v := &template.Vars{
		DAG: w.DAG, Task: w.Task, TI: w.Instance, Run: w.Run, Params: params, Now: h.Now(), TestMode: r.TestMode,
		Variable: r.Variable,
		XComPull: func(ctx context.Context, x template.XCom) (json.RawMessage, bool, error) { return r.xcom(ctx, h, x) },
		Connection: func(ctx context.Context, id string) (template.Connection, bool, error) {
			return connection(ctx, h, id)
		},
		Previous:  func(ctx context.Context) (*template.PreviousRun, error) { return r.previous(ctx, h) },
		Neighbour: neighbour(w.DAG, &w.Run),
	}
	if r.Function != nil {
		v.Function = func(ctx context.Context, path string, args []any, kwargs map[string]any) (any, error) {
			return r.Function(ctx, w.DAG, path, args, kwargs)
		}
	}
	v.TI.StartDate = h.TryStart()
	v.Exception, v.Reason = h.exception, h.reason
	if ids := w.Run.AssetEvents; r.AssetEvents != nil && len(ids) > 0 {
		v.AssetEvents = func(ctx context.Context) ([]dag.AssetEvent, error) { return r.AssetEvents(ctx, ids) }
	}
	return v, nil
}

func (r *Templates) xcom(ctx context.Context, h *Handle, x template.XCom) (json.RawMessage, bool, error) {
	own := h.work.Instance.Key
	if x.DagID == own.DagID && x.RunID == own.RunID && x.MapIndex == nil {
		if raw, ok, err := h.XComPull(ctx, x.TaskID, x.Key); ok || err != nil || !x.PriorDates {
			return raw, ok, err
		}
	}
	from := dag.Key{DagID: x.DagID, RunID: x.RunID, TaskID: x.TaskID, MapIndex: -1}
	if x.MapIndex != nil {
		from.MapIndex = *x.MapIndex
	}
	found, err := h.get(ctx, from, x.Key)
	if found == nil && err == nil && x.PriorDates && r.Runs != nil {
		found, err = r.priorXCom(ctx, h, from, x.Key)
	}
	if found == nil || err != nil {
		return nil, false, err
	}
	return found.Value, true, nil
}

// priorXCom looks in earlier runs, the latest first.
func (r *Templates) priorXCom(ctx context.Context, h *Handle, from dag.Key, key string) (*store.XCom, error) {
	runs, err := r.Runs.RunList(ctx, &store.RunListParams{
		DagID: from.DagID, Before: h.work.Run.RunAfter, Limit: maxPriorRuns,
	})
	if err != nil {
		return nil, err
	}
	for i := range runs {
		from.RunID = runs[i].RunID
		if found, err := h.get(ctx, from, key); found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil //nolint:nilnil // nil is "there is none", which is not an error here
}

func (r *Templates) previous(ctx context.Context, h *Handle) (*template.PreviousRun, error) {
	if r.Runs == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	runs, err := r.Runs.RunList(ctx, &store.RunListParams{
		DagID: h.work.Run.DagID, States: []dag.RunState{dag.RunSuccess}, Before: h.work.Run.RunAfter, Limit: 1,
	})
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	p := &runs[0]
	return &template.PreviousRun{
		IntervalStart: p.IntervalStart, IntervalEnd: p.IntervalEnd, StartDate: p.StartDate, EndDate: p.EndDate,
	}, nil
}

func connection(ctx context.Context, h *Handle, id string) (template.Connection, bool, error) {
	c, err := h.Connection(ctx, id)
	var missing *connections.NotFoundError
	if err != nil {
		return template.Connection{}, !errors.As(err, &missing), err
	}
	return template.Connection{
		ID: c.ID, Type: c.Type, Description: c.Description, Host: c.HostOr(""), Login: c.LoginOr(""),
		Password: c.PasswordOr(""), Schema: c.SchemaOr(""), Port: c.Port, Extra: c.Extra, URI: c.URI(),
	}, true, nil
}
