package httpreq

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers"
	"gust/triggers/httpreq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bench struct {
	reg    *operators.Registry
	srv    *httptest.Server
	client *httpreq.Client
}

func setUp(t *testing.T) *bench {
	t.Helper()
	b := &bench{reg: operators.NewRegistry(), client: httpreq.NewClient()}
	b.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(`{"state":"` + r.URL.Query().Get("state") + `"}`))
	}))
	t.Cleanup(func() { b.client.Close(); b.srv.Close() })
	if err := Register(b.reg, Deps{Client: b.client}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) look(t *testing.T, mode string, params map[string]any) string {
	t.Helper()
	all := map[string]any{}
	for k, v := range params {
		all[k] = v
	}
	all["endpoint"] = b.srv.URL + params["endpoint"].(string)
	task := operatorstest.NewTask(t)
	if mode != "" {
		all["mode"] = mode
		res, err := operatorstest.Build(t, b.reg, "HttpSensor", all).Execute(t.Context(), task)
		return told(res, err)
	}
	op := operatorstest.Build(t, b.reg, "HttpSensor", all).(operators.Parker)
	d, err := op.Park(t.Context(), task)
	if err != nil {
		return told(operators.Result{}, err)
	}
	r := triggers.NewRegistry()
	if err := httpreq.Register(r, httpreq.Deps{Client: b.client, Connections: task}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(d.Trigger.Kind)
	if err != nil {
		t.Fatal(err)
	}
	v := c.Check(t.Context(), time.Now(), []triggers.Wait{{Args: d.Trigger.Args}})[0]
	if v.Event == nil && v.Err == nil {
		return "waits"
	}
	return told(op.Finish(t.Context(), task, v.Event, v.Err))
}

func told(res operators.Result, err error) string {
	switch {
	case err != nil:
		return "failed"
	case res.Skipped:
		return "skipped"
	case !res.RescheduleAt.IsZero():
		return "waits"
	}
	return "success"
}

func TestLooks(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	operatorstest.TestFamily(t, b.reg)
	if Register(operators.NewRegistry(), Deps{}) == nil {
		t.Error("Register without a Client was accepted")
	}
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"endpoint": "/"}, "success"},
		{map[string]any{"endpoint": "/missing"}, "waits"},
		{map[string]any{"endpoint": "/missing", "response_error_codes_allowlist": []any{}}, "failed"},
		{map[string]any{"endpoint": "/busy"}, "failed"},
		{map[string]any{"endpoint": "/busy", "never_fail": true}, "skipped"},
		{map[string]any{"endpoint": "/busy", "response_error_codes_allowlist": []any{"5", 404}}, "waits"},
		{map[string]any{"endpoint": "/", "request_params": map[string]any{"state": "done"}, "response_json": map[string]any{"state": "done"}}, "success"},
		{map[string]any{"endpoint": "/", "request_params": map[string]any{"state": "new"}, "response_json": map[string]any{"state": "done"}}, "waits"},
		{map[string]any{"endpoint": "/", "request_params": map[string]any{"state": "ok"}, "response_check_lambda": `lambda response: "ok" in response.text`}, "success"},
		{map[string]any{"endpoint": "/", "response_check_lambda": `lambda response: "ok" in response.text`}, "waits"},
	} {
		for _, mode := range []string{"", "reschedule"} {
			if got := b.look(t, mode, c.params); got != c.want {
				t.Errorf("%v, mode %q: %s, want %s", c.params, mode, got, c.want)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	for want, params := range map[string]map[string]any{
		"is not an HTTP method":       {"method": "FETCH"},
		"response_check_file belong":  {"response_check_name": "f"},
		"give response_check, or":     {"response_check": "m.f", "response_check_name": "f", "response_check_file": "m.py"},
		"7.5 is not an HTTP status":   {"response_error_codes_allowlist": []any{7.5}},
		"expected a list of HTTP":     {"response_error_codes_allowlist": "404"},
		"soft_fail and never_fail ex": {"soft_fail": true, "never_fail": true},
	} {
		params["endpoint"] = "/"
		if _, err := operatorstest.TryBuild(b.reg, "HttpSensor", params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
}

// TestFunction: a Python function has the last word, on a worker, in reschedule mode.
func TestFunction(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	var asked []httpreq.Function
	reg := operators.NewRegistry()
	err := Register(reg, Deps{Client: b.client, Holds: func(_ context.Context, _ operators.Task, f httpreq.Function, r *httpreq.Response) (bool, error) {
		asked = append(asked, f)
		if f.Name == "fails" {
			return false, operators.Failf("no")
		}
		return strings.Contains(r.Text(), "done"), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	look := func(reg *operators.Registry, params map[string]any) string {
		params["endpoint"] = b.srv.URL
		op := operatorstest.Build(t, reg, "HttpSensor", params)
		if op.(operators.Parker).Parks() {
			t.Errorf("%v is parked", params)
		}
		return told(op.Execute(t.Context(), operatorstest.NewTask(t)))
	}
	state := func(s string) map[string]any { return map[string]any{"state": s} }
	for _, c := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"response_check": "m.f", "request_params": state("done")}, "success"},
		{map[string]any{"response_check": "m.f", "request_params": state("new")}, "waits"},
		{map[string]any{"response_check": "m.f", "response_contains": "gone", "request_params": state("done")}, "waits"},
		{map[string]any{"response_check_name": "fails", "response_check_file": "m.py"}, "failed"},
		{map[string]any{"response_check_lambda": "lambda r: r.json()['state'] == 'done'", "request_params": state("done")}, "success"},
	} {
		if got := look(reg, c.params); got != c.want {
			t.Errorf("%v: %s, want %s", c.params, got, c.want)
		}
	}
	want := []httpreq.Function{{Path: "m.f"}, {Path: "m.f"}, {Name: "fails", File: "m.py"}, {Lambda: "lambda r: r.json()['state'] == 'done'"}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("functions asked (-want +got):\n%s", diff)
	}
	if got := look(b.reg, map[string]any{"response_check": "m.f"}); got != "failed" {
		t.Errorf("without Python: %s", got)
	}
}
