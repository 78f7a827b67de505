//go:build unix

package python

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"gust/internal/param"
	"gust/internal/pyworker"
	"gust/operators"
)

// InVirtualenv calls a function in a virtual environment that is made for it (Airflow: PythonVirtualenvOperator).
type InVirtualenv struct {
	Call
	Requirements       Requirements `param:"requirements" template:"true" ext:".txt" doc:"What to install: a list of pip's requirements, or the text or name of a requirements file (.txt)."`
	PythonVersion      string       `param:"python_version" template:"true" doc:"The version of Python, 3.11 for the program python3.11 on PATH. Default: the interpreter of the task or of the configuration."`
	SystemSitePackages bool         `param:"system_site_packages" default:"true" doc:"Let the environment see the packages of its interpreter."`
	PipInstallOptions  []string     `param:"pip_install_options" doc:"Further arguments of pip install."`
	IndexURLs          Requirements `param:"index_urls" template:"true" doc:"The package index to use, or a list of them, the first instead of PyPI. An empty list asks none."`
	VenvCachePath      string       `param:"venv_cache_path" template:"true" doc:"The folder in which environments are kept. Default: virtualenvs in the home folder. Unlike Airflow's an environment is made once, and used by every task that wants the same."`
	ExpectAirflow      any          `param:"expect_airflow" doc:"Accepted for Airflow's sake, without effect."`
	ExpectPendulum     any          `param:"expect_pendulum" doc:"Accepted for Airflow's sake, without effect."`
	Serializer         any          `param:"serializer" alias:"use_dill" doc:"Accepted for Airflow's sake, without effect: arguments and values are JSON."`
}

// Requirements is a text or a list of texts.
type Requirements struct {
	lines []string
	given bool
}

// ParamType names the notation.
func (Requirements) ParamType() string { return "string or list" }

// UnmarshalParam reads a text or a list.
func (r *Requirements) UnmarshalParam(value any) error {
	r.given = true
	if text, ok := value.(string); ok {
		r.lines = strings.Split(strings.TrimSpace(text), "\n")
		return nil
	}
	items, ok := value.([]any)
	if !ok {
		return &param.Error{Problem: fmt.Sprintf("wrong type: %v", value), Expected: r.ParamType()}
	}
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return &param.Error{Problem: fmt.Sprintf("%v is not a text", item), Expected: r.ParamType()}
		}
		r.lines = append(r.lines, text)
	}
	return nil
}

// options are pip's.
func (v *InVirtualenv) options() []string {
	options := append([]string{}, v.PipInstallOptions...)
	if !v.IndexURLs.given {
		return options
	}
	if len(v.IndexURLs.lines) == 0 {
		return append(options, "--no-index")
	}
	options = append(options, "--index-url", v.IndexURLs.lines[0])
	for _, url := range v.IndexURLs.lines[1:] {
		options = append(options, "--extra-index-url", url)
	}
	return options
}

// Execute makes the environment, unless it is there, and calls the function in it.
func (v *InVirtualenv) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	base := v.Python
	if v.PythonVersion != "" {
		base = "python" + strings.TrimPrefix(v.PythonVersion, "python")
	}
	if v.Virtualenv != "" {
		return operators.Result{}, operators.Failf("virtualenv names an environment that is there, and requirements one to make; give one of them")
	}
	folder, err := v.folder(t, base)
	if err != nil {
		return operators.Result{}, err
	}
	r, err := newRequest(t, v.deps, pyworker.Callable{Path: "gust_venv.make"})
	if err != nil {
		return operators.Result{}, err
	}
	r.Context, r.Interpreter = nil, base
	r.Args = []any{folder, strings.Join(v.Requirements.lines, "\n"), v.SystemSitePackages, v.options()}
	if _, err := v.deps.Pool.Call(ctx, r); err != nil {
		return operators.Result{}, fmt.Errorf("the virtual environment: %w", err)
	}
	v.Python, v.Virtualenv = "", folder
	return v.Call.Execute(ctx, t)
}

// folder is where the environment belongs: equal wishes share one.
func (v *InVirtualenv) folder(t operators.Task, base string) (string, error) {
	program, err := v.deps.Pool.Find(base)
	if err != nil {
		return "", err
	}
	wish, err := json.Marshal([]any{program, v.Requirements.lines, v.SystemSitePackages, v.options()})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(wish)
	root := filepath.Join(v.deps.Home, "virtualenvs")
	if v.VenvCachePath != "" {
		root = beside(t, v.VenvCachePath)
	}
	return filepath.Abs(filepath.Join(root, hex.EncodeToString(sum[:8])))
}
