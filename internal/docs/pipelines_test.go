package docs

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gust/dag"
	"gust/dag/dagfile"
	"gust/dag/template"
	"gust/dag/timetable"
	"gust/internal/app"
)

// definesDAG tells a pipeline from other YAML: something in it has tasks.
var definesDAG = regexp.MustCompile(`(?m)^ +tasks:`)

// TestPipelines loads every pipeline that the pages show.
func TestPipelines(t *testing.T) {
	t.Parallel()
	registry, err := app.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	options := dagfile.Options{
		Operators: registry, Templates: template.New(template.Options{}), Schedules: timetable.Validate,
		TemplatesFor: func(d *dag.DAG) dagfile.TemplateChecker { return template.New(macros(t, d)) },
		Getenv:       func(string) (string, bool) { return "", false },
	}
	loaded := 0
	for _, p := range pages(t) {
		for _, f := range p.fences(t) {
			if f.kind != "yaml" || !definesDAG.MatchString(f.text()) {
				continue
			}
			file := dagfile.NewLoader(options).Parse(filepath.Join(t.TempDir(), "page.yaml"), []byte(f.text()))
			for _, problem := range file.Problems {
				t.Errorf("%s:%d: %s: %s", p.path, f.line+problem.Line-1, problem.Severity, problem.Message)
			}
			if len(file.DAGs) == 0 {
				t.Errorf("%s:%d: the pipeline defines no DAG", p.path, f.line)
			}
			loaded += len(file.DAGs)
		}
	}
	if loaded < 10 {
		t.Errorf("only %d DAGs were found on all pages: are the fences still marked yaml?", loaded)
	}
}

// TestTriggerRules wants every rule, and no other, in the table.
func TestTriggerRules(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, rule := range dag.TriggerRules {
		known[string(rule)] = true
	}
	in := false
	readPage(t, "docs/pipelines.md").prose(func(n int, line string) {
		if strings.HasPrefix(line, "#") {
			in = strings.HasSuffix(line, " Trigger rules")
		}
		m := code.FindStringSubmatch(line)
		if !in || !strings.HasPrefix(line, "|") || m == nil {
			return
		}
		if !known[m[1]] {
			t.Errorf("docs/pipelines.md:%d: there is no trigger rule %s, or it is given twice", n, m[1])
		}
		delete(known, m[1])
	})
	for rule := range known {
		t.Errorf("docs/pipelines.md does not explain the trigger rule %s", rule)
	}
}

// TestTemplateNames checks the variables, macros, filters and tests that the page lists against the template engine.
func TestTemplateNames(t *testing.T) {
	t.Parallel()
	env := template.New(template.Options{})
	uses := map[string]string{
		"Variables": "{{ %s }}", "Macros": "{{ %s }}", "Filters": "{{ 1 | %s }}", "Tests": "{{ 1 is %s }}",
	}
	checked := map[string]int{}
	use, section := "", ""
	readPage(t, "docs/pipelines.md").prose(func(n int, line string) {
		if strings.HasPrefix(line, "#") {
			section = strings.TrimLeft(line, "# ")
			use = uses[section]
		}
		cells := strings.Split(line, "|")
		if use == "" || len(cells) < 3 {
			return
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			if err := env.Check(strings.Replace(use, "%s", m[1], 1)); err != nil {
				t.Errorf("docs/pipelines.md:%d: %s: %v", n, m[1], err)
			}
			checked[section]++
		}
	})
	for section := range uses {
		if checked[section] < 10 {
			t.Errorf("docs/pipelines.md: only %d names were found under the heading %s", checked[section], section)
		}
	}
}

// macros are a DAG's user_defined_macros for the template checker.
func macros(t *testing.T, d *dag.DAG) template.Options {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal(d.UserDefinedMacros, &values); err != nil {
		t.Error(err)
	}
	return template.Options{Macros: values}
}
