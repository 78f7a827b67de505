package mapitems

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"gust/stepfunctions/jsonvalue"
)

// csv are the rows of a delimited text, as objects of texts.
func (s Source) csv(r *bufio.Reader, source string) sequence {
	return func(yield func(Item, error) bool) {
		records := &records{r: r, delimiter: delimiters[s.CSVDelimiter], source: source}
		headers := s.CSVHeaders
		switch {
		case s.CSVHeaderLocation == "GIVEN" && len(headers) == 0:
			yield(Item{}, readerFailed("CSVHeaders must be given when CSVHeaderLocation is GIVEN."))
			return
		case s.CSVHeaderLocation == "":
			yield(Item{}, readerFailed("CSVHeaderLocation must be FIRST_ROW or GIVEN when the InputType is CSV."))
			return
		case s.CSVHeaderLocation == "FIRST_ROW":
			record, err := records.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Item{}, err)
				return
			}
			headers = slices.Clone(record)
		}
		rows, err := newRows(headers)
		if err != nil {
			yield(Item{}, err)
			return
		}
		for {
			record, err := records.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Item{}, err)
				return
			}
			if !yield(Item{Value: rows.value(record), Source: source}, nil) {
				return
			}
		}
	}
}

// rows turns records into objects.
type rows struct {
	headers []string
	// order is the order of the fields in the objects, as places in headers.
	order []int
}

func newRows(headers []string) (*rows, error) {
	size := 0
	seen := make(map[string]bool, len(headers))
	for _, h := range headers {
		if seen[h] {
			return nil, readerFailed("CSV headers cannot contain duplicates.")
		}
		seen[h] = true
		size += len(h) + 1
	}
	if size > maxHeaderBytes {
		return nil, readerFailed("CSV headers cannot be larger than %d bytes, got %d.", maxHeaderBytes, size)
	}
	return &rows{headers: headers, order: hashOrder(headers)}, nil
}

// value makes an object of a record: missing fields are empty, additional ones are left out.
func (r *rows) value(record []string) jsonvalue.Value {
	b := jsonvalue.NewObjectBuilder(len(r.order))
	for _, i := range r.order {
		text := ""
		if i < len(record) {
			text = record[i]
		}
		b.Set(r.headers[i], jsonvalue.NewString(text))
	}
	return b.Value()
}

// hashOrder is the order in which AWS writes the fields of a row: that of a Java HashMap, by the hash of the names.
// Both rows that AWS's documentation shows (of a CSV file and of an inventory) are in this order.
func hashOrder(names []string) []int {
	buckets := uint32(16)
	for float64(len(names)) > 0.75*float64(buckets) {
		buckets *= 2
	}
	place := make([]uint32, len(names))
	order := make([]int, len(names))
	for i, name := range names {
		h := uint32(0)
		for _, unit := range utf16.Encode([]rune(name)) {
			h = 31*h + uint32(unit)
		}
		place[i] = (h ^ h>>16) & (buckets - 1)
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(place[a]) - int(place[b]) })
	return order
}

// records reads the records of a delimited text by AWS's rules: fields may stand in double quotes and then hold
// delimiters, line ends and doubled quotes; a backslash lets the next character stand for itself.
type records struct {
	r         *bufio.Reader
	delimiter byte
	source    string
	line      int
	field     bytes.Buffer
	fields    []string
	size      int
}

// next returns the next record that is not an empty line. It is overwritten by the following call.
func (c *records) next() ([]string, error) {
	for {
		start := c.line + 1
		empty, err := c.read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, err
			}
			var known *Error
			if errors.As(err, &known) {
				return nil, known
			}
			return nil, readerFailed("%s, line %d, cannot be read: %v", c.source, start, err)
		}
		if !empty {
			return c.fields, nil
		}
	}
}

// read reads one record into fields and reports whether its line was empty.
func (c *records) read() (empty bool, err error) {
	c.fields, c.size = c.fields[:0], 0
	c.field.Reset()
	quoted, any := false, false
	for {
		b, err := c.r.ReadByte()
		if errors.Is(err, io.EOF) {
			if !any {
				return false, io.EOF
			}
			c.line++
			c.end()
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if c.size++; c.size > maxItemBytes {
			return false, readerFailed("%s, line %d: an item cannot be larger than %d bytes.", c.source, c.line+1, maxItemBytes)
		}
		switch {
		case b == '\\':
			any = true
			if err := c.escaped(); err != nil {
				return false, err
			}
		case b == '"':
			any = true
			if quoted && c.follows('"') {
				c.field.WriteByte('"')
				continue
			}
			quoted = !quoted
		case quoted:
			if b == '\n' {
				c.line++
			}
			c.field.WriteByte(b)
		case b == c.delimiter:
			any = true
			c.end()
		case b == '\n', b == '\r' && c.follows('\n'):
			c.line++
			if any {
				c.end()
			}
			return !any, nil
		default:
			any = true
			c.field.WriteByte(b)
		}
	}
}

// escaped reads the character behind a backslash, which loses its meaning; the backslash itself is left out.
func (c *records) escaped() error {
	b, err := c.r.ReadByte()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if b == '\n' || b == '\r' {
		return c.r.UnreadByte()
	}
	c.field.WriteByte(b)
	return nil
}

// follows consumes the next byte when it is b.
func (c *records) follows(b byte) bool {
	next, err := c.r.Peek(1)
	if err != nil || next[0] != b {
		return false
	}
	_, _ = c.r.Discard(1) // it has just been peeked
	return true
}

func (c *records) end() {
	c.fields = append(c.fields, strings.ToValidUTF8(c.field.String(), "\uFFFD"))
	c.field.Reset()
}

// lines are the values of a JSON Lines text.
func lines(r *bufio.Reader, source string) sequence {
	return func(yield func(Item, error) bool) {
		var buf []byte
		for n := 1; ; n++ {
			line, more, err := readLine(r, buf[:0])
			buf = line
			if errors.Is(err, errTooLong) {
				yield(Item{}, readerFailed("%s, line %s: an item cannot be larger than %d bytes.", source, strconv.Itoa(n), maxItemBytes))
				return
			}
			if err != nil {
				yield(Item{}, unreadable(source, err))
				return
			}
			if text := strings.TrimSpace(string(line)); text != "" {
				v, err := jsonvalue.Parse(text)
				if err != nil {
					yield(Item{}, readerFailed("%s, line %d, is not JSON: %v", source, n, err))
					return
				}
				if !yield(Item{Value: v, Source: source}, nil) {
					return
				}
			}
			if !more {
				return
			}
		}
	}
}

var errTooLong = errors.New("the line is too long")

// readLine appends the next line to buf and reports whether it ended with a line end.
func readLine(r *bufio.Reader, buf []byte) (line []byte, more bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		buf = append(buf, part...)
		switch {
		case len(buf) > maxItemBytes+1:
			return buf, false, errTooLong
		case err == nil:
			return buf, true, nil
		case errors.Is(err, io.EOF):
			return buf, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return buf, false, err
		}
	}
}
