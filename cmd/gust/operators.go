package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gust/internal/app"
	"gust/operators"
)

func (c *cli) operatorsCommand() *cobra.Command {
	return group("operators", "Show what a task can be", "pipelines", c.operatorsList(), c.operatorsShow())
}

func (c *cli) operatorsList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List every operator and sensor", Example: "  gust operators list\n  gust operators list -o json",
		Args: exactArgs(),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		registry, err := app.Catalog()
		if err != nil {
			return err
		}
		t := &table{columns: []string{"operator", "kind", "description"}}
		for _, s := range registry.Specs() {
			t.add(s.Name, kind(s), firstSentence(s.Doc))
		}
		return t.print(c.out, *format)
	}
	return cmd
}

func kind(s *operators.Spec) string {
	if s.Sensor {
		return "sensor"
	}
	return "operator"
}

func firstSentence(doc string) string {
	if end := strings.Index(doc, ". "); end >= 0 {
		doc = doc[:end+1]
	}
	if line, _, more := strings.Cut(doc, "\n"); more {
		doc = line
	}
	return doc
}

func (c *cli) operatorsShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show OPERATOR",
		Short:   "Show an operator's parameters",
		Long:    "Show an operator's documentation, its names, and every parameter with type, default and meaning.",
		Example: "  gust operators show StepFunctionStartExecutionOperator\n  gust operators show bash",
		Args:    exactArgs("operator"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			registry, err := app.Catalog()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			var names []string
			for _, s := range registry.Specs() {
				names = append(names, s.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		registry, err := app.Catalog()
		if err != nil {
			return err
		}
		spec, ok := registry.Lookup(args[0])
		if !ok {
			text := fmt.Sprintf("there is no operator %q", args[0])
			if near := registry.Nearest(args[0]); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
			return notFoundf("%s\nsee %q", text, "gust operators list")
		}
		t := parameterTable(spec)
		if cmd.Flags().Changed("output") && *format != "table" {
			return t.print(c.out, *format)
		}
		c.printf("%s (%s)\n\n%s\n", spec.Name, kind(spec), spec.Doc)
		if len(spec.Aliases) > 0 {
			c.printf("\nAlso written as:\n")
			for _, alias := range spec.Aliases {
				c.printf("  %s\n", alias)
			}
		}
		c.printf("\n")
		return t.print(c.out, "table")
	}
	return cmd
}

func parameterTable(spec *operators.Spec) *table {
	t := &table{columns: []string{"parameter", "type", "default", "templated", "meaning"}}
	for _, f := range spec.Schema().Fields {
		def := f.Default
		if f.Required {
			def = "(required)"
		}
		typ := f.Type
		if len(f.Enum) > 0 {
			typ = strings.Join(f.Enum, " | ")
		}
		t.add(f.Name, typ, def, f.Template, f.Doc)
	}
	return t
}
