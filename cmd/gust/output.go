package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"gopkg.in/yaml.v3"

	"gust/dag/timetable"
)

// table is what list commands print: columns in order, a row of values each.
type table struct {
	columns []string
	rows    [][]any
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

// outputFlag adds -o/--output, as every Airflow list command has it. An unknown format is refused before any work is done.
func outputFlag(cmd *cobra.Command) *string {
	return &choiceFlag(cmd, "output", "o", "output `FORMAT`: table, json, yaml, plain", "table", "table", "json", "yaml", "plain").value
}

// record is one thing with many properties. A table shows a row for each property, JSON and YAML a list of one object, as
// Airflow's details commands do.
type record struct{ t table }

func (r *record) add(property string, value any) {
	r.t.columns = append(r.t.columns, property)
	if len(r.t.rows) == 0 {
		r.t.rows = make([][]any, 1)
	}
	r.t.rows[0] = append(r.t.rows[0], value)
}

func (r *record) print(w io.Writer, format string) error {
	if format == "json" || format == "yaml" {
		return r.t.print(w, format)
	}
	rows := &table{columns: []string{"property_name", "property_value"}}
	for i, name := range r.t.columns {
		rows.add(name, r.t.rows[0][i])
	}
	return rows.print(w, format)
}

// print writes the table in the format. Nothing to list prints "No data found" (table) or an empty list.
func (t *table) print(w io.Writer, format string) error {
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
			raw, err := marshal(value)
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

// marshal is json.Marshal that leaves <, > and & as they are: nothing here ends up in HTML.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// plainValue turns a cell into what JSON and YAML show: times as RFC 3339 texts, zero times as null.
func plainValue(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return timetable.ISOFormat(v)
	case time.Duration:
		if v == 0 {
			return nil
		}
		return v.Seconds()
	case []string:
		if v == nil {
			return []string{}
		}
		return v
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

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return timetable.ISOFormat(v)
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

// grid prints the table with rules. On a terminal that is too narrow long cells go on in the next line.
func (t *table) grid(w io.Writer) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, "No data found")
		return err
	}
	cells, widths := t.cells()
	if width, _ := terminalSize(w); width > 0 {
		fit(widths, width-3*(len(widths)-1))
	}
	var b strings.Builder
	gridRow(&b, t.columns, widths, " | ")
	rules := make([]string, len(widths))
	for j, width := range widths {
		rules[j] = strings.Repeat("=", width)
	}
	gridRow(&b, rules, widths, "=+=")
	for _, row := range cells {
		gridRow(&b, row, widths, " | ")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// minColumn is how narrow a column may become to fit a terminal.
const minColumn = 12

// fit narrows the widest columns until all of them take at most total, or until they are as narrow as they may be.
func fit(widths []int, total int) {
	sum := 0
	for _, width := range widths {
		sum += width
	}
	for ; sum > total; sum-- {
		widest := 0
		for j, width := range widths {
			if width > widths[widest] {
				widest = j
			}
		}
		if widths[widest] <= minColumn {
			return
		}
		widths[widest]--
	}
}

// gridRow prints a row whose cells may take several lines.
func gridRow(b *strings.Builder, cells []string, widths []int, separator string) {
	wrapped, height := make([][]string, len(cells)), 1
	for j, c := range cells {
		wrapped[j] = wrap(c, widths[j])
		height = max(height, len(wrapped[j]))
	}
	for i := range height {
		part := make([]string, len(cells))
		for j, lines := range wrapped {
			if i < len(lines) {
				part[j] = lines[i]
			}
		}
		line(b, part, widths, separator)
	}
}

// wrap breaks a text into lines of at most width characters, at spaces where it can.
func wrap(text string, width int) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > width {
		end := width
		if i := lastSpace(rest[:width+1]); i > 0 {
			end = i
		}
		lines = append(lines, strings.TrimRight(string(rest[:end]), " "))
		rest = rest[end:]
		for len(rest) > 0 && rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	if len(rest) > 0 || len(lines) == 0 {
		lines = append(lines, string(rest))
	}
	return lines
}

func lastSpace(text []rune) int {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == ' ' {
			return i
		}
	}
	return -1
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
			row.WriteString(strings.Repeat(" ", max(0, widths[j]-utf8.RuneCountInString(c))))
		}
	}
	b.WriteString(strings.TrimRight(row.String(), " "))
	b.WriteByte('\n')
}

// terminal reports whether w is a terminal on which the cursor can be moved.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
}

// coloured reports whether w is a terminal that is to show colours (https://no-color.org).
func coloured(w io.Writer) bool { return terminal(w) && os.Getenv("NO_COLOR") == "" }

// terminalSize is the size of the terminal that w is, in characters; 0, 0 when it is none or does not say.
func terminalSize(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(size.Col), int(size.Row)
}
