package attempt_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/connections"
	"gust/dag"
	"gust/internal/param"
	"gust/operators"
	"gust/runner/attempt"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
	"gust/store"
	"gust/triggers"
)

type bench struct {
	*attempt.Handle
	env   *attempt.Env
	rec   *attempttest.Recorder
	xcoms *attempttest.XComs
}

func open(t *testing.T, w executor.Work, change ...func(*attempt.Env)) *bench {
	t.Helper()
	xcoms := &attempttest.XComs{}
	b := &bench{
		env: &attempt.Env{Operators: attempttest.Registry(t, &attempttest.Op{}), XComs: xcoms},
		rec: &attempttest.Recorder{XComs: xcoms}, xcoms: xcoms,
	}
	for _, c := range change {
		c(b.env)
	}
	b.Handle = b.env.Open(&w, b.rec)
	t.Cleanup(b.Close)
	return b
}

func TestHandleDescribesTheAttempt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("x", 3600))
	w := attempttest.Work("t", "plain", nil)
	w.NextAfter = now
	w.Run.Conf = json.RawMessage(`{"a":1}`)
	b := open(t, w, func(e *attempt.Env) { e.Now = func() time.Time { return now } })
	if b.Attempt() != w.Attempt() || b.Spec() != w.Task || b.Run().NextAfter != now ||
		string(b.Run().Conf) != `{"a":1}` ||
		b.Run().RunKey != w.Run.RunKey {
		t.Errorf("got %v %v %+v", b.Attempt(), b.Spec(), b.Run())
	}
	if !b.FirstStart().Equal(now) || b.Now().Location() != time.UTC {
		t.Errorf("first start %v, now %v", b.FirstStart(), b.Now())
	}
	w.Instance.FirstStart = now.Add(-time.Hour)
	if b := open(t, w); !b.FirstStart().Equal(now.Add(-time.Hour)) {
		t.Errorf("first start %v", b.FirstStart())
	}
	var notFound *connections.NotFoundError
	if _, err := b.Connection(t.Context(), "aws"); !errors.As(err, &notFound) {
		t.Errorf("got %v", err)
	}
}

func TestXComPushIsDurable(t *testing.T) {
	t.Parallel()
	b := open(t, attempttest.Work("t", "plain", nil))
	if err := b.XComPush(t.Context(), "arn", json.RawMessage(`{"z": 1, "a": "<&>"}`)); err != nil {
		t.Fatal(err)
	}
	rep := b.rec.All()[0]
	if rep.Kind != executor.Pushed || len(rep.XComs) != 1 {
		t.Fatalf("got %+v", rep)
	}
	x := rep.XComs[0]
	if x.Name != "arn" || x.Try != 1 || string(x.Value) != `{"z":1,"a":"<&>"}` || x.At.IsZero() || x.Key.TaskID != "t" {
		t.Errorf("got %+v", x)
	}
	if raw, ok, err := b.XComPull(t.Context(), "", "arn"); !ok || err != nil || string(raw) != string(x.Value) {
		t.Errorf("pulled %s %v %v", raw, ok, err)
	}
	if err := b.XComPush(t.Context(), "none", nil); err != nil {
		t.Fatal(err)
	}
	if raw, ok, err := b.XComPull(t.Context(), "t", "none"); !ok || err != nil || string(raw) != "null" {
		t.Errorf("pulled %s %v %v", raw, ok, err)
	}
}

func TestXComPushFails(t *testing.T) {
	t.Parallel()
	b := open(t, attempttest.Work("t", "plain", nil), func(e *attempt.Env) { e.XComMaxBytes = 10 })
	if err := b.XComPush(t.Context(), "nan", math.NaN()); err == nil ||
		!strings.Contains(err.Error(), `XCom "nan": a value of type float64 cannot be stored as JSON`) {
		t.Errorf("got %v", err)
	}
	var size *attempt.XComSizeError
	err := b.XComPush(t.Context(), "big", "123456789")
	if !errors.As(err, &size) || size.Size != 11 || size.Limit != 10 || size.Key != "big" {
		t.Errorf("got %v", err)
	}
	for _, word := range []string{"big", "11", "10", "xcom_max_bytes"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("no %q in %q", word, err)
		}
	}
	lost := errors.New("disk is full")
	b.rec.OnReport = func(executor.Report) error { return lost }
	if err := b.XComPush(t.Context(), "a", 1); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	if _, ok, _ := b.XComPull(t.Context(), "", "a"); ok {
		t.Error("a lost value can be pulled")
	}
}

type deaf struct{}

func (deaf) Report(executor.Report) {}

func TestXComPushEndsWithContext(t *testing.T) {
	t.Parallel()
	w := attempttest.Work("t", "plain", nil)
	h := (&attempt.Env{}).Open(&w, deaf{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(operators.ErrStopping)
	if err := h.XComPush(ctx, "a", 1); !errors.Is(err, operators.ErrStopping) {
		t.Errorf("got %v", err)
	}
}

func TestXComPull(t *testing.T) {
	t.Parallel()
	w := attempttest.Work("t", "plain", nil)
	w.Instance.TryNumber, w.Instance.MapIndex = 2, 4
	w.DAG.Tasks = append(w.DAG.Tasks, &dag.Task{ID: "mapped", Mapped: &dag.Mapping{}})
	b := open(t, w)
	key := func(task string, index int) dag.Key {
		return dag.Key{DagID: "d", RunID: "r", TaskID: task, MapIndex: index}
	}
	b.xcoms.Put(
		store.XCom{Key: key("up", -1), Name: "x", Try: 1, Value: json.RawMessage(`1`)},
		store.XCom{Key: key("mapped", 0), Name: "x", Try: 1, Value: json.RawMessage(`4`)},
		store.XCom{Key: key("mapped", 1), Name: "x", Try: 1, Value: json.RawMessage(`3`)},
		store.XCom{Key: key("t", 4), Name: "old", Try: 1, Value: json.RawMessage(`"old"`)},
		store.XCom{Key: key("t", 4), Name: "own", Try: 2, Value: json.RawMessage(`"own"`)},
	)
	b.xcoms.PutPrevious(store.XCom{Key: key("t", 4), Name: "old", Try: 1, Value: json.RawMessage(`"old"`)})
	for _, c := range []struct{ task, name, want string }{
		{"up", "x", "1"}, {"mapped", "x", "[4,3]"}, {"mapped", "y", ""}, {"up", "y", ""}, {"", "own", `"own"`}, {"t", "own", `"own"`}, {"",
			"old", ""},
	} {
		raw, ok, err := b.XComPull(t.Context(), c.task, c.name)
		if string(raw) != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("%s %s: got %s %v %v", c.task, c.name, raw, ok, err)
		}
	}
	if raw, ok, err := b.PreviousXCom(t.Context(), "old"); !ok || err != nil || string(raw) != `"old"` {
		t.Errorf("got %s %v %v", raw, ok, err)
	}
	if _, ok, err := b.PreviousXCom(t.Context(), "own"); ok || err != nil {
		t.Errorf("got %v %v", ok, err)
	}
	b.xcoms.Err = store.ErrBusy
	if _, _, err := b.XComPull(t.Context(), "up", "x"); !errors.Is(err, store.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if _, _, err := b.PreviousXCom(t.Context(), "x"); !errors.Is(err, store.ErrBusy) {
		t.Errorf("got %v", err)
	}
}

func TestReturnValues(t *testing.T) {
	t.Parallel()
	var typedNil *int
	for name, c := range map[string]struct {
		value    any
		quiet    bool
		multiple bool
		want     map[string]string
		err      string
	}{
		"value":        {value: []int{1}, want: map[string]string{"return_value": "[1]"}},
		"nil":          {},
		"typed nil":    {value: typedNil},
		"JSON null":    {value: json.RawMessage("null")},
		"false":        {value: false, want: map[string]string{"return_value": "false"}},
		"do_xcom_push": {value: 1, quiet: true},
		"multiple": {
			value: map[string]any{"a": 1, "b": map[string]any{"c": nil}}, multiple: true,
			want: map[string]string{"a": "1", "b": `{"c":null}`, "return_value": `{"a":1,"b":{"c":null}}`},
		},
		"multiple of a list": {value: []int{1}, multiple: true,
			err: "multiple_outputs: the task returned a list; expected an object (dict)"},
		"multiple of a string": {value: "x", multiple: true, err: "multiple_outputs: the task returned a string"},
		"multiple of a bool":   {value: true, multiple: true, err: "multiple_outputs: the task returned a bool"},
		"multiple of a number": {value: 3, multiple: true, err: "multiple_outputs: the task returned a number"},
		"not JSON": {value: func() {},
			err: `XCom "return_value": a value of type func() cannot be stored as JSON`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := attempttest.Work("t", "plain", nil)
			w.Task.DoXComPush, w.Task.MultipleOutputs = !c.quiet, c.multiple
			rep := open(t, w).Outcome(operators.Done(c.value), nil, false)
			if !strings.HasPrefix(rep.Error, c.err) || (rep.Kind == executor.Failed) != (c.err != "") {
				t.Fatalf("got %+v", rep)
			}
			got := map[string]string{}
			for _, x := range rep.XComs {
				got[x.Name] = string(x.Value)
			}
			if len(got) == 0 {
				got = nil
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestErrorsAreMaskedAndCut(t *testing.T) {
	t.Parallel()
	b := open(t, attempttest.Work("t", "plain", nil), func(e *attempt.Env) {
		e.Mask = func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
	})
	if rep := b.Failure(errors.New("login hunter2 refused")); rep.Error != "login *** refused" {
		t.Errorf("got %q", rep.Error)
	}
	if rep := b.Outcome(operators.Skip("hunter2"), nil, false); rep.Error != "***" {
		t.Errorf("got %q", rep.Error)
	}
	long := b.Failure(errors.New(strings.Repeat("ü", 100_000))).Error
	if len(long) > 33<<10 || !strings.HasSuffix(long, "ü ... (cut; the task's log has the whole)") {
		t.Errorf("%d bytes, ends %q", len(long), long[len(long)-50:])
	}
}

// typed is an operator with parameters.
type typed struct {
	attempttest.Plain
	Cmd   string         `param:"cmd" template:"true" required:"true"`
	Count int            `param:"count" default:"3"`
	Wait  param.Duration `param:"wait"`
}

func (o *typed) Validate() error {
	if o.Count < 0 {
		return errors.New("count: must not be negative")
	}
	return nil
}

// withTyped registers typed and sets the renderer.
func withTyped(t *testing.T, r attempt.Renderer) func(*attempt.Env) {
	return func(e *attempt.Env) {
		e.Renderer = r
		spec := operators.Spec{Name: "typed", New: func() operators.Operator { return &typed{} }}
		if err := e.Operators.Register(spec); err != nil {
			t.Fatal(err)
		}
	}
}

// upper renders by writing the templated parameters in capitals.
type upper struct{ err error }

func (u upper) RenderParams(_ context.Context, _ *attempt.Handle, s *param.Schema,
	params map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for name, v := range params {
		if f, ok := s.Field(name); ok && f.Template {
			v = strings.ToUpper(v.(string))
		}
		out[name] = v
	}
	return out, u.err
}

func TestOperatorIsRenderedDecodedAndChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		params map[string]any
		fail   error
		want   typed
		err    string
	}{
		"fine": {params: map[string]any{"cmd": "ls", "wait": "90s"}, want: typed{Cmd: "LS", Count: 3,
			Wait: param.Duration(90 * time.Second)}},
		"template": {params: map[string]any{"cmd": "x"}, fail: errors.New("cmd:1:4: no x"),
			err: `task "t": cmd:1:4: no x`},
		"types": {
			params: map[string]any{"count": "x", "cnt": 1},
			err: `task "t": parameter cnt: unknown parameter; parameter count: wrong type: string "x"; ` +
				`expected int; missing required parameter "cmd"; expected string`,
		},
		"checked": {params: map[string]any{"cmd": "ls", "count": -1}, err: `task "t": count: must not be negative`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, attempttest.Work("t", "typed", c.params), withTyped(t, upper{c.fail}))
			op, spec, err := b.Operator(t.Context())
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || spec.Name != "typed" {
				t.Fatal(err)
			}
			if d := cmp.Diff(&c.want, op.(*typed)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWaitEnd(t *testing.T) {
	t.Parallel()
	if event, err := attempt.WaitEnd(nil); event != nil || err != nil {
		t.Error(event, err)
	}
	d := &dag.Deferral{Kind: "k"}
	if event, err := attempt.WaitEnd(d); event != nil || err != nil {
		t.Error(event, err)
	}
	if event, _ := attempt.WaitEnd(attempt.Fired(d, &triggers.Event{})); event == nil ||
		string(event.Payload) != "null" || d.Event != nil {
		t.Errorf("got %+v", event)
	}
	var late *operators.DeferralTimeoutError
	if _, err := attempt.WaitEnd(&dag.Deferral{TimedOut: true, Failed: "x", Timeout: time.Minute}); !errors.As(err,
		&late) || late.Timeout != time.Minute {
		t.Errorf("got %v", err)
	}
	if _, err := attempt.WaitEnd(&dag.Deferral{TimedOut: true, ByExecutionTimeout: true}); !errors.Is(err,
		operators.ErrExecutionTimeout) {
		t.Errorf("got %v", err)
	}
}

func TestDeadlineCountsFromTheDeferral(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, attempttest.Work("t", "plain", nil))
		time.Sleep(time.Second + time.Nanosecond)
		rep := b.Outcome(operators.Defer(triggers.Trigger{Kind: "k"}, time.Minute), nil, true)
		d := rep.Deferral
		if rep.Kind != executor.Parked || d.Since.Nanosecond()%1000 != 0 || d.Deadline.Sub(d.Since) != time.Minute {
			t.Errorf("got %+v", d)
		}
	})
}
