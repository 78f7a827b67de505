package layering

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rule forbids packages under From (a path, or a path ending in "/..." for the tree below it too) to depend, directly or
// not, on packages matched by Deny.
type rule struct {
	From   string
	Deny   []string
	Reason string
}

var rules = []rule{
	{"gust/dag", []string{"gust/...", "third-party"}, "the model is a leaf: only the standard library"},
	{"gust/triggers", []string{"gust/...", "third-party"}, "the trigger contract is a leaf"},
	{"gust/connections", []string{"gust/store/...", "gust/operators/...", "gust/sensors/...", "gust/runner/...", "github.com/aws/..."},
		"the connection contract knows no consumer"},
	{"gust/operators", []string{"gust/sensors/...", "gust/runner/...", "gust/store/...", "github.com/aws/..."},
		"the operator contract knows no engine and no store"},
	{"gust/sensors", []string{"gust/runner/...", "gust/store/...", "github.com/aws/..."}, "the sensor contract knows no engine"},
	{"gust/store", []string{"gust/runner/...", "gust/operators/...", "third-party"}, "the store contract knows only the model"},
	{"gust/runner/executor", []string{"gust/operators/...", "gust/store/sqlite/...", "third-party"}, "the executor contract knows the model and rows"},
	// fmt brings os with it; that the planner itself uses neither os nor a clock is depguard's rule.
	{"gust/runner/plan", []string{"net/...", "database/sql", "gust/operators/...", "third-party"}, "decisions are pure"},
	{"gust/runner/...", []string{"gust/store/sqlite/...", "gust/stepfunctions/...", "gust/connections/awsconn", "gust/internal/app", "github.com/aws/..."},
		"the engine sees contracts, never implementations"},
	{"gust/operators/...", []string{"gust/runner/...", "gust/store/...", "gust/stepfunctions/..."}, "an operator reaches neither scheduler nor store"},
	{"gust/sensors/...", []string{"gust/runner/...", "gust/store/...", "gust/stepfunctions/..."}, "a sensor reaches neither scheduler nor store"},
	{"gust/triggers/...", []string{"gust/runner/...", "gust/store/...", "gust/stepfunctions/...", "gust/operators/...", "gust/sensors/..."},
		"a trigger knows only connections"},
	{"gust/store/...", []string{"gust/runner/plan", "gust/runner/scheduler", "gust/operators/...", "gust/sensors/..."}, "a store knows rows"},
	{"gust/stepfunctions/...", []string{"gust/dag/...", "gust/store/...", "gust/operators/...", "gust/sensors/...", "gust/runner/...", "gust/internal/app"},
		"the embedded service stands alone behind HTTP"},
	{"gust/internal/monitor", []string{"gust/store/sqlite/...", "gust/operators/...", "gust/stepfunctions/...", "gust/internal/config"},
		"health and metrics see transitions and readings, never implementations"},
	{"gust/internal/config", []string{"gust/runner/...", "gust/operators/...", "gust/store/..."}, "settings know nobody they configure"},
}

// exceptions are third-party packages that a rule lets pass, with the reason.
var exceptions = map[string][]string{
	// dag/timetable has robfig/cron parse the plain fields of an expression; it walks time itself, and purely.
	"gust/runner/plan": {"github.com/robfig/cron/v3"},
}

type listed struct {
	ImportPath string
	Standard   bool
	Deps       []string
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	packages := list(t)
	standard := map[string]bool{}
	for _, p := range packages {
		standard[p.ImportPath] = p.Standard
	}
	for _, r := range rules {
		for _, p := range packages {
			if p.Standard || !covers(r.From, p.ImportPath) {
				continue
			}
			for _, dep := range p.Deps {
				if dep != p.ImportPath && r.denies(dep, p.ImportPath, standard[dep]) {
					t.Errorf("%s depends on %s: %s", p.ImportPath, dep, r.Reason)
				}
			}
		}
	}
}

// TestRulesNameRealPackages fails when a rule guards nothing any more, so that the table does not rot.
func TestRulesNameRealPackages(t *testing.T) {
	t.Parallel()
	packages := list(t)
	for _, r := range rules {
		if !slices.ContainsFunc(packages, func(p listed) bool { return !p.Standard && covers(r.From, p.ImportPath) }) {
			t.Errorf("rule for %s covers no package", r.From)
		}
	}
}

// TestOnlyTheAssemblyNamesImplementations holds the other direction: who may import internal/app.
func TestOnlyTheAssemblyNamesImplementations(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.Standard || !strings.HasPrefix(p.ImportPath, "gust") {
			continue
		}
		allowed := p.ImportPath == "gust/internal/app" || covers("gust/cmd/...", p.ImportPath) ||
			covers("gust/examples/...", p.ImportPath) || covers("gust/bench/...", p.ImportPath)
		if !allowed && slices.Contains(p.Deps, "gust/internal/app") {
			t.Errorf("%s depends on gust/internal/app: only cmd, examples and bench may", p.ImportPath)
		}
	}
}

func (r rule) denies(dep, from string, standard bool) bool {
	for _, pattern := range r.Deny {
		if pattern == "third-party" {
			if !standard && !strings.HasPrefix(dep, "gust/") && !slices.Contains(exceptions[r.From], dep) {
				return true
			}
			continue
		}
		// Within its own tree a package may use its siblings' parents: gust/runner/... may use gust/runner/executor.
		if covers(pattern, dep) && !covers(r.From, dep) && dep != from {
			return true
		}
	}
	return false
}

func covers(pattern, path string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == tree || strings.HasPrefix(path, tree+"/")
	}
	return path == pattern
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Deps", "gust/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("go list output: %v", err)
		}
		packages = append(packages, p)
	}
}
