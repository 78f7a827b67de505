package sfncmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/stepfunctions/asl"
)

func (h *Host) validate() *cobra.Command {
	var express bool
	cmd := &cobra.Command{
		Use: "validate FILE...", Short: "Check definitions, with file, line and column of every problem",
		Long: `Check definitions of state machines without any service: everything that CreateStateMachine would refuse, and warnings,
each with file, line and column. FILE may be - for standard input. Exits with 1 when a definition has an error.`,
		Example: "  gust sfn validate hello.asl.json\n  gust sfn validate --express hello.asl.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return h.Arguments("FILE")(cmd, args)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&express, "express", false, "check for express state machines, which may not have everything")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		errors := 0
		for _, path := range args {
			text, err := h.read(path)
			if err != nil {
				return err
			}
			_, found := asl.ParseFor(text, express)
			for _, line := range problems(path, found) {
				discard(fmt.Fprintln(h.Out, line))
			}
			errors += len(found.Errors())
			if len(found) == 0 {
				discard(fmt.Fprintf(h.Out, "%s: valid\n", path))
			}
		}
		if errors > 0 {
			return host.Quiet(host.CodeFailed)
		}
		return nil
	}
	return cmd
}

// problems are the diagnostics of a file, a line each.
func problems(path string, found asl.Diagnostics) []string {
	var lines []string
	for _, d := range found {
		place := path
		if d.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", path, d.Line, d.Column)
		}
		what, _, _ := strings.Cut(d.String(), "\n at [Source") // AWS repeats the text and the place
		text := fmt.Sprintf("%s: %s: %s", place, d.Severity, what)
		if d.Hint != "" {
			text += fmt.Sprintf(" (did you mean %q?)", d.Hint)
		}
		lines = append(lines, text)
	}
	return lines
}

// check refuses a definition with errors, all of which it names.
func check(path, definition string, express bool) error {
	_, found := asl.ParseFor(definition, express)
	if len(found.Errors()) == 0 {
		return nil
	}
	text := fmt.Sprintf("%s is not a valid definition:", path)
	for _, line := range problems(path, found.Errors()) {
		text += "\n" + line
	}
	return &host.ExitError{Code: host.CodeFailed, Err: fmt.Errorf("%s", text)}
}
