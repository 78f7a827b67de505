package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gust/dag/dagfile"
	"gust/runner/dagprocessor"
)

// Linted is a file with everything that is wrong in it.
type Linted struct {
	Path     string
	Problems []dagfile.Problem
}

// Lint checks pipeline files: each of paths is a file or a folder of them, with their defaults files; without any it is
// the pipelines folder. ignore says which paths are left out. The result is sorted by path, each file once.
func (a *App) Lint(ctx context.Context, paths []string, ignore func(path string) bool) ([]Linted, error) {
	if len(paths) == 0 {
		paths = []string{a.Config.Core.DagsFolder}
	}
	catalog, err := a.catalog()
	if err != nil {
		return nil, err
	}
	byPath := map[string]Linted{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		opts := a.loadOptions(catalog)
		if !below(path, opts.Root) {
			opts.Root = path
			if !info.IsDir() {
				opts.Root = filepath.Dir(path)
			}
		}
		files, err := lint(ctx, path, info.IsDir(), opts)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if !ignore(f.Path) {
				byPath[f.Path] = f
			}
		}
	}
	out := make([]Linted, 0, len(byPath))
	for _, f := range byPath {
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y Linted) int { return strings.Compare(x.Path, y.Path) })
	return out, nil
}

// below reports whether a path is a folder or inside of it.
func below(path, folder string) bool {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(folder, absolute)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func lint(ctx context.Context, path string, isDir bool, opts dagfile.Options) ([]Linted, error) {
	loader := dagfile.NewLoader(opts)
	one := func(path string) (Linted, error) {
		f, err := loader.Load(path)
		if err != nil {
			return Linted{}, err
		}
		l := Linted{Path: path, Problems: f.Problems}
		if dagfile.IsDefaultsName(path) { // that it holds no DAGs is not a problem here
			l.Problems = slices.DeleteFunc(l.Problems, func(p dagfile.Problem) bool { return p.Severity == dagfile.Warning })
		}
		return l, nil
	}
	if !isDir {
		l, err := one(path)
		return []Linted{l}, err
	}
	p, err := dagprocessor.New(dagprocessor.Options{Root: path, Load: opts}, discardSink{})
	if err != nil {
		return nil, err
	}
	if err := p.ScanOnce(ctx); err != nil {
		return nil, err
	}
	var out []Linted
	for _, r := range p.Results() {
		out = append(out, Linted{Path: r.Path, Problems: r.Problems})
	}
	err = filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && file != path && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case !e.Type().IsRegular() || !dagfile.IsDefaultsName(file):
			return nil
		}
		l, err := one(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		out = append(out, l)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		err = nil
	}
	return out, err
}
