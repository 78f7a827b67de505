package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"gust/dag/dagfile"
	"gust/dag/dagfile/modern"
	"gust/internal/app"
)

// linter is one call of `dags lint`.
type linter struct {
	c        *cli
	paths    []string
	ignored  []string
	fix      bool
	diff     bool
	warnings bool
	format   string
}

func (c *cli) dagsLint() *cobra.Command {
	l := &linter{c: c}
	cmd := &cobra.Command{
		Use: "lint [PATH...]", Short: "Report every problem of pipeline files, and modernise old spellings",
		Long: `Report every problem of pipeline files at once: a row for each, with line, column, key, what was expected and what was
probably meant. PATH is a file or a folder; without one it is the pipelines folder. Defaults files are checked too. With
--verbose also warnings: what loads but is probably not meant. Exits with 1 when there is an error.

With --fix, spellings of Airflow 2 and of dag-factory before 1.0 are rewritten in the files first: schedule_interval,
timetable, the import paths of operators and objects, keys such as retry_delay_sec, the trigger rules dummy and
none_failed_or_skipped. Only those words change; comments, order and layout stay. With --diff (or --dry-run) the files
stay as they are, and what --fix would do is printed as a unified diff.`,
		Example: "  gust dags lint\n  gust dags lint pipelines/orders.yaml -o json\n  gust dags lint pipelines --ignore pipelines/old --fix --diff",
		Args:    cobra.ArbitraryArgs,
	}
	f := cmd.Flags()
	f.StringSliceVarP(&l.ignored, "ignore", "i", nil, "leave out this file or folder; `PATH,...` may be repeated")
	f.BoolVar(&l.fix, "fix", false, "rewrite old spellings in the files")
	f.BoolVar(&l.diff, "diff", false, "print what --fix would change, and change nothing")
	f.BoolVar(&l.diff, "dry-run", false, "the same as --diff")
	format := outputFlag(cmd)
	cmd.RunE = c.withApp(func(cmd *cobra.Command, a *app.App, args []string) error {
		l.paths, l.format, l.warnings = args, *format, c.verbose
		for _, path := range args {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return &exitError{Code: codeFailed, Err: fmt.Errorf("there is no file or folder %s%s", path, didYouMeanFile(filepath.Dir(path), filepath.Base(path)))}
			}
		}
		files, err := a.Lint(cmd.Context(), args, l.ignore)
		if err != nil {
			return err
		}
		if l.fix || l.diff {
			if err := l.modernise(files); err != nil || l.diff {
				return err
			}
			if files, err = a.Lint(cmd.Context(), args, l.ignore); err != nil {
				return err
			}
		}
		return l.report(files)
	})
	return cmd
}

// ignore reports whether a path is one that --ignore names, or below it. A name is relative to the working directory, or
// to one of the linted paths.
func (l *linter) ignore(path string) bool {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	for _, name := range l.ignored {
		for _, base := range append([]string{"."}, l.paths...) {
			full, err := filepath.Abs(filepath.Join(base, name))
			if filepath.IsAbs(name) {
				full = filepath.Clean(name)
			}
			if err == nil && (absolute == full || strings.HasPrefix(absolute, full+string(filepath.Separator))) {
				return true
			}
		}
	}
	return false
}

// modernise rewrites the files, or prints what would be rewritten.
func (l *linter) modernise(files []app.Linted) error {
	for _, f := range files {
		text, err := os.ReadFile(f.Path)
		if err != nil {
			return err
		}
		out, changes, err := modern.Rewrite(text, dagfile.IsDefaultsName(f.Path))
		if err != nil {
			l.c.note("%s is left as it is: %s", shorten(f.Path), strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		if len(changes) == 0 {
			continue
		}
		name := shorten(f.Path)
		if l.diff {
			l.c.printf("%s", diff.Diff(name, text, name, out))
			continue
		}
		if err := replaceFile(f.Path, out); err != nil {
			return fmt.Errorf("rewrite %s: %w", name, err)
		}
		l.c.note("%s: %d change(s)", name, len(changes))
	}
	return nil
}

// replaceFile writes a file anew beside the old one and puts it in its place, so that no reader sees half of it. A
// symbolic link stays one.
func replaceFile(path string, text []byte) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(real), "."+filepath.Base(real)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), real)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// report prints the problems and ends with code 1 when one is an error.
func (l *linter) report(files []app.Linted) error {
	t := &table{columns: []string{"file", "status", "error"}}
	errs, broken, warnings := 0, 0, 0
	for _, f := range files {
		problems := 0
		for _, p := range f.Problems {
			status := "Error"
			if p.Severity == dagfile.Warning {
				warnings++
				if status = "Warning"; !l.warnings {
					continue
				}
			} else {
				problems++
			}
			t.add(shorten(f.Path), status, l.text(f.Path, p))
		}
		if errs += problems; problems > 0 {
			broken++
		} else if len(t.rows) == 0 || t.rows[len(t.rows)-1][0] != shorten(f.Path) {
			t.add(shorten(f.Path), "OK", "")
		}
	}
	if len(files) == 0 {
		l.c.note("there are no pipeline files")
		if l.format == "table" {
			return nil
		}
	}
	if err := t.print(l.c.out, l.format); err != nil {
		return err
	}
	more := ""
	if warnings > 0 && !l.warnings {
		more = "; --verbose shows them"
	}
	if len(files) > 0 {
		l.c.note("%d file(s), %d error(s) in %d of them, %d warning(s)%s", len(files), errs, broken, warnings, more)
	}
	if errs > 0 {
		return &exitError{Code: codeFailed, Err: errQuiet}
	}
	return nil
}

// text is a problem as its row shows it: its file is named only when it is another one.
func (l *linter) text(path string, p dagfile.Problem) string {
	text := p.String()
	if p.File == path {
		text = strings.TrimPrefix(text, path+":")
	} else {
		text = strings.Replace(text, p.File, shorten(p.File), 1)
	}
	return strings.Replace(text, ": warning: ", ": ", 1)
}
