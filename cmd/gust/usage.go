package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gust/internal/param"
)

// unknownCommand says that cmd has no such command, and which one was probably meant.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	text := fmt.Sprintf("unknown command %q for %q", name, cmd.CommandPath())
	near := didYouMean(name, names)
	plural := slices.Contains(names, name+"s") // a slip, whatever has that name elsewhere
	if elsewhere := elsewhere(cmd, name); elsewhere != "" && !plural {
		near = "; " + elsewhere
	}
	return usagef("%s\nsee %q", text+near, cmd.CommandPath()+" --help")
}

// airflowCommands are commands of Airflow, of either version, that are something else here.
var airflowCommands = map[string]string{
	"dags backfill": "write `gust backfill create`",
	"dags clear":    "write `gust runs clear` or `gust tasks clear`",
	"db init":       "write `gust db migrate`",
	"db upgrade":    "write `gust db migrate`",
	"tasks run":     "write `gust tasks test`, or `gust dags trigger` for a whole run",
	"webserver":     "there are no web pages; `gust scheduler` serves health and metrics",
	"api-server":    "there are no web pages; `gust scheduler` serves health and metrics",
	"triggerer":     "it is part of `gust scheduler`",
	"dag-processor": "it is part of `gust scheduler`",
	"celery":        "tasks run inside `gust scheduler`",
	"kubernetes":    "tasks run inside `gust scheduler`",
	"plugins":       "there are none; `gust operators list` shows what there is",
	"providers":     "they are built in; `gust operators list` shows what there is",
	"users":         "there are none: who reaches the home folder may do everything",
	"roles":         "there are none: who reaches the home folder may do everything",
}

// elsewhere says where a command is that does not belong to cmd: what Airflow calls so, or the commands of that name in
// other groups.
func elsewhere(cmd *cobra.Command, name string) string {
	path := strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()) + " " + name)
	if text, ok := airflowCommands[path]; ok {
		return text
	}
	var found []string
	for _, top := range cmd.Root().Commands() {
		if top.Name() == name && top.IsAvailableCommand() {
			found = append(found, "`"+top.CommandPath()+"`")
		}
		for _, sub := range top.Commands() {
			if sub.Name() == name && sub.IsAvailableCommand() {
				found = append(found, "`"+sub.CommandPath()+"`")
			}
		}
	}
	if len(found) == 0 || len(found) > mostElsewhere {
		return ""
	}
	return "did you mean " + strings.Join(found, " or ") + "?"
}

// mostElsewhere is how many commands of a name are worth naming: "list" says nothing.
const mostElsewhere = 3

// didYouMean is the question after an unknown name, or "" when no name is near. A beginning that only one name has is
// near too.
func didYouMean(name string, names []string) string {
	near := param.Nearest(name, names)
	if near == "" {
		begin := func(candidate string) bool { return len(name) > 2 && strings.HasPrefix(candidate, name) }
		if i := slices.IndexFunc(names, begin); i >= 0 && !slices.ContainsFunc(names[i+1:], begin) {
			near = names[i]
		}
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}

// flagError says in the user's words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		bare    *pflag.ValueRequiredError
		wrong   *pflag.InvalidValueError
		text    string
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		text = "unknown flag " + name + didYouMean(name, names)
	case errors.As(err, &unknown):
		text = "unknown flag -" + unknown.GetSpecifiedName()
	case errors.As(err, &bare):
		text = fmt.Sprintf("%s needs a value: %s", flagName(bare.GetFlag()), flagUsage(bare.GetFlag()))
	case errors.As(err, &wrong):
		text = fmt.Sprintf("%s is %q; expected %s", flagName(wrong.GetFlag()), wrong.GetValue(), expected(wrong))
	default:
		text = err.Error()
	}
	return usagef("%s%s\nsee %q", about(cmd), text, cmd.CommandPath()+" --help")
}

// about begins a message about the use of a command; the program's own name stands before every message.
func about(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ") + ": "
}

func flagName(f *pflag.Flag) string { return "--" + f.Name }

func flagUsage(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	return usage
}

// expected is what belongs into a flag; Go's own words for a number are kept out of sight.
func expected(e *pflag.InvalidValueError) string {
	switch e.GetFlag().Value.Type() {
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	}
	var choice *choiceError
	if errors.As(e, &choice) {
		return choice.Error()
	}
	return e.Unwrap().Error()
}

// choice is a flag with a closed set of values.
type choice struct {
	value  string
	values []string
}

// choiceError names the values of a choice.
type choiceError struct{ values []string }

func (e *choiceError) Error() string { return "one of " + strings.Join(e.values, ", ") }

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }
func (c *choice) Set(text string) error {
	if !slices.Contains(c.values, text) {
		return &choiceError{c.values}
	}
	c.value = text
	return nil
}

// choiceFlag adds a flag with a closed set of values, the default first ("" when it may be absent).
func choiceFlag(cmd *cobra.Command, name, shorthand, usage, def string, values ...string) *choice {
	c := &choice{value: def, values: values}
	cmd.Flags().VarP(c, name, shorthand, usage)
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// withoutEffect adds flags that Airflow has and that change nothing here, so that its command lines work unchanged. They
// are hidden from --help, with the reason in their usage.
func withoutEffect(cmd *cobra.Command, name, shorthand, reason string) {
	cmd.Flags().BoolP(name, shorthand, false, "accepted as in Airflow, without effect: "+reason)
	// It fails only for a flag that does not exist.
	_ = cmd.Flags().MarkHidden(name)
}

// mayBeEmpty are arguments that are free texts.
var mayBeEmpty = []string{"VALUE", "DESCRIPTION", "[NOTE]"}

// arguments wants these arguments, by name, so that the message says what is missing. Names that begin with "[" may be
// left out.
func arguments(names ...string) cobra.PositionalArgs {
	least := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, "[") })
	if least < 0 {
		least = len(names)
	}
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return usagef("%smissing argument %s\nusage: %s\nfor example:\n%s", about(cmd), names[len(args)], cmd.UseLine(), cmd.Example)
		}
		if len(args) > len(names) {
			return usagef("%sunexpected argument %q\nusage: %s", about(cmd), args[len(names)], cmd.UseLine())
		}
		for i, arg := range args {
			if arg == "" && !slices.Contains(mayBeEmpty, names[i]) {
				return usagef("%s%s is empty\nusage: %s", about(cmd), strings.Trim(names[i], "[]"), cmd.UseLine())
			}
		}
		return nil
	}
}

// readFile reads a file that the user has named; when it is not there the error names the file that was probably meant.
func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	return nil, notFoundf("there is no file %s%s", path, didYouMeanFile(filepath.Dir(path), filepath.Base(path)))
}

// didYouMeanFile is the question after an unknown file name, or "".
func didYouMeanFile(dir, name string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	near := param.Nearest(name, names)
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", shorten(filepath.Join(dir, near)))
}

// exclusive refuses more than one of these flags.
func exclusive(cmd *cobra.Command, names ...string) error {
	var given []string
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return usagef("%s cannot be used together; give one of them", strings.Join(given, " and "))
	}
	return nil
}
