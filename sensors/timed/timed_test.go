package timed

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/timed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func registry(t *testing.T) *operators.Registry {
	t.Helper()
	r := operators.NewRegistry()
	if err := Register(r, sensors.Defaults{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFamily(t *testing.T) {
	t.Parallel()
	operatorstest.TestFamily(t, registry(t))
}

// Each sensor ends at its moment, parked or on a worker, and not before.
func TestMoments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"DateTimeSensor", map[string]any{"target_time": "2000-01-01T02:30:00+01:00"}, "2000-01-01T01:30:00Z"},
		{"DateTimeSensor", map[string]any{"target_time": "2000-01-02 03:04:05"}, "2000-01-02T03:04:05Z"},
		{"DateTimeSensor", map[string]any{"target_time": "2000-01-02 03:04:05.5+00:00"}, "2000-01-02T03:04:05.5Z"},
		{"DateTimeSensor", map[string]any{"target_time": "2000-01-02"}, "2000-01-02T00:00:00Z"},
		{"DateTimeSensor", map[string]any{"target_time": "20000102T030405"}, "2000-01-02T03:04:05Z"},
		{"DateTimeSensorAsync", map[string]any{"target_time": "1999-01-01"}, "1999-01-01T00:00:00Z"},
		{"TimeDeltaSensor", map[string]any{"delta": 90}, "2000-01-01T00:11:30Z"},
		{"TimeSensor", map[string]any{"target_time": "06:30"}, "2000-01-01T06:30:00Z"},
		{"TimeSensor", map[string]any{"target_time": "06:30:15", "timezone": "Europe/Berlin"}, "2000-01-01T05:30:15Z"},
		{"TimeSensor", map[string]any{"target_time": "18:00", "timezone": "America/New_York"}, "1999-12-31T23:00:00Z"},
	} {
		for _, mode := range []string{"", "poke"} {
			synctest.Test(t, func(t *testing.T) { // the clock of a bubble starts at 2000-01-01T00:00:00Z
				want, err := time.Parse(time.RFC3339Nano, c.want)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				task := operatorstest.NewTask(t)
				task.RunInfo.IntervalEnd = begin.Add(10 * time.Minute)
				params := map[string]any{"mode": mode, "poke_interval": 60}
				if mode == "" {
					delete(params, "mode")
				}
				for k, v := range c.params {
					params[k] = v
				}
				op := operatorstest.Build(t, registry(t), c.name, params)
				if mode == "" {
					wait(t, op.(operators.Parker), task)
				} else if res, err := op.Execute(t.Context(), task); err != nil || res.Value != nil {
					t.Errorf("%+v, %v", res, err)
				}
				if want.Before(begin) {
					want = begin // due already
				}
				if late := time.Since(want); late < 0 || late >= time.Minute || mode == "" && late > 0 {
					t.Errorf("%s %v, mode %q: ended at %s, want %s", c.name, c.params, mode, time.Now().UTC(), want)
				}
			})
		}
	}
}

func wait(t *testing.T, op operators.Parker, task *operatorstest.Task) {
	t.Helper()
	d, err := op.Park(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	r := triggers.NewRegistry()
	if err := timed.Register(r); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	for looks := 1; ; looks++ {
		v := c.Check(t.Context(), time.Now(), []triggers.Wait{{Args: d.Trigger.Args}})[0]
		if v.Event != nil {
			if res, err := op.Finish(t.Context(), task, v.Event, nil); err != nil || res.Skipped {
				t.Errorf("%+v, %v", res, err)
			}
			return
		}
		if v.Err != nil || looks > 2 {
			t.Fatalf("look %d: %+v", looks, v)
		}
		time.Sleep(time.Until(v.Again))
	}
}

func TestTimeDeltaOfARunWithoutInterval(t *testing.T) {
	t.Parallel()
	task := operatorstest.NewTask(t)
	task.RunInfo.IntervalEnd, task.RunInfo.RunAfter = time.Time{}, time.Now().Add(-time.Minute)
	op := operatorstest.Build(t, registry(t), "TimeDeltaSensor", map[string]any{"delta": 30, "mode": "reschedule"})
	if res, err := op.Execute(t.Context(), task); err != nil || !res.RescheduleAt.IsZero() {
		t.Errorf("%+v, %v", res, err)
	}
	task.RunInfo.RunAfter = time.Time{}
	if _, err := op.Execute(t.Context(), task); err == nil {
		t.Error("a run without any date has a moment")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, c := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"DateTimeSensor", map[string]any{"target_time": "tomorrow"}, `target_time "tomorrow" is not a date and time`},
		{"TimeSensor", map[string]any{"target_time": "25:00"}, `"25:00" is not a time of the day`},
		{"TimeSensor", map[string]any{"target_time": "06:00", "timezone": "Mars/Base"}, `timezone "Mars/Base" is not known`},
		{"TimeDeltaSensor", map[string]any{}, `missing required parameter "delta"`},
		{"DateTimeSensor", map[string]any{"target_time": "2000-01-01", "poke_interval": -1}, "poke_interval"},
	} {
		if _, err := operatorstest.TryBuild(r, c.name, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.name, c.params, err, c.want)
		}
	}
	reg := triggers.NewRegistry()
	if err := timed.Register(reg); err != nil {
		t.Fatal(err)
	}
	c, err := reg.Checker(timed.Kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{`{}`, `7`, `{"moment":"soon"}`} {
		if _, err := c.Key([]byte(raw)); err == nil {
			t.Errorf("%s has a key", raw)
		}
		if v := c.Check(t.Context(), time.Now(), []triggers.Wait{{Args: []byte(raw)}})[0]; v.Err == nil {
			t.Errorf("%s was checked", raw)
		}
	}
}
