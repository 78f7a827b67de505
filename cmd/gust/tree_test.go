package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newTestRoot is the command tree without a terminal.
func newTestRoot() *cobra.Command {
	root := newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	root.InitDefaultHelpCmd()
	return root
}

// leaves are the commands that do something, all but help.
func leaves(cmd *cobra.Command) []*cobra.Command {
	if cmd.Name() == "help" {
		return nil
	}
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var out []*cobra.Command
	for _, sub := range cmd.Commands() {
		out = append(out, leaves(sub)...)
	}
	return out
}

func TestCommandsAreDocumented(t *testing.T) {
	t.Parallel()
	root := newTestRoot()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q; want a phrase without a full stop", path, cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if utf8.RuneCountInString(line) > 125 {
				t.Errorf("%s: a line of its help is too long: %s", path, line)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, usage := pflag.UnquoteUsage(f)
			if usage == "" {
				t.Errorf("%s --%s: no usage", path, f.Name)
			}
			if slices.Contains([]string{"string", "int", "strings", "stringArray"}, value) {
				t.Errorf("%s --%s: the help names the type %q instead of what the value is", path, f.Name, value)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

var (
	gustLine = regexp.MustCompile(`(?m)\bgust [^\n]*`)
	word     = regexp.MustCompile(`'(?:[^']|'')*'|"[^"]*"|\S+`)
)

// gustLines are the command lines of gust in a text, without what a shell does with them.
func gustLines(text string) [][]string {
	var lines [][]string
	for _, match := range gustLine.FindAllString(text, -1) {
		var words []string
		for _, w := range word.FindAllString(match, -1) {
			if strings.ContainsAny(w[:1], "<>|&;") {
				break
			}
			if unquoted := strings.Trim(w, `'"`); unquoted != w {
				words = append(words, unquoted)
				continue
			}
			words = append(words, strings.TrimRight(w, ");"))
		}
		lines = append(lines, words[1:])
	}
	return lines
}

// TestExamplesParse runs every example up to the work itself: the command exists, its flags do, its arguments are right.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	for _, leaf := range leaves(newTestRoot()) {
		lines := gustLines(leaf.Example)
		if len(lines) == 0 {
			t.Errorf("%s has no example", leaf.CommandPath())
		}
		for _, words := range lines {
			cmd, rest, err := newTestRoot().Find(words)
			if err != nil || cmd.CommandPath() != leaf.CommandPath() {
				t.Errorf("%s: the example %q is one of %v: %v", leaf.CommandPath(), words, cmd.CommandPath(), err)
				continue
			}
			if err := cmd.ParseFlags(rest); err != nil {
				t.Errorf("%s: %q: %v", leaf.CommandPath(), words, err)
				continue
			}
			if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
				t.Errorf("%s: %q: %v", leaf.CommandPath(), words, err)
			}
		}
	}
}

// TestScriptsCoverTheCommands holds the scripts to every command and every flag.
func TestScriptsCoverTheCommands(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	used := map[string]bool{} // "dags list", "dags list --output"
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(text), "\n-- ")
		for _, words := range gustLines(script) {
			cmd, rest, err := newTestRoot().Find(words)
			if err != nil || cmd.ParseFlags(rest) != nil {
				continue // a script about mistakes
			}
			name := strings.TrimPrefix(cmd.CommandPath(), "gust ")
			used[name] = true
			cmd.Flags().Visit(func(f *pflag.Flag) {
				used[name+" --"+f.Name] = true
				if shared(f) {
					used["--"+f.Name] = true
				}
			})
		}
	}
	for _, leaf := range leaves(newTestRoot()) {
		name := strings.TrimPrefix(leaf.CommandPath(), "gust ")
		if !used[name] {
			t.Errorf("no script runs gust %s", name)
		}
		leaf.LocalFlags().VisitAll(func(f *pflag.Flag) {
			inherited := leaf.InheritedFlags().Lookup(f.Name) != nil || shared(f) && used["--"+f.Name]
			if !inherited && f.Name != "help" && !used[name+" --"+f.Name] {
				t.Errorf("no script uses gust %s --%s", name, f.Name)
			}
		})
	}
}

// TestStepFunctionsExamplesRun holds the scripts to the examples of `gust sfn`: each stands in one, word by word.
func TestStepFunctionsExamplesRun(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/script/sfn*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(text), "\n-- ")
		for _, words := range gustLines(script) {
			run[strings.Join(words, " ")] = true
		}
	}
	for _, leaf := range leaves(newTestRoot()) {
		if leaf.Parent().Name() != "sfn" {
			continue
		}
		for _, words := range gustLines(leaf.Example) {
			if !run[strings.Join(words, " ")] {
				t.Errorf("no script runs the example: gust %s", strings.Join(words, " "))
			}
		}
	}
}

// TestHelp shows the help of every command through the program's own path.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, leaf := range leaves(newTestRoot()) {
		var out, errs strings.Builder
		words := append(strings.Fields(leaf.CommandPath())[1:], "--help")
		code := execute(t.Context(), words, streams{in: strings.NewReader(""), out: &out, err: &errs})
		if code != codeOK || errs.Len() > 0 {
			t.Errorf("%v: exit code %d, %s", words, code, errs.String())
		}
		for _, part := range []string{"Usage:\n  " + leaf.CommandPath(), "Examples:\n  "} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%v: the help lacks %q:\n%s", words, part, out.String())
			}
		}
	}
}
