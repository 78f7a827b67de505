package app

import (
	"context"
	"path/filepath"

	"gust/dag"
	"gust/internal/pyworker"
)

// pythonMacro calls the Python function that a macro of a DAG names. Its module is looked for beside the pipeline file and
// in the pipelines folder too.
func pythonMacro(pool *pyworker.Pool, a *App) func(context.Context, *dag.DAG, string, []any, map[string]any) (any, error) {
	return func(ctx context.Context, d *dag.DAG, path string, args []any, kwargs map[string]any) (any, error) {
		result, err := pool.Call(ctx, &pyworker.Request{
			Callable: pyworker.Callable{Path: path}, Args: args, Kwargs: kwargs, Strict: true, WantValue: true,
			Path: []string{a.Config.Core.DagsFolder, filepath.Dir(d.FileLoc)}, Log: a.Log,
		})
		if err != nil {
			return nil, err
		}
		return dag.DecodeJSON(result.Value)
	}
}
