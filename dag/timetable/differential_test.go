package timetable

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

var testZones = []string{
	"UTC", "America/New_York", "Europe/London", "Europe/Amsterdam", "Australia/Lord_Howe", "America/Sao_Paulo",
	"Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "America/Santiago", "America/St_Johns", "Australia/Adelaide",
	"Pacific/Chatham", "Pacific/Auckland", "Asia/Kathmandu", "Europe/Dublin", "Antarctica/Troll",
}

// randomField writes a legal item list for field i.
func randomField(r *rand.Rand, i int) string {
	f := fields[i]
	value := func() string {
		v := f.lo + r.IntN(f.hi-f.lo+1)
		if f.names != nil && r.IntN(3) == 0 {
			return f.names[v-f.lo]
		}
		return strconv.Itoa(v)
	}
	item := func() string {
		if f.names != nil && r.IntN(8) == 0 { // names in ranges, in any case, with steps
			name := func() string {
				text := f.names[r.IntN(len(f.names))]
				return []string{text, strings.ToUpper(text), strings.ToUpper(text[:1]) + text[1:]}[r.IntN(3)]
			}
			return name() + "-" + name() + []string{"", "", "/2"}[r.IntN(3)]
		}
		switch r.IntN(12) {
		case 0:
			return "*/" + strconv.Itoa(1+r.IntN(f.hi+3))
		case 1, 2:
			return value() + "-" + value()
		case 3:
			return fmt.Sprintf("%s-%s/%d", value(), value(), 1+r.IntN(6))
		case 4:
			return fmt.Sprintf("%d/%d", f.lo+r.IntN(f.hi-f.lo), 1+r.IntN(20))
		case 5:
			return "*"
		}
		if i == domField && r.IntN(5) == 0 {
			return "L"
		}
		return value()
	}
	switch n := r.IntN(10); {
	case n < 4:
		return "*"
	case n < 5 && (i == domField || i == dowField):
		return "?"
	case n < 6 && i == dowField:
		nth := func() string { return fmt.Sprintf("%s#%d", f.names[r.IntN(7)], 1+r.IntN(5)) }
		switch r.IntN(6) {
		case 0, 1:
			return nth()
		case 2:
			return nth() + "," + nth()
		case 3:
			return fmt.Sprintf("MON-FRI#%d", 1+r.IntN(5))
		case 4:
			return fmt.Sprintf("%d#%d,L%d", r.IntN(7), 1+r.IntN(5), r.IntN(7))
		}
		return fmt.Sprintf("L%d", r.IntN(8))
	case n < 6 && i == hourField && r.IntN(2) == 0: // where clocks change
		return []string{"0", "1", "2", "3", "1,2", "2-3", "*/2"}[r.IntN(7)]
	case n < 6 && i == hourField:
		return []string{"*/1", "0-23", "*", "0-22,23"}[r.IntN(4)]
	case n < 9:
		return item()
	}
	return item() + "," + item()
}

func randomExpr(r *rand.Rand) string {
	if r.IntN(25) == 0 {
		return []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}[r.IntN(7)]
	}
	n := 5
	if r.IntN(6) == 0 {
		n = 6
	}
	if r.IntN(25) == 0 {
		n = 7
	}
	words := make([]string, n)
	for i := range words {
		words[i] = randomField(r, i)
	}
	if n == 7 {
		words[6] = []string{"*", "2024-2030", "2025", "2020/3"}[r.IntN(4)]
	}
	return strings.Join(words, " ")
}

// randomStart is a moment of the years 2007 to 2031, often close to a change of the zone's offset.
func randomStart(r *rand.Rand, zone string) time.Time {
	t := time.Unix(1_170_000_000+r.Int64N(760_000_000), 0)
	if loc, err := time.LoadLocation(zone); err == nil && r.IntN(2) == 0 {
		if _, end := t.In(loc).ZoneBounds(); !end.IsZero() {
			t = end.Add(time.Duration(r.IntN(360)-180) * time.Minute)
		}
	}
	switch r.IntN(4) {
	case 0:
		t = t.Add(time.Duration(r.Int64N(1_000_000)) * time.Microsecond)
	case 1, 2:
		t = t.Truncate(time.Minute)
	}
	return t.UTC()
}

// TestAgainstCroniter compares thousands of random steps with croniter under Airflow's algorithm.
func TestAgainstCroniter(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import croniter, pendulum").Run(); err != nil {
		t.Skip("python3 with croniter and pendulum is not installed (pip install croniter pendulum)")
	}
	type step struct {
		expr, zone string
		at         time.Time
	}
	r := rand.New(rand.NewPCG(1, 2))
	var steps []step
	var input bytes.Buffer
	n := 2000
	if os.Getenv("GUST_TEST_FULL") != "" {
		n = 10_000
	}
	for range n {
		zone := testZones[r.IntN(len(testZones))]
		s := step{randomExpr(r), zone, randomStart(r, zone)}
		steps = append(steps, s)
		fmt.Fprintf(&input, "%s\t%s\t%d\n", s.expr, s.zone, s.at.UnixMicro())
	}
	lines := oracle(t, &input)
	if len(lines) != len(steps) {
		t.Fatalf("the oracle answered %d of %d lines", len(lines), len(steps))
	}
	same := 0
	for i, s := range steps {
		want := lines[i]
		got := answer(t, s.expr, s.zone, s.at)
		if got == want || known(s.expr, got, want) {
			same++
			continue
		}
		t.Errorf("%q in %s at %s:\n got %s\nwant %s", s.expr, s.zone, s.at.Format(time.RFC3339Nano), human(got), human(want))
	}
	t.Logf("%d steps agree", same)
}

func oracle(t *testing.T, input *bytes.Buffer) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "testdata/oracle.py")
	cmd.Stdin = input
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oracle: %v\n%s", err, stderr.String())
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func answer(t *testing.T, expr, zone string, at time.Time) string {
	t.Helper()
	loc, err := location(zone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCron(expr, loc)
	if err != nil {
		return "error\terror"
	}
	show := func(t time.Time, ok bool) string {
		if !ok {
			return "none"
		}
		return strconv.FormatInt(t.UnixMicro(), 10)
	}
	return show(c.after(at)) + "\t" + show(c.before(at))
}

// known reports differences that are meant: an expression that never matches is an error at load time here and "no
// date" there; and where a day of month is restricted beside an n-th weekday, croniter finds no date at all if the day
// of month alone finds none.
func known(expr, got, want string) bool {
	if got == "error\terror" {
		return want == "none\tnone"
	}
	words := strings.Fields(expr)
	return strings.Contains(want, "none") && len(words) > dowField && strings.ContainsAny(words[dowField], "#L")
}

func human(answer string) string {
	var parts []string
	for a := range strings.SplitSeq(answer, "\t") {
		if n, err := strconv.ParseInt(a, 10, 64); err == nil {
			a = time.UnixMicro(n).UTC().Format(time.RFC3339Nano)
		}
		parts = append(parts, a)
	}
	return strings.Join(parts, "  ")
}
