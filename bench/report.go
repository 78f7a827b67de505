package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// result is one line of the report.
type result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	// Base is what Value is set against, and BaseName what that is: a limit of the machine or a peer.
	Base     float64 `json:"base,omitempty"`
	BaseName string  `json:"base_name,omitempty"`
	// Ratio says how the two compare, in the direction in which the aim is put: see Compared.
	Ratio    float64 `json:"ratio,omitempty"`
	Compared string  `json:"compared,omitempty"`
	Aim      string  `json:"aim,omitempty"`
	Met      *bool   `json:"met,omitempty"`
	Note     string  `json:"note,omitempty"`
}

// slower sets a rate against a limit that is higher: how many times slower than the limit.
func (r result) slower(limit float64, name string) result {
	r.Base, r.BaseName = limit, name
	if r.Value > 0 {
		r.Ratio = limit / r.Value
	}
	r.Compared = number(r.Ratio) + "x slower"
	return r
}

// times sets a value against another: value is so many times base.
func (r result) times(base float64, name string) result {
	r.Base, r.BaseName = base, name
	if base > 0 {
		r.Ratio = r.Value / base
	}
	r.Compared = number(r.Ratio) + "x"
	return r
}

// beyond sets a value against a base that is part of it: the difference counts.
func (r result) beyond(base float64, name string) result {
	r.Base, r.BaseName, r.Ratio = base, name, r.Value-base
	r.Compared = fmt.Sprintf("%+.2f %s", r.Ratio, r.Unit)
	return r
}

// atMost and atLeast judge the ratio, or the value where there is none to compare it with.
func (r result) atMost(aim float64, text string) result {
	return r.judge(text, r.judged() <= aim)
}

func (r result) atLeast(aim float64, text string) result {
	return r.judge(text, r.judged() >= aim)
}

func (r result) judged() float64 {
	if r.BaseName == "" {
		return r.Value
	}
	return r.Ratio
}

func (r result) judge(text string, met bool) result {
	r.Aim, r.Met = text, &met
	return r
}

// section is what one measurement found.
type section struct {
	Name    string   `json:"name"`
	About   string   `json:"about"`
	Results []result `json:"results"`
}

// report is everything.
type report struct {
	Profile  string    `json:"profile"`
	Machine  machine   `json:"machine"`
	Sections []section `json:"sections"`
	Growth   []growth  `json:"growth,omitempty"`
}

func (r *report) add(m measurement, results []result) {
	r.Sections = append(r.Sections, section{m.name, m.about, results})
}

// finish adds what is known about the machine at the end.
func (r *report) finish(b *bench) {
	r.Machine.LoadAfter, r.Machine.NewFile = loadAverage(), median(b.newFiles)
	r.Growth = fitted(b.growths)
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	var rows, notes strings.Builder
	rows.WriteString("\nmeasurement\tvalue\tlimit or peer\tratio\taim\tmet\n")
	count := 0
	for _, s := range r.Sections {
		rows.WriteString(strings.ToUpper(s.Name) + ": " + s.About + "\n")
		for _, line := range s.Results {
			name := "  " + line.Name
			if line.Note != "" {
				count++
				name += fmt.Sprintf(" [%d]", count)
				fmt.Fprintf(&notes, "[%d] %s\n", count, line.Note)
			}
			cells := []string{name, line.value(), line.base(), line.Compared, line.Aim, line.verdict()}
			rows.WriteString(strings.Join(cells, "\t") + "\n")
		}
	}
	if _, err := fmt.Fprintf(w, "%s\nprofile %s\n", r.Machine, r.Profile); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, rows.String()); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, notes.String())
	return errors.Join(err, writeGrowth(w, r.Growth))
}

func (r result) value() string {
	if r.Unit == "" {
		return "-"
	}
	return number(r.Value) + " " + r.Unit
}

func (r result) base() string {
	if r.BaseName == "" {
		return ""
	}
	return fmt.Sprintf("%s %s (%s)", number(r.Base), r.Unit, r.BaseName)
}

func (r result) verdict() string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return "yes"
	}
	return "NO"
}

// number prints three significant digits, with commas for thousands.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	digits := 3
	for n := math.Abs(v); n >= 1 && digits > 0; n /= 10 {
		digits--
	}
	if v != 0 && math.Abs(v) < 0.1 {
		digits = 4
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if whole, fraction, ok := strings.Cut(text, "."); ok {
		return thousands(whole) + "." + fraction
	}
	return thousands(text)
}

// count prints a whole number with commas for thousands.
func count(n int) string { return thousands(strconv.Itoa(n)) }

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
