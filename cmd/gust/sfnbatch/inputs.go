// Package sfnbatch starts many executions: it reads inputs from a file, names each execution after its input so that none
// starts twice, holds a rate, and writes down what has been started so that it can go on where it was stopped.
package sfnbatch

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// Formats are the forms of a file of inputs.
var Formats = []string{"jsonl", "csv", "json"}

// FormatOf is the form that a file's name says; anything unknown is taken for a JSON value on each line.
func FormatOf(path string) string {
	switch ending := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."); ending {
	case "csv", "json":
		return ending
	}
	return "jsonl"
}

// Row is one input.
type Row struct {
	// Number counts from 1.
	Number int
	Input  string
}

// maxInput is the longest input that Step Functions takes, in bytes.
const maxInput = 262_144

// Rows reads the inputs in order: the values on the lines of JSONL, the items of a JSON array, the lines of CSV as objects
// of texts under the names of the first line.
func Rows(r io.Reader, format string) iter.Seq2[Row, error] {
	read := map[string]func(io.Reader, func(string) bool) error{"jsonl": lines, "csv": table, "json": array}[format]
	return func(yield func(Row, error) bool) {
		n := 0
		stopped := false
		err := read(r, func(input string) bool {
			n++
			if len(input) > maxInput {
				yield(Row{}, fmt.Errorf("input %d has %d bytes; Step Functions takes at most %d", n, len(input), maxInput))
				stopped = true
				return false
			}
			stopped = !yield(Row{n, input}, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Row{}, err)
		}
	}
}

func lines(r io.Reader, yield func(string) bool) error {
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := in.ReadString('\n')
		if text := strings.TrimSpace(line); text != "" {
			v, parseErr := jsonvalue.Parse(text)
			if parseErr != nil {
				return fmt.Errorf("line %d: %w", number, parseErr)
			}
			if !yield(v.String()) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func array(r io.Reader, yield func(string) bool) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v, err := jsonvalue.Parse(string(raw))
	if err != nil {
		return err
	}
	if v.Kind() != jsonvalue.Array {
		return fmt.Errorf("the file holds one %s; expected an array of inputs, or --format jsonl for a value on each line", v.Kind())
	}
	for _, item := range v.Items() {
		if !yield(item.String()) {
			return nil
		}
	}
	return nil
}

func table(r io.Reader, yield func(string) bool) error {
	in := csv.NewReader(skipMark(r))
	names, err := in.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty; its first line must name the columns")
	}
	if err != nil {
		return err
	}
	names = slices.Clone(names)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("two columns have the name %q", name)
		}
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b := jsonvalue.NewObjectBuilder(len(names))
		for i, cell := range cells {
			b.Set(names[i], jsonvalue.NewString(cell))
		}
		if !yield(b.Value().String()) {
			return nil
		}
	}
}

// skipMark drops the byte order mark that spreadsheets write.
func skipMark(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	if head, err := in.Peek(3); err == nil && bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3) // it was peeked
	}
	return in
}
