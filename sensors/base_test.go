package sensors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/sensors"
	"gust/triggers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted answers each look with the next entry, and with the last one from then on.
type scripted struct {
	sensors.Base
	script []answer
	looks  *int
	at     *[]time.Time
}

type answer struct {
	verdict sensors.Verdict
	err     error
}

func (s *scripted) Poke(_ context.Context, t operators.Task) (sensors.Verdict, error) {
	a := s.script[min(*s.looks, len(s.script)-1)]
	*s.looks++
	*s.at = append(*s.at, t.Now())
	return a.verdict, a.err
}

// parkable can be parked too.
type parkable struct{ scripted }

func (p *parkable) Trigger(_ context.Context, _ operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	return triggers.New("test", pace)
}

func (p *parkable) Fired(_ context.Context, _ operators.Task, e triggers.Event) (sensors.Verdict, error) {
	switch string(e.Payload) {
	case `"skip"`:
		return sensors.Skip("told to"), nil
	case `"wait"`:
		return sensors.Waiting(), nil
	case `"fail"`:
		return sensors.Verdict{}, errPlain
	}
	return sensors.Done(e.Payload), nil
}

type run struct {
	looks int
	at    []time.Time
	reg   *operators.Registry
	task  *operatorstest.Task
}

func setUp(t *testing.T, d sensors.Defaults, script ...answer) *run {
	t.Helper()
	r := &run{reg: operators.NewRegistry(), task: operatorstest.NewTask(t)}
	r.task.First = time.Time{}
	for name, build := range map[string]func() operators.Operator{
		"Plain": func() operators.Operator {
			return sensors.New(&scripted{script: script, looks: &r.looks, at: &r.at}, d)
		},
		"Parkable": func() operators.Operator {
			return sensors.New(&parkable{scripted{script: script, looks: &r.looks, at: &r.at}}, d)
		},
	} {
		if err := r.reg.Register(operators.Spec{Name: name, New: build, Sensor: true, Doc: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *run) execute(t *testing.T, name string, params map[string]any) (operators.Result, error) {
	t.Helper()
	if r.task.First.IsZero() {
		r.task.First = time.Now()
	}
	return operatorstest.Build(t, r.reg, name, params).Execute(t.Context(), r.task)
}

var (
	waiting  = answer{}
	done     = answer{verdict: sensors.Done("v")}
	skip     = answer{verdict: sensors.Skip("not today")}
	errPlain = errors.New("connection refused")
	plain    = answer{err: errPlain}
	final    = answer{err: operators.Failf("wrong file")}
	overtime = answer{err: &operators.SensorTimeoutError{Ran: time.Second, Timeout: time.Second}}
)

// The table of the package comment (sheet 8.3), in poke mode and as the end of a parked wait.
func TestEnds(t *testing.T) {
	t.Parallel()
	const (
		failed, retried, skipped, success, waits = "failed", "retried", "skipped", "success", "waits"
	)
	for _, c := range []struct {
		name                      string
		first                     answer
		normal, soft, silent, not string // without a flag, soft_fail, silent_fail, never_fail
	}{
		{"done", done, success, success, success, success},
		{"skip", skip, skipped, skipped, skipped, skipped},
		{"plain error", plain, retried, retried, waits, skipped},
		{"final error", final, failed, skipped, failed, skipped},
		{"its own timeout", overtime, failed, skipped, failed, skipped},
		{"timeout", waiting, failed, skipped, failed, failed},
	} {
		for flag, want := range map[string]string{"": c.normal, "soft_fail": c.soft, "silent_fail": c.silent, "never_fail": c.not} {
			t.Run(c.name+" "+flag, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					second := done
					if c.name == "timeout" {
						second = waiting
					}
					r := setUp(t, sensors.Defaults{}, c.first, second)
					params := map[string]any{"timeout": 90, "mode": "poke"}
					if flag != "" {
						params[flag] = true
					}
					res, err := r.execute(t, "Plain", params)
					got := success
					switch {
					case err != nil && operators.NoRetry(err):
						got = failed
					case err != nil:
						got = retried
					case res.Skipped:
						got = skipped
					case r.looks > 1:
						got = waits
					}
					if got != want {
						t.Errorf("%s, want %s: %+v, %v\n%s", got, want, res, err, r.task.LogText())
					}
					if got == skipped && strings.HasSuffix(flag, "_fail") && c.name != "skip" &&
						res.Reason != "Skipping due to "+flag+" is set to True." {
						t.Errorf("reason %q", res.Reason)
					}
				})
			})
		}
	}
}

func TestParkedEnds(t *testing.T) {
	t.Parallel()
	late := &operators.DeferralTimeoutError{Timeout: time.Hour}
	for _, c := range []struct {
		event   string
		failure error
		flag    string
		want    string
	}{
		{event: `{"a":1}`, want: "success"},
		{event: `"skip"`, want: "skipped"},
		{event: `"fail"`, want: "retried"},
		{event: `"wait"`, want: "retried"},
		{want: "retried"},
		{failure: errPlain, want: "retried"},
		{failure: errPlain, flag: "soft_fail", want: "retried"},
		{failure: errPlain, flag: "never_fail", want: "skipped"},
		{failure: late, want: "failed"},
		{failure: late, flag: "soft_fail", want: "skipped"},
		{failure: late, flag: "never_fail", want: "failed"},
		{failure: operators.ErrExecutionTimeout, want: "retried"},
		{failure: operators.ErrExecutionTimeout, flag: "soft_fail", want: "skipped"},
		{failure: operators.ErrExecutionTimeout, flag: "never_fail", want: "skipped"},
		{failure: operators.ErrExecutionTimeout, flag: "silent_fail", want: "retried"},
		{failure: fmt.Errorf("wrapped: %w", late), want: "failed"},
	} {
		params := map[string]any{"timeout": 60}
		if c.flag != "" {
			params[c.flag] = true
		}
		r := setUp(t, sensors.Defaults{}, waiting)
		r.task.First = time.Now().Add(-61 * time.Second)
		op := operatorstest.Build(t, r.reg, "Parkable", params).(operators.Parker)
		var event *triggers.Event
		if c.event != "" {
			event = &triggers.Event{Payload: json.RawMessage(c.event)}
		}
		res, err := op.Finish(t.Context(), r.task, event, c.failure)
		got := "success"
		switch {
		case err != nil && operators.NoRetry(err):
			got = "failed"
		case err != nil:
			got = "retried"
		case res.Skipped:
			got = "skipped"
		}
		if got != c.want {
			t.Errorf("%+v: %s: %+v, %v", c, got, res, err)
		}
		var timeout *operators.SensorTimeoutError
		if got == "failed" && !errors.As(err, &timeout) {
			t.Errorf("%v is no SensorTimeoutError", err)
		}
	}
}

func TestPokeMode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setUp(t, sensors.Defaults{}, waiting, waiting, done)
		begin := time.Now()
		res, err := r.execute(t, "Plain", map[string]any{})
		if err != nil || res.Value != "v" || r.looks != 3 || time.Since(begin) != 2*time.Minute {
			t.Errorf("%+v, %v after %d looks and %s", res, err, r.looks, time.Since(begin))
		}
		if !r.task.Logged("Success criteria met. Exiting.") {
			t.Error(r.task.LogText())
		}
	})
}

// The check is "longer than the timeout", after a look: the message tells both.
func TestTimeoutMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setUp(t, sensors.Defaults{}, waiting)
		_, err := r.execute(t, "Plain", map[string]any{"timeout": 60, "poke_interval": 45})
		want := "Sensor has timed out; run duration of 90 seconds exceeds the specified timeout of 60."
		if err == nil || err.Error() != want || r.looks != 3 {
			t.Errorf("%v after %d looks; want %s", err, r.looks, want)
		}
		r = setUp(t, sensors.Defaults{}, waiting)
		if _, err = r.execute(t, "Plain", map[string]any{"timeout": 0, "poke_interval": 0}); err == nil || r.looks > 2 {
			t.Errorf("%v after %d looks", err, r.looks)
		}
	})
}

// One meaning of the timeout: whatever the mode, the same moment ends the sensor, across retries and reschedules.
func TestTimeoutHasOneMeaning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []string{"poke", "reschedule", ""} {
			r := setUp(t, sensors.Defaults{}, waiting)
			begin := time.Now()
			r.task.First = begin
			params := map[string]any{"timeout": 600, "poke_interval": 60}
			if mode != "" {
				params["mode"] = mode
			}
			time.Sleep(300 * time.Second) // the first try failed after five minutes
			for tries := 0; ; tries++ {
				res, err := r.execute(t, "Parkable", params)
				if res.Deferral != nil {
					time.Sleep(res.Deferral.Timeout)
					op := operatorstest.Build(t, r.reg, "Parkable", params).(operators.Parker)
					_, err = op.Finish(t.Context(), r.task, nil, &operators.DeferralTimeoutError{Timeout: res.Deferral.Timeout})
				}
				var timeout *operators.SensorTimeoutError
				if errors.As(err, &timeout) {
					break
				}
				if err != nil || res.RescheduleAt.IsZero() || tries > 20 {
					t.Fatalf("%s: %+v, %v", mode, res, err)
				}
				time.Sleep(time.Until(res.RescheduleAt))
			}
			if took := time.Since(begin); took < 600*time.Second || took > 660*time.Second {
				t.Errorf("mode %q: timed out after %s", mode, took)
			}
		}
	})
}

func TestReschedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setUp(t, sensors.Defaults{}, waiting, done)
		res, err := r.execute(t, "Plain", map[string]any{"mode": "reschedule", "poke_interval": 30})
		if err != nil || !res.RescheduleAt.Equal(time.Now().Add(30*time.Second)) || r.looks != 1 {
			t.Errorf("%+v, %v", res, err)
		}
		if res, err = r.execute(t, "Plain", map[string]any{"mode": "reschedule"}); err != nil || res.Value != "v" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// Which sensor is parked, and what the others do.
func TestModes(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		name     string
		params   map[string]any
		defaults *bool
		parks    bool
		mode     string // of one that is not parked
	}{
		{"Parkable", map[string]any{}, nil, true, ""},
		{"Parkable", map[string]any{"deferrable": true, "mode": "poke"}, nil, true, ""},
		{"Parkable", map[string]any{"deferrable": false}, nil, false, "poke"},
		{"Parkable", map[string]any{"mode": "poke"}, nil, false, "poke"},
		{"Parkable", map[string]any{"mode": "reschedule"}, &yes, false, "reschedule"},
		{"Parkable", map[string]any{}, &no, false, "poke"},
		{"Parkable", map[string]any{"deferrable": true}, &no, true, ""},
		{"Parkable", map[string]any{"silent_fail": true}, nil, false, "reschedule"},
		{"Parkable", map[string]any{"silent_fail": true, "mode": "poke"}, nil, false, "poke"},
		{"Plain", map[string]any{}, &yes, false, "poke"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := setUp(t, sensors.Defaults{Deferrable: c.defaults}, waiting, done)
			op := operatorstest.Build(t, r.reg, c.name, c.params).(operators.Parker)
			res, err := r.execute(t, c.name, c.params)
			switch {
			case err != nil:
				t.Fatal(err)
			case op.Parks() != c.parks, (res.Deferral != nil) != c.parks:
				t.Errorf("%+v: parks %v, %+v", c, op.Parks(), res)
			case !c.parks && (c.mode == "reschedule") != !res.RescheduleAt.IsZero():
				t.Errorf("%+v: %+v", c, res)
			}
		})
	}
}

func TestPark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setUp(t, sensors.Defaults{Timeout: time.Hour}, waiting)
		r.task.First = time.Now().Add(-20 * time.Minute)
		op := operatorstest.Build(t, r.reg, "Parkable", map[string]any{"poke_interval": 5}).(operators.Parker)
		d, err := op.Park(t.Context(), r.task)
		if err != nil || d.Timeout != 40*time.Minute || string(d.Trigger.Args) != `{"interval":5000000000}` {
			t.Errorf("%+v %s, %v", d, d.Trigger.Args, err)
		}
		r.task.First = time.Now().Add(-2 * time.Hour)
		if d, err = op.Park(t.Context(), r.task); err != nil || d.Timeout != time.Second {
			t.Errorf("%+v, %v; at least one look is granted", d, err)
		}
		r.task.First = time.Time{}
		if d, err = op.Park(t.Context(), r.task); err != nil || d.Timeout != time.Hour {
			t.Errorf("%+v, %v; a task without a start begins now", d, err)
		}
	})
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cause error
		flag  string
		skip  bool
	}{
		{operators.ErrStopping, "", false}, {operators.ErrStopping, "soft_fail", false}, {operators.ErrKilled, "never_fail", false},
		{operators.ErrExecutionTimeout, "", false}, {operators.ErrExecutionTimeout, "soft_fail", true},
		{operators.ErrExecutionTimeout, "never_fail", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := setUp(t, sensors.Defaults{}, waiting)
			params := map[string]any{"mode": "poke"}
			if c.flag != "" {
				params[c.flag] = true
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Second, func() { cancel(c.cause) })
			begin := time.Now()
			r.task.First = begin
			res, err := operatorstest.Build(t, r.reg, "Plain", params).Execute(ctx, r.task)
			if res.Skipped != c.skip || !c.skip && !errors.Is(err, c.cause) || time.Since(begin) != 10*time.Second {
				t.Errorf("%+v: %+v, %v", c, res, err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	r := setUp(t, sensors.Defaults{}, done)
	for text, params := range map[string]map[string]any{
		"Operator arg `poke_interval` must be timedelta object or a non-negative number": {"poke_interval": -1},
		"Operator arg `timeout` must be timedelta object or a non-negative number":       {"timeout": -1},
		"Operator arg `max_wait` must be timedelta object or a non-negative number":      {"max_wait": -1},
		"soft_fail and never_fail exclude each other":                                    {"soft_fail": true, "never_fail": true},
		`"pok" is not a legal value; expected one of poke, reschedule`:                   {"mode": "pok"},
		"cannot be parked; use mode: reschedule":                                         {"deferrable": true},
		"expected bool":                                                                  {"soft_fail": "yes"},
	} {
		if _, err := operatorstest.TryBuild(r.reg, "Plain", params); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v, want %q", params, err, text)
		}
	}
}

// Sheet 8.4: the steps that Airflow computes.
func TestBackoffSteps(t *testing.T) {
	t.Parallel()
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	p := triggers.Pace{Interval: time.Minute, Exponential: true, Seed: "d#t#" + triggers.Stamp(begin), Start: begin, Timeout: sensors.DefaultTimeout}
	at := begin
	for i, want := range []int{41, 97, 198, 261, 957, 985, 2220, 5361} {
		if got := p.Step(i + 1); got != time.Duration(want)*time.Second {
			t.Errorf("step %d is %s, want %d s", i+1, got, want)
		}
		next := p.Next(at)
		if next != time.Duration(want)*time.Second {
			t.Errorf("after %s: %s, want %d s", at.Sub(begin), next, want)
		}
		at = at.Add(next)
	}
	if got := triggers.Stamp(begin.Add(1500 * time.Microsecond)); got != "2024-01-01 00:00:00.001500+00:00" {
		t.Error(got)
	}
}

func TestBackoffCaps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		p := triggers.Pace{
			Interval:    time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(rt, "interval")),
			Exponential: true, Start: begin, Seed: rapid.String().Draw(rt, "seed"),
			Timeout: time.Duration(rapid.Int64Range(int64(time.Second), int64(1000*time.Hour)).Draw(rt, "timeout")),
			MaxWait: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "max")),
		}
		elapsed := time.Duration(rapid.Int64Range(0, int64(p.Timeout)).Draw(rt, "elapsed"))
		next := p.Next(begin.Add(elapsed))
		if next < 0 || next > p.Timeout-elapsed.Truncate(time.Second)+time.Second || p.MaxWait > 0 && next > p.MaxWait {
			rt.Fatalf("%+v after %s: %s", p, elapsed, next)
		}
	})
}

func TestBackoffInPokeMode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setUp(t, sensors.Defaults{}, waiting, waiting, waiting, done)
		if _, err := r.execute(t, "Plain", map[string]any{"exponential_backoff": true, "max_wait": 100}); err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(r.at); i++ {
			if gap := r.at[i].Sub(r.at[i-1]); gap < 30*time.Second || gap > 100*time.Second {
				t.Errorf("gap %d is %s", i, gap)
			}
		}
		if first := r.at[1].Sub(r.at[0]); first >= time.Minute {
			t.Errorf("the first gap is %s, want about half of the interval", first)
		}
	})
}
