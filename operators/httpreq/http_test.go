package httpreq

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers/httpreq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setUp(t *testing.T) (*operators.Registry, *httptest.Server) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusBadGateway)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(`{"z":1.0,"method":"` + r.Method + `","sent":` + string(body) + `}`))
	}))
	client := httpreq.NewClient()
	t.Cleanup(func() { client.Close(); srv.Close() })
	r := operators.NewRegistry()
	if err := Register(r, client); err != nil {
		t.Fatal(err)
	}
	return r, srv
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	r, srv := setUp(t)
	operatorstest.TestFamily(t, r)
	if Register(operators.NewRegistry(), nil) == nil {
		t.Error("Register without a Client was accepted")
	}
	base := map[string]any{"endpoint": srv.URL, "data": "[1]"}
	for name, c := range map[string]struct {
		params map[string]any
		want   string
		err    string
	}{
		"text":              {nil, `"{\"z\":1.0,\"method\":\"POST\",\"sent\":[1]}"`, ""},
		"part":              {map[string]any{"response_path": "sent.0"}, `1`, ""},
		"whole":             {map[string]any{"response_path": "."}, `{"z":1.0,"method":"POST","sent":[1]}`, ""},
		"no such part":      {map[string]any{"response_path": "send"}, "", `response_path "send": the response has no "send"; did you mean "sent"?`},
		"check":             {map[string]any{"response_contains": "POST", "response_path": "method"}, `"POST"`, ""},
		"check that fails":  {map[string]any{"response_contains": "GET"}, "", `response check: the response does not hold "GET"`},
		"status":            {map[string]any{"endpoint": srv.URL + "/fail"}, "", "502:Bad Gateway"},
		"connection needed": {map[string]any{"endpoint": "x"}, "", "http_default"},
	} {
		params := map[string]any{"log_response": true}
		for _, m := range []map[string]any{base, c.params} {
			for k, v := range m {
				params[k] = v
			}
		}
		task := operatorstest.NewTask(t)
		res, err := operatorstest.Build(t, r, "airflow.providers.http.operators.http.HttpOperator", params).Execute(t.Context(), task)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := json.Marshal(res.Value)
		if raw, ok := res.Value.(json.RawMessage); ok {
			got = raw
		}
		if err != nil || string(got) != c.want || !task.Logged("method") {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	r, _ := setUp(t)
	for want, params := range map[string]map[string]any{
		"use response_path":       {"response_filter": "lambda r: r.json()"},
		"pagination_function is":  {"pagination_function": "m.f"},
		"auth_type is a Python":   {"auth_type": "m.C"},
		"is not an HTTP method":   {"method": "FETCH"},
		"unknown option":          {"extra_options": map[string]any{"tmeout": 1}},
		"response_check is Pyth":  {"response_check": "m.f"},
		"response_matches: error": {"response_matches": "("},
	} {
		if _, err := operatorstest.TryBuild(r, "HttpOperator", params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
}
