package dagfile

import (
	"fmt"
	"slices"
	"strings"

	"gust/internal/param"
)

// Severity says whether a problem keeps its DAG from loading.
type Severity string

// Severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	Severity Severity `json:"severity"`
	// File, Line and Col say where: 1-based, columns in characters. File differs from the loaded file for a problem in
	// a defaults file or a script.
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
	// DagID is the DAG concerned, "" for the file as a whole.
	DagID string `json:"dag_id,omitempty"`
	// Path leads to the value: "orders.tasks.extract.bash_command". Empty for YAML syntax.
	Path string `json:"path,omitempty"`
	// Message says what is wrong; Expected what belongs there, Nearest the nearest valid name, Hint what to do next;
	// each may be empty.
	Message  string `json:"message"`
	Expected string `json:"expected,omitempty"`
	Nearest  string `json:"nearest,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// String prints the problem on one line, beginning with file:line:col.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Col)
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Expected != "" {
		b.WriteString("; expected " + p.Expected)
	}
	if p.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", p.Nearest)
	}
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Text prints problems one per line.
func Text(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// reporter collects the problems of a file. The same text can be reached by several DAGs (anchors, the default block):
// it is reported once, but fails each of them.
type reporter struct {
	path     string
	dagID    string
	problems []Problem
	seen     map[Problem]bool
	failed   map[string]bool
	broken   bool // an error of the file as a whole
	dropped  int  // problems beyond maxProblems
}

// maxProblems is how many problems of a file are kept, and guessProblems for how many of them a nearest name is sought.
const (
	maxProblems   = 500
	guessProblems = 100
)

func newReporter(path string) *reporter {
	return &reporter{path: path, seen: map[Problem]bool{}, failed: map[string]bool{}}
}

// at adds a problem at a position. The fields of p other than message and advice are filled in.
func (r *reporter) at(where pos, severity Severity, path string, p Problem) {
	p.Severity, p.Path, p.DagID = severity, path, r.dagID
	p.File, p.Line, p.Col = where.src.locate(where)
	if severity == Error {
		if r.dagID == "" {
			r.broken = true
		} else {
			r.failed[r.dagID] = true
		}
	}
	if len(r.problems) >= maxProblems {
		r.dropped++
		return
	}
	key := p
	key.DagID, key.Path = "", ""
	if r.seen[key] {
		return
	}
	r.seen[key] = true
	r.problems = append(r.problems, p)
}

// nearest is param.Nearest, unless the file has so many problems that guessing would take long.
func (r *reporter) nearest(name string, candidates []string) string {
	if len(r.problems) >= guessProblems {
		return ""
	}
	return param.Nearest(name, candidates)
}

func (r *reporter) errorf(where pos, path, format string, args ...any) {
	r.at(where, Error, path, Problem{Message: fmt.Sprintf(format, args...)})
}

func (r *reporter) fail(where pos, path string, p Problem) { r.at(where, Error, path, p) }

func (r *reporter) warn(where pos, path string, p Problem) { r.at(where, Warning, path, p) }

// sorted returns the problems in file order, the loaded file first.
func (r *reporter) sorted() []Problem {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		if a.File != b.File {
			switch {
			case a.File == r.path:
				return -1
			case b.File == r.path:
				return 1
			}
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	if r.dropped > 0 {
		last := r.problems[len(r.problems)-1]
		last.Path, last.Expected, last.Nearest, last.Hint = "", "", "", ""
		last.Severity, last.Message = Warning, fmt.Sprintf("%d more problems are not shown", r.dropped)
		r.problems, r.dropped = append(r.problems, last), 0
	}
	return r.problems
}
