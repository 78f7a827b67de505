package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// table is what list commands print: columns in order, a row of values each.
type table struct {
	columns []string
	rows    [][]any
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

// outputFlag adds -o/--output, as every Airflow list command has it.
func outputFlag(cmd *cobra.Command) *string {
	format := new(string)
	cmd.Flags().StringVarP(format, "output", "o", "table", "output format: table, json, yaml, plain")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputFormats, cobra.ShellCompDirectiveNoFileComp))
	return format
}

var outputFormats = []string{"table", "json", "yaml", "plain"}

// checkOutput refuses an unknown format before any work is done.
func checkOutput(format string) error {
	if slices.Contains(outputFormats, format) {
		return nil
	}
	return usagef("output format %q is unknown; expected one of %s", format, strings.Join(outputFormats, ", "))
}

// print writes the table in the format. Nothing to list prints "No data found" (table) or an empty list.
func (t *table) print(w io.Writer, format string) error {
	if err := checkOutput(format); err != nil {
		return err
	}
	switch format {
	case "json", "yaml":
		return t.encode(w, format)
	case "plain":
		return t.plain(w)
	}
	return t.grid(w)
}

// encode prints a list of objects whose keys keep the order of the columns.
func (t *table) encode(w io.Writer, format string) error {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	var b strings.Builder
	b.WriteString("[")
	for i, row := range t.rows {
		object := &yaml.Node{Kind: yaml.MappingNode}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  {")
		for j, column := range t.columns {
			value := plainValue(row[j])
			raw, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("print %s: %w", column, err)
			}
			if j > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q: %s", column, raw)
			var node yaml.Node
			if err := node.Encode(value); err != nil {
				return fmt.Errorf("print %s: %w", column, err)
			}
			object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: column}, &node)
		}
		b.WriteString("}")
		list.Content = append(list.Content, object)
	}
	if len(t.rows) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("]\n")
	if format == "json" {
		_, err := io.WriteString(w, b.String())
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(list); err != nil {
		return err
	}
	return enc.Close()
}

// plainValue turns a cell into what JSON and YAML show: times as RFC 3339 texts, zero times as null.
func plainValue(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC().Format(timeLayout)
	case time.Duration:
		return v.Seconds()
	case json.RawMessage:
		var decoded any
		if len(v) == 0 || json.Unmarshal(v, &decoded) != nil {
			return nil
		}
		return decoded
	case fmt.Stringer:
		return v.String()
	}
	return v
}

// timeLayout is Python's isoformat, which Airflow prints.
const timeLayout = "2006-01-02T15:04:05.999999-07:00"

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(timeLayout)
	case time.Duration:
		if v == 0 {
			return ""
		}
		return v.String()
	case bool:
		if v {
			return "True"
		}
		return "False"
	case []string:
		return strings.Join(v, ", ")
	case json.RawMessage:
		return string(v)
	}
	return strings.ReplaceAll(fmt.Sprint(v), "\n", " ")
}

func (t *table) cells() (cells [][]string, widths []int) {
	widths = make([]int, len(t.columns))
	for j, column := range t.columns {
		widths[j] = utf8.RuneCountInString(column)
	}
	for _, row := range t.rows {
		line := make([]string, len(row))
		for j, v := range row {
			line[j] = cell(v)
			widths[j] = max(widths[j], utf8.RuneCountInString(line[j]))
		}
		cells = append(cells, line)
	}
	return cells, widths
}

func (t *table) grid(w io.Writer) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, "No data found")
		return err
	}
	cells, widths := t.cells()
	var b strings.Builder
	line(&b, t.columns, widths, " | ")
	rules := make([]string, len(widths))
	for j, width := range widths {
		rules[j] = strings.Repeat("=", width)
	}
	line(&b, rules, widths, "=+=")
	for _, row := range cells {
		line(&b, row, widths, " | ")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *table) plain(w io.Writer) error {
	cells, widths := t.cells()
	var b strings.Builder
	line(&b, t.columns, widths, "  ")
	for _, row := range cells {
		line(&b, row, widths, "  ")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(b *strings.Builder, cells []string, widths []int, separator string) {
	var row strings.Builder
	for j, c := range cells {
		if j > 0 {
			row.WriteString(separator)
		}
		row.WriteString(c)
		if j < len(cells)-1 {
			row.WriteString(strings.Repeat(" ", widths[j]-utf8.RuneCountInString(c)))
		}
	}
	b.WriteString(strings.TrimRight(row.String(), " "))
	b.WriteByte('\n')
}

// terminal reports whether w is a terminal that shows colours and cursor movements.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
