package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gust/internal/config"
)

const columns = 120

// TestWidth holds the width of what is read in an editor. A row of a table and a single long word cannot be wrapped.
func TestWidth(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		if p.path == "docs/SETTINGS.md" {
			continue // written by internal/config
		}
		p.prose(func(n int, line string) {
			if utf8.RuneCountInString(line) > columns && !strings.HasPrefix(line, "|") && strings.Contains(line, " ") {
				t.Errorf("%s:%d: the line is longer than %d columns", p.path, n, columns)
			}
		})
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks follows every link that stays in the repository, to the heading it names.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := map[string]page{}
	for _, p := range pages(t) {
		all[p.path] = p
	}
	for _, p := range all {
		p.prose(func(n int, line string) {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				target, heading, _ := strings.Cut(m[1], "#")
				to := path.Join(path.Dir(p.path), target)
				if target == "" {
					to = p.path
				}
				if _, err := os.Stat(filepath.Join(root, to)); err != nil {
					t.Errorf("%s:%d: the link %s leads nowhere", p.path, n, m[1])
				} else if heading != "" && !all[to].headings()[heading] {
					t.Errorf("%s:%d: %s has no heading #%s", p.path, n, to, heading)
				}
			}
		})
	}
}

// headings are the anchors of a page, as GitHub makes them of its headings.
func (p page) headings() map[string]bool {
	anchors := map[string]bool{}
	p.prose(func(_ int, line string) {
		if text := strings.TrimLeft(line, "#"); text != line && strings.HasPrefix(text, " ") {
			anchors[anchor(text)] = true
		}
	})
	return anchors
}

func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

// code is a span of code in prose.
var code = regexp.MustCompile("`([^`]+)`")

func (p page) spans(visit func(line int, text string)) {
	p.prose(func(n int, line string) {
		for _, m := range code.FindAllStringSubmatch(line, -1) {
			visit(n, m[1])
		}
	})
}

var setting = regexp.MustCompile(
	`^(core|database|dag_processor|scheduler|operators|sensors|triggerer|logging|secrets|stepfunctions(?:\.events)?)\.([a-z_]+)$`)

// file are the endings of files in the home folder that read like settings: scheduler.lock.
var file = map[string]bool{"db": true, "endpoint": true, "lock": true}

// TestSettings looks for settings that do not exist (any more).
func TestSettings(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load("", []string{"GUST_HOME=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		p.spans(func(n int, text string) {
			if m := setting.FindStringSubmatch(text); m != nil && !file[m[2]] {
				if _, err := cfg.Entry(m[1], m[2]); err != nil {
					t.Errorf("%s:%d: %v", p.path, n, err)
				}
			}
		})
	}
}

var command = regexp.MustCompile(`^gust(( [a-z][a-z-]+)+)`)

// TestCommands looks for commands that do not exist: docs/cli.md, which is generated, has a heading for each.
func TestCommands(t *testing.T) {
	t.Parallel()
	known := readPage(t, "docs/cli.md").headings()
	for _, p := range pages(t) {
		look := func(n int, text string) {
			m := command.FindStringSubmatch(text)
			if m == nil {
				return
			}
			words := strings.Fields(m[1])
			if words[0] == "completion" || words[0] == "help" {
				return
			}
			// The first word is a command or a group; the second a command of the group, or an argument.
			name := "gust " + words[0]
			if hasCommands(known, name) && len(words) > 1 {
				name += " " + words[1]
			}
			if !known[anchor(name)] {
				t.Errorf("%s:%d: there is no command `%s`", p.path, n, name)
			}
		}
		p.spans(look)
		for _, f := range p.fences(t) {
			for i, line := range f.lines {
				if text, isCommand := strings.CutPrefix(line, "$ "); isCommand || f.kind == "sh" {
					look(f.line+i, text)
				}
			}
		}
	}
}

func hasCommands(known map[string]bool, group string) bool {
	for name := range known {
		if strings.HasPrefix(name, anchor(group)+"-") {
			return true
		}
	}
	return false
}

var sourcePath = regexp.MustCompile(`^\.?[a-zA-Z][a-zA-Z0-9_.]*(/[a-zA-Z0-9_.*<>-]+)+/?$`)

// TestPaths looks for folders and files of the repository that do not exist, on the pages for those who work on it.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"CONTRIBUTING.md", "docs/ARCHITECTURE.md"} {
		p := readPage(t, name)
		p.spans(func(n int, text string) {
			if !sourcePath.MatchString(text) || strings.ContainsAny(text, "<>") || text == "testing/synctest" {
				return
			}
			found, err := filepath.Glob(filepath.Join(root, text))
			if err != nil || len(found) == 0 {
				t.Errorf("%s:%d: there is no %s", p.path, n, text)
			}
		})
	}
}
