package interp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// errSnapshot is a snapshot that was not written by this version of the package.
var errSnapshot = errors.New("it is not a snapshot of an execution")

// encoder writes the compact binary form of a snapshot: whole numbers as varints, texts with their length, instants as
// milliseconds from the start of the execution.
type encoder struct {
	data  []byte
	start time.Time
}

func (e *encoder) uint(n uint64) { e.data = binary.AppendUvarint(e.data, n) }
func (e *encoder) int(n int64)   { e.data = binary.AppendVarint(e.data, n) }
func (e *encoder) byte(b byte)   { e.data = append(e.data, b) }

func (e *encoder) text(s string) {
	e.uint(uint64(len(s)))
	e.data = append(e.data, s...)
}

func (e *encoder) optional(s *string) {
	if s == nil {
		e.byte(0)
		return
	}
	e.byte(1)
	e.text(*s)
}

// time writes an instant; the zero time is written as 0.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.byte(0)
		return
	}
	ms := t.Sub(e.start).Milliseconds()
	// Shifted by one away from 0.
	if ms >= 0 {
		ms++
	}
	e.int(ms)
}

// decoder reads what an encoder wrote. After an error everything it returns is empty.
type decoder struct {
	data  []byte
	start time.Time
	err   error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errSnapshot, what)
	}
	d.data = nil
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.data)
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.data)
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.fail("it is cut off")
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

// count reads how many things follow, of which each takes a byte or more.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.data)) {
		d.fail("a count is too large")
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.data[:n])
	d.data = d.data[n:]
	return s
}

func (d *decoder) optional() *string {
	if d.byte() == 0 {
		return nil
	}
	s := d.text()
	return &s
}

func (d *decoder) time() time.Time {
	ms := d.int()
	switch {
	case ms == 0:
		return time.Time{}
	case ms > 0:
		ms--
	}
	return d.start.Add(time.Duration(ms) * time.Millisecond)
}
