package docs

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated pages anew")

// root is the repository, seen from this package.
const root = "../.."

// page is a file of the documentation.
type page struct {
	path  string // relative to the repository
	text  string
	lines []string
}

// pages are all files of the documentation, those that are generated too.
func pages(t *testing.T) []page {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		names = append(names, filepath.Join(root, name))
	}
	var all []page
	for _, name := range names {
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, readPage(t, filepath.ToSlash(rel)))
	}
	return all
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return page{path, string(text), strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
}

// fence is a block of a page between lines of three backticks.
type fence struct {
	kind  string
	line  int // of its first line, from 1
	lines []string
}

func (f fence) text() string { return strings.Join(f.lines, "\n") + "\n" }

// fences are the blocks of a page.
func (p page) fences(t *testing.T) []fence {
	t.Helper()
	var all []fence
	open := false
	for i, line := range p.lines {
		switch rest, marks := strings.CutPrefix(line, "```"); {
		case marks && !open:
			all = append(all, fence{kind: rest, line: i + 2})
			open = true
		case marks:
			open = false
		case open:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	if open {
		t.Errorf("%s:%d: the fence is not closed", p.path, all[len(all)-1].line-1)
	}
	return all
}

// prose calls visit with every line outside of fences and its number from 1.
func (p page) prose(visit func(number int, line string)) {
	open := false
	for i, line := range p.lines {
		if strings.HasPrefix(line, "```") {
			open = !open
			continue
		}
		if !open {
			visit(i+1, line)
		}
	}
}

// check compares a generated page with the file, or writes it with -update.
func check(t *testing.T, path, text string) {
	t.Helper()
	file := filepath.Join(root, path)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != text {
		t.Errorf("%s is not what the program says now; run `go test ./internal/docs -update`", path)
	}
}
