package template

import (
	"gust/dag"
	"gust/dag/template/pyvalue"
)

// macro is the value of one of the DAG's macros: constant, or, where it is the import path of a Python function, a
// function.
func (v *Vars) macro(x any) any {
	switch x := x.(type) {
	case string:
		if dag.IsImportPath(x) {
			return v.pythonFunction(x)
		}
	case map[string]any:
		d := make(map[string]any, len(x))
		for name, item := range x {
			d[name] = v.macro(item)
		}
		return pyvalue.Import(d)
	}
	return pyvalue.Import(x)
}

func (v *Vars) pythonFunction(path string) *pyvalue.Func {
	return &pyvalue.Func{
		Name: path, TakesRest: true, TakesKw: true,
		Do: func(st *pyvalue.State, a pyvalue.Args) (any, error) {
			if v.Function == nil {
				return nil, pyvalue.Errorf("%s is a Python function, and none can be called here", path)
			}
			args, kwargs := make([]any, len(a.Rest)), map[string]any{}
			for i, arg := range a.Rest {
				var err error
				if args[i], err = pyvalue.Export(arg); err != nil {
					return nil, err
				}
			}
			if a.Kw != nil {
				named, err := pyvalue.Export(a.Kw)
				if err != nil {
					return nil, err
				}
				kwargs = named.(map[string]any)
			}
			result, err := v.Function(st.Context(), path, args, kwargs)
			if err != nil {
				return nil, pyvalue.Errorf("%s: %v", path, err)
			}
			return pyvalue.Import(result), nil
		},
	}
}
