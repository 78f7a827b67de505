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
		Args: arguments(),
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
		Use:   "show OPERATOR",
		Short: "Show an operator's parameters",
		Long: "Show an operator's documentation, every parameter with type, default and meaning, and the names under which it can be\n" +
			"written. With -o json or yaml only the parameters.",
		Example: "  gust operators show StepFunctionStartExecutionOperator\n  gust operators show bash",
		Args:    arguments("OPERATOR"),
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
			return noOperator(registry, args[0])
		}
		if *format != "table" {
			return parameterTable(spec).print(c.out, *format)
		}
		c.printOperator(spec)
		return nil
	}
	return cmd
}

func noOperator(registry *operators.Registry, name string) error {
	text := fmt.Sprintf("there is no operator %q", name)
	var alike []string
	for _, s := range registry.Specs() {
		if strings.Contains(strings.ToLower(s.Name), strings.ToLower(name)) {
			alike = append(alike, s.Name)
		}
	}
	switch near := registry.Nearest(name); {
	case near != "":
		text += fmt.Sprintf("; did you mean %q?", near)
	case len(alike) > 0:
		text += "; names like it: " + strings.Join(alike, ", ")
	}
	return notFoundf("%s\nsee %q", text, "gust operators list")
}

// textWidth is how long lines of running text are.
const textWidth = 100

// printOperator prints an operator's page.
func (c *cli) printOperator(spec *operators.Spec) {
	c.printf("%s (%s)\n\n", spec.Name, kind(spec))
	c.paragraphs("", spec.Doc)
	c.printf("\nParameters:\n")
	for _, f := range spec.Schema().Fields {
		notes := []string{f.Type}
		if len(f.Enum) > 0 {
			notes[0] = strings.Join(f.Enum, " | ")
		}
		switch {
		case f.Required:
			notes = append(notes, "required")
		case f.Default != "":
			notes = append(notes, "default "+f.Default)
		}
		if f.Template {
			notes = append(notes, "templated")
		}
		c.printf("  %s (%s)\n", f.Name, strings.Join(notes, ", "))
		c.paragraphs("      ", f.Doc)
	}
	if len(spec.Aliases) > 0 {
		c.printf("\nAlso written as:\n  %s\n", strings.Join(spec.Aliases, "\n  "))
	}
	if len(spec.Links) > 0 {
		c.printf("\nLinks:\n")
		for _, l := range spec.Links {
			c.printf("  %s (XCom %s)\n", l.Name, l.XComKey)
		}
	}
}

// paragraphs prints a text with every line indented and none too long.
func (c *cli) paragraphs(indent, text string) {
	for paragraph := range strings.Lines(text) {
		for _, l := range wrap(strings.TrimRight(paragraph, "\n"), textWidth-len(indent)) {
			c.printf("%s\n", strings.TrimRight(indent+l, " "))
		}
	}
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
