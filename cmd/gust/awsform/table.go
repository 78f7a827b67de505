package awsform

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/text/width"

	"gust/stepfunctions/jsonvalue"
)

// section is a part of a table: a title, a line of headings, rows. Sections of nested values are framed once more for each
// level.
type section struct {
	title   string
	headers []string
	rows    [][]string
	level   int
	widths  []int // of the widest cell in each column
}

const (
	cellPadding   = 4 // of a cell, both sides
	borderPadding = 2 // of a section, both sides
	defaultWidth  = 80
)

type tableBuilder struct{ sections []*section }

// table writes the form for people: boxes in boxes.
func (p Printer) table(b *strings.Builder, v jsonvalue.Value) error {
	t := &tableBuilder{}
	if err := t.value(p.Title, v, 0); err != nil || len(t.sections) == 0 {
		return err
	}
	limit := p.Width
	if limit <= 0 {
		limit = defaultWidth
	}
	total := t.width()
	if total > limit {
		t.turn()
		total = t.width()
	}
	b.WriteString(strings.Repeat("-", total) + "\n")
	for _, s := range t.sections {
		(&tableWriter{b: b, section: s, width: total - 2*s.level, colour: p.Colour}).write()
	}
	return nil
}

// falsy are the values that Python takes for false; they get no section.
func falsy(v jsonvalue.Value) bool {
	switch v.Kind() {
	case jsonvalue.Null:
		return true
	case jsonvalue.Bool:
		return !v.Bool()
	case jsonvalue.Number:
		f, _ := v.Float()
		return f == 0
	case jsonvalue.String:
		return v.Text() == ""
	default:
		return v.Len() == 0
	}
}

func (t *tableBuilder) current() *section { return t.sections[len(t.sections)-1] }

// value adds a section for v, or, without a title, rows to the last section.
func (t *tableBuilder) value(title string, v jsonvalue.Value, level int) error {
	if falsy(v) {
		return nil
	}
	if title != "" || len(t.sections) == 0 {
		t.sections = append(t.sections, &section{title: title, level: level})
	}
	switch {
	case isObject(v):
		return t.object(v, level)
	case v.Kind() == jsonvalue.Array && isObject(v.At(0)):
		return t.objects(title, v, level)
	case v.Kind() == jsonvalue.Array:
		return t.list(v)
	}
	return nil
}

func (t *tableBuilder) list(v jsonvalue.Value) error {
	for _, item := range v.Items() {
		var err error
		switch {
		case scalar(item):
			err = t.current().add(plain(item))
		case isObject(item):
			err = t.current().add(keysOf(item)...)
		case !slices.ContainsFunc(item.Items(), func(v jsonvalue.Value) bool { return !scalar(v) }):
			cells := make([]string, item.Len())
			for i, c := range item.Items() {
				cells[i] = plain(c)
			}
			err = t.current().add(cells...)
		default:
			err = t.value("", item, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func keysOf(v jsonvalue.Value) []string {
	keys := make([]string, v.Len())
	for i := range keys {
		keys[i] = v.Key(i)
	}
	return keys
}

func (t *tableBuilder) object(v jsonvalue.Value, level int) error {
	headers, more := split(v)
	var err error
	if len(headers) == 1 {
		item, _ := v.Get(headers[0])
		err = t.current().add(headers[0], plain(item))
	} else if len(headers) > 1 {
		t.current().head(headers)
		err = t.current().add(cellsOf(v, headers)...)
	}
	if err != nil {
		return err
	}
	for _, key := range more {
		item, _ := v.Get(key)
		if err := t.value(key, item, level+1); err != nil {
			return err
		}
	}
	return nil
}

// objects adds a list of objects: one section when their values are scalars, else one for each followed by its parts.
func (t *tableBuilder) objects(title string, v jsonvalue.Value, level int) error {
	var headers, more []string
	for _, item := range v.Items() {
		h, m := split(item)
		headers, more = append(headers, h...), append(more, m...)
	}
	slices.Sort(headers)
	slices.Sort(more)
	headers, more = slices.Compact(headers), slices.Compact(more)
	t.current().head(headers)
	for i, item := range v.Items() {
		if i > 0 && len(more) > 0 {
			t.sections = append(t.sections, &section{title: title, level: level})
			t.current().head(headers)
		}
		if err := t.current().add(cellsOf(item, headers)...); err != nil {
			return err
		}
		for _, key := range more {
			part, _ := item.Get(key)
			if err := t.value(key, part, level+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// split sorts the keys of an object into those of scalars and the others.
func split(v jsonvalue.Value) (scalars, more []string) {
	for _, key := range sortedKeys(v) {
		if item, _ := v.Get(key); scalar(item) {
			scalars = append(scalars, key)
		} else {
			more = append(more, key)
		}
	}
	return scalars, more
}

func cellsOf(v jsonvalue.Value, keys []string) []string {
	cells := make([]string, len(keys))
	for i, key := range keys {
		if item, ok := v.Get(key); ok {
			cells[i] = plain(item)
		}
	}
	return cells
}

func (s *section) head(headers []string) {
	s.headers = headers
	s.widen(headers)
}

func (s *section) add(cells ...string) error {
	columns := len(s.headers)
	if columns == 0 && len(s.rows) > 0 {
		columns = len(s.rows[0])
	}
	if (columns > 0 || len(s.rows) > 0) && len(cells) != columns {
		return fmt.Errorf("a row of the table has %d cells where the others have %d; shape the result with --query", len(cells), columns)
	}
	s.rows = append(s.rows, cells)
	s.widen(cells)
	return nil
}

func (s *section) widen(cells []string) {
	for i, cell := range cells {
		if i == len(s.widths) {
			s.widths = append(s.widths, 0)
		}
		s.widths[i] = max(s.widths[i], columnsOf(cell))
	}
}

// columnsOf is how many columns a text takes; East Asian ambiguous characters count as wide, as the AWS CLI counts them.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		n++
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth, width.EastAsianAmbiguous:
			n++
		}
	}
	return n
}

// width is that of the widest section.
func (t *tableBuilder) width() int {
	widest := 0
	for _, s := range t.sections {
		total := borderPadding
		for _, w := range s.widths {
			total += w + cellPadding
		}
		widest = max(widest, 2*s.level+max(total, columnsOf(s.title)+borderPadding))
	}
	return widest
}

// turn makes rows of the columns in sections that have one row.
func (t *tableBuilder) turn() {
	for i, s := range t.sections {
		if len(s.rows) != 1 || len(s.headers) == 0 {
			continue
		}
		turned := &section{title: s.title, level: s.level}
		for j, header := range s.headers {
			_ = turned.add(header, s.rows[0][j]) // rows of two never differ
		}
		t.sections[i] = turned
	}
}

// columns scales the widths of the columns so that they fill total.
func (s *section) columns(total int) []int {
	if len(s.widths) == 0 {
		return nil
	}
	sum := 0
	for _, w := range s.widths {
		sum += w + cellPadding
	}
	out, off := make([]int, len(s.widths)), -total
	for i, w := range s.widths {
		out[i] = int(math.RoundToEven(float64(total) / float64(sum) * float64(w+cellPadding)))
		off += out[i]
	}
	for i := 0; off > 0; i = (i + 1) % len(out) {
		out[i]--
		off--
	}
	for i := len(out) - 1; off < 0; i = (i - 1 + len(out)) % len(out) {
		out[i]++
		off++
	}
	return out
}

// tableWriter writes one section.
type tableWriter struct {
	b       *strings.Builder
	section *section
	width   int
	colour  bool
}

func (w *tableWriter) write() {
	s := w.section
	if s.title != "" {
		w.line(centre(s.title, s.title, w.width, true))
		if len(s.headers) == 0 && len(s.rows) == 0 {
			w.line("+" + strings.Repeat("-", w.width-2) + "+")
		}
	}
	columns := s.columns(w.width)
	if len(s.headers) > 0 {
		w.rule(columns)
		line := ""
		for i, header := range s.headers {
			line += centre(header, header, columns[i], i == 0)
		}
		w.line(line)
	}
	if len(s.rows) == 0 || len(columns) == 0 {
		return
	}
	w.rule(columns)
	for _, row := range s.rows {
		line := ""
		for i, cell := range row {
			line += left(cell, w.paint("\x1b[1m\x1b[34m", cell), columns[i], i == 0)
		}
		w.line(line)
	}
	w.rule(columns)
}

func (w *tableWriter) paint(code, text string) string {
	if !w.colour {
		return text
	}
	return code + text + "\x1b[0m"
}

func (w *tableWriter) line(text string) {
	frame := strings.Repeat(w.paint("\x1b[2m\x1b[33m", "|"), w.section.level)
	w.b.WriteString(frame + text + frame + "\n")
}

func (w *tableWriter) rule(columns []int) {
	line := "+"
	for i, width := range columns {
		if i == 0 {
			width--
		}
		line += strings.Repeat("-", max(0, width-1)) + "+"
	}
	w.line(line)
}

// centre puts a text, which is shown as styled, into the middle of a cell. The first cell of a line has a left border.
func centre(text, styled string, length int, first bool) string {
	edge := ""
	if first {
		edge = "|"
	}
	n := columnsOf(text)
	start := length/2 - n/2 - 1
	line := edge + strings.Repeat(" ", max(0, start)) + styled
	return line + strings.Repeat(" ", max(0, length-1-(len(edge)+start+n))) + "|"
}

func left(text, styled string, length int, first bool) string {
	edge := ""
	if first {
		edge = "|"
	}
	n, padding := columnsOf(text), 2
	if length < n+padding+len(edge)+1 {
		padding = 0
	}
	return edge + strings.Repeat(" ", padding) + styled + strings.Repeat(" ", max(0, length-len(edge)-padding-n-1)) + "|"
}
