package yeartest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"gust/dag"
	"gust/dag/timetable"
)

// seed is the seed of a test: GUST_TEST_SEED, or always the same.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(1)
	if text := os.Getenv("GUST_TEST_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("GUST_TEST_SEED: %v", err)
		}
	}
	t.Logf("GUST_TEST_SEED=%d replays this", n)
	return n
}

func full() bool { return os.Getenv("GUST_TEST_FULL") != "" }

var newYear = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// moment draws an instant of the year, often one close to a change of the zone's clock.
func moment(r *rand.Rand, z *zone) time.Time {
	t := newYear.Add(time.Duration(r.Int64N(365*24*3600)) * time.Second)
	if r.IntN(2) == 0 {
		if _, end := t.In(z.loc).ZoneBounds(); !end.IsZero() && end.Year() < 2027 {
			t = end.UTC().Add(time.Duration(r.IntN(600)-300) * time.Minute)
		}
	}
	switch r.IntN(4) {
	case 0:
		return t.Add(time.Duration(r.IntN(1_000_000)) * time.Microsecond)
	case 1:
		return t
	}
	return t.Truncate(15 * time.Minute)
}

// TestNextAgainstOracle asks timetables and the oracle for one run after the other.
func TestNextAgainstOracle(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(seed(t), 1))
	var zones []*zone
	for _, name := range zoneNames {
		zones = append(zones, newZone(name))
	}
	n := 2000
	if full() {
		n = 5000
	}
	for range n {
		z := zones[r.IntN(len(zones))]
		s, rule := drawSchedule(r, z, newYear)
		if rule.kind == dag.ScheduleContinuous {
			continue
		}
		rule.catchup = r.IntN(2) == 0
		restriction := timetable.Restriction{Catchup: rule.catchup}
		if rule.catchup || r.IntN(3) > 0 {
			rule.start = moment(r, z)
			restriction.Earliest = rule.start
		}
		if r.IntN(3) == 0 {
			rule.end = moment(r, z)
			restriction.Latest = rule.end
		}
		table, err := timetable.New(s, z.name)
		if err != nil {
			t.Fatalf("%s in %s: %v", s.Text, z.name, err)
		}
		compare(t, r, z, table, rule, restriction, s.Text)
	}
}

func compare(t *testing.T, r *rand.Rand, z *zone, table timetable.Timetable, rule *rules, restriction timetable.Restriction, text string) {
	t.Helper()
	now := moment(r, z)
	var last *timetable.Slot
	var before *slot
	for range 12 {
		got, ok := table.Next(last, restriction, now)
		want, wanted := rule.next(before, now)
		have := slot{got.RunAfter, got.LogicalDate, got.IntervalStart, got.IntervalEnd}
		if ok != wanted || ok && have != want {
			t.Fatalf("%s in %s, start %s end %s catchup %v, after %v, now %s:\n got %v %v\nwant %v %v", text, z.name, restriction.Earliest,
				restriction.Latest, rule.catchup, before, now.Format(time.RFC3339Nano), ok, have, wanted, want)
		}
		if !ok {
			return
		}
		last, before = &got, &want
		if r.IntN(3) == 0 {
			now = now.Add(time.Duration(r.IntN(48*3600)) * time.Second)
		} else if got.RunAfter.After(now) {
			now = got.RunAfter
		}
	}
}
