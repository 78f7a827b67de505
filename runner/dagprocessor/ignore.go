package dagprocessor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ignoreRule is one line of an ignore file. Later rules win over earlier ones.
type ignoreRule struct {
	base    string // the folder of the ignore file
	pattern *regexp.Regexp
	include bool // "!": what matches is not ignored after all
	dirOnly bool
	search  bool // regexp syntax: matches anywhere in the path
}

// ignored reports whether the last rule that matches says so.
func ignored(rules []ignoreRule, path string, isDir bool) bool {
	out := false
	for i := range rules {
		r := &rules[i]
		if r.dirOnly && !isDir {
			continue
		}
		rel, err := filepath.Rel(r.base, path)
		if err == nil && r.pattern.MatchString(filepath.ToSlash(rel)) {
			out = !r.include
		}
	}
	return out
}

// withRules adds the rules of a folder's own ignore files.
func (w *walk) withRules(dir string, rules []ignoreRule) []ignoreRule {
	rules = rules[:len(rules):len(rules)]
	for _, file := range []struct{ name, syntax string }{{".airflowignore", w.syntax}, {".gustignore", "glob"}} {
		path := filepath.Join(dir, file.name)
		text, err := os.ReadFile(path)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				w.problem(path, err)
			}
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			r, ok, err := parseRule(dir, line, file.syntax)
			if err != nil {
				w.problem(fmt.Sprintf("%s:%d", path, i+1), err)
			} else if ok {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// parseRule reads a line; a comment begins with "#" anywhere, as Airflow has it.
func parseRule(base, line, syntax string) (ignoreRule, bool, error) {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if line == "" {
		return ignoreRule{}, false, nil
	}
	r := ignoreRule{base: base}
	if syntax == "regexp" {
		r.search = true
		pattern, err := regexp.Compile(line)
		if err != nil {
			return r, false, fmt.Errorf("not a regular expression: %w", err)
		}
		r.pattern = pattern
		return r, true, nil
	}
	if rest, negated := strings.CutPrefix(line, "!"); negated {
		r.include, line = true, rest
	}
	if rest, dir := strings.CutSuffix(line, "/"); dir {
		r.dirOnly, line = true, rest
	}
	pattern, err := globPattern(line)
	if err != nil {
		return r, false, err
	}
	r.pattern = pattern
	return r, line != "", nil
}

// globPattern turns a gitignore glob into a pattern over a path relative to the ignore file. A glob without a slash
// matches at any depth; "*" and "?" stop at slashes, "**" does not.
func globPattern(glob string) (*regexp.Regexp, error) {
	anchored := strings.Contains(glob, "/")
	glob = strings.TrimPrefix(glob, "/")
	var b strings.Builder
	b.WriteString("^")
	if !anchored {
		b.WriteString("(?:.*/)?")
	}
	for i := 0; i < len(glob); {
		rest := glob[i:]
		switch {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString("(?:.*/)?")
			i += 3
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			i += 2
		case rest[0] == '*':
			b.WriteString("[^/]*")
			i++
		case rest[0] == '?':
			b.WriteString("[^/]")
			i++
		case rest[0] == '[':
			class, n := bracket(rest)
			b.WriteString(class)
			i += n
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(regexp.QuoteMeta(rest[1:2]))
			i += 2
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			i++
		}
	}
	b.WriteString("$")
	pattern, err := regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("not a glob: %q", glob)
	}
	return pattern, nil
}

// bracket reads a character class and returns its regular expression and length. An unclosed "[" stands for itself.
func bracket(text string) (string, int) {
	end := strings.IndexByte(text[1:], ']')
	if end == 0 { // "[]...": the first "]" belongs to the class
		if next := strings.IndexByte(text[2:], ']'); next >= 0 {
			end = next + 1
		} else {
			end = -1
		}
	}
	if end < 0 {
		return `\[`, 1
	}
	class := text[1 : end+1]
	negated := ""
	if strings.HasPrefix(class, "!") || strings.HasPrefix(class, "^") {
		negated, class = "^", class[1:]
	}
	class = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `&`, `\&`, `~`, `\~`).Replace(class)
	return "[" + negated + class + "]", end + 2
}
