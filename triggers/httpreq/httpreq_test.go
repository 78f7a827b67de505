package httpreq

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gust/connections"
	"gust/operators/operatorstest"
	"gust/triggers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T) *Client {
	t.Helper()
	c := NewClient()
	t.Cleanup(c.Close)
	return c
}

// echo answers with what it was asked, and with the status in the query's "status".
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if status, err := strconv.Atoi(r.URL.Query().Get("status")); err == nil {
			w.WriteHeader(status)
		}
		user, password, _ := r.BasicAuth()
		_ = json.NewEncoder(w).Encode(map[string]string{
			"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "body": string(body), "user": user,
			"password": password, "type": r.Header.Get("Content-Type"), "x": r.Header.Get("X-Test"), "host": r.Host,
		})
	}))
	t.Cleanup(srv.Close)
	return srv
}

func conn(t *testing.T, srv *httptest.Server) *connections.Connection {
	t.Helper()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	host, login, password := u.Hostname(), "me", "secret"
	return &connections.Connection{ID: "http_default", Type: "http", Host: &host, Port: port, Login: &login, Password: &password,
		Extra: []byte(`{"X-Test":"from the connection","timeout":5}`)}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	srv := echo(t)
	task := operatorstest.NewTask(t)
	task.Connections["http_default"] = conn(t, srv)
	c := client(t)
	for name, tc := range map[string]struct {
		req  Request
		want map[string]string
	}{
		"get with params": {Request{Method: "get", Endpoint: "api/v1", Data: map[string]any{"b": 2, "a": []any{"x", "y"}, "n": nil}},
			map[string]string{"method": "GET", "path": "/api/v1", "query": "a=x&a=y&b=2", "user": "me", "password": "secret", "x": "from the connection"}},
		"get with text":    {Request{Method: "GET", Endpoint: "/a?x=1", Data: "y=2"}, map[string]string{"path": "/a", "query": "x=1&y=2"}},
		"no endpoint":      {Request{Method: "GET"}, map[string]string{"path": "/"}},
		"post form":        {Request{Method: "POST", Data: map[string]any{"a": 1, "f": true}}, map[string]string{"body": "a=1&f=True", "type": "application/x-www-form-urlencoded"}},
		"post text":        {Request{Method: "POST", Data: "raw"}, map[string]string{"body": "raw", "type": ""}},
		"post JSON":        {Request{Method: "POST", Data: map[string]any{"a": "<1>"}, Headers: map[string]string{"content-type": "application/json; charset=utf-8"}}, map[string]string{"body": `{"a":"<1>"}`, "type": "application/json; charset=utf-8"}},
		"post JSON text":   {Request{Method: "PUT", Data: `{"z":1, "a":2}`, Headers: map[string]string{"Content-Type": "application/json"}}, map[string]string{"method": "PUT", "body": `{"z":1, "a":2}`}},
		"post JSON list":   {Request{Method: "POST", Data: []any{1}, Headers: map[string]string{"Content-Type": "application/json"}}, map[string]string{"body": `[1]`}},
		"headers win":      {Request{Method: "GET", Headers: map[string]string{"X-Test": "mine", "Host": "h.example"}}, map[string]string{"x": "mine", "host": "h.example"}},
		"complete URL":     {Request{Method: "GET", Endpoint: srv.URL + "/full"}, map[string]string{"path": "/full"}},
		"redirect":         {Request{Method: "GET", Endpoint: "r?to=/there"}, map[string]string{"path": "/there"}},
		"any status is ok": {Request{Method: "GET", Endpoint: "?status=500", Options: map[string]any{"check_response": false}}, map[string]string{"path": "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.req.ConnID = "http_default"
			res, err := c.Do(t.Context(), task, &tc.req)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]string
			if err := json.Unmarshal(res.Body, &got); err != nil {
				t.Fatal(err)
			}
			for key, want := range tc.want {
				if got[key] != want {
					t.Errorf("%s is %q, want %q", key, got[key], want)
				}
			}
		})
	}
}

func TestRequestErrors(t *testing.T) {
	t.Parallel()
	srv := echo(t)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	task := operatorstest.NewTask(t)
	task.Connections["c"] = conn(t, srv)
	task.Connections["empty"] = &connections.Connection{ID: "empty", Type: "http"}
	c := client(t)
	for want, req := range map[string]Request{
		`404:Not Found: {"body":""`:               {ConnID: "c", Method: "GET", Endpoint: "?status=404"},
		"the conn_id \"gone\" isn't defined":      {ConnID: "gone", Method: "GET"},
		"isn't defined (":                         {ConnID: "http_default", Method: "GET", Endpoint: "path"},
		"the connection has no host":              {ConnID: "empty", Method: "GET", Endpoint: "path"},
		"has no host, and the endpoint is no":     {Method: "GET", Endpoint: "path"},
		"data is not JSON":                        {ConnID: "c", Method: "POST", Data: "x", Headers: map[string]string{"Content-Type": "application/json"}},
		"expected a mapping or a text, or a Cont": {ConnID: "c", Method: "POST", Data: []any{1}},
		"the query is a int":                      {ConnID: "c", Method: "GET", Data: 1},
		"deadline exceeded":                       {ConnID: "c", Method: "GET", Endpoint: slow.URL, Options: map[string]any{"timeout": 0.05}},
		"stopped after 0 redirects":               {ConnID: "c", Method: "GET", Endpoint: "?to=/x", Options: map[string]any{"max_redirects": 0}},
		"connection refused":                      {ConnID: "c", Method: "GET", Endpoint: "http://127.0.0.1:1/"},
		`unknown option; expected one of timeout`: {ConnID: "c", Method: "GET", Options: map[string]any{"time_out": 1}},
		`did you mean "timeout"?`:                 {ConnID: "c", Method: "GET", Options: map[string]any{"timeouts": 1}},
		"extra_options.verify: wrong type":        {ConnID: "c", Method: "GET", Options: map[string]any{"verify": 7}},
		"verify: open /no/such/bundle":            {ConnID: "c", Method: "GET", Options: map[string]any{"verify": "/no/such/bundle"}},
		"cert: open /no/such/cert":                {ConnID: "c", Method: "GET", Options: map[string]any{"cert": []any{"/no/such/cert", "k"}}},
		"a list of certificate and key":           {ConnID: "c", Method: "GET", Options: map[string]any{"cert": []any{1}}},
	} {
		_, err := c.Do(t.Context(), task, &req)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", req, err, want)
		}
	}
	res, err := c.Do(t.Context(), task, &Request{ConnID: "c", Method: "GET", Endpoint: "?to=/x", Options: map[string]any{"allow_redirects": false}})
	if err != nil || res.Status != http.StatusFound {
		t.Errorf("%+v, %v", res, err)
	}
	if err := (&Request{Method: "FETCH"}).Validate(); err == nil || !strings.Contains(err.Error(), "is not an HTTP method") {
		t.Error(err)
	}
	secret := Request{Method: "GET", Endpoint: "http://me:hush@127.0.0.1:1/"}
	if _, err := c.Do(t.Context(), task, &secret); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v tells the password", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = nil
	t.Cleanup(srv.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t)
	for _, tc := range []struct {
		verify any
		ok     bool
	}{{nil, false}, {true, false}, {false, true}, {bundle, true}} {
		_, err := c.Do(t.Context(), operatorstest.NewTask(t), &Request{Method: "GET", Endpoint: srv.URL, Options: map[string]any{"verify": tc.verify}})
		if (err == nil) != tc.ok {
			t.Errorf("verify %v: %v", tc.verify, err)
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.String() }))
	t.Cleanup(proxy.Close)
	_, err := client(t).Do(t.Context(), operatorstest.NewTask(t), &Request{Method: "GET", Endpoint: "http://h.invalid/x",
		Options: map[string]any{"proxies": map[string]any{"http": proxy.URL}}})
	if err != nil || asked != "http://h.invalid/x" {
		t.Errorf("the proxy was asked for %q, %v", asked, err)
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	body := `{"state":"done","items":[{"id":7}],"n":1.0,"nothing":null}`
	ok, teapot := 200, 418
	for _, tc := range []struct {
		check Check
		want  string
	}{
		{Check{}, ""},
		{Check{ResponseContains: `"done"`}, ""},
		{Check{ResponseContains: "failed"}, `the response does not hold "failed"`},
		{Check{ResponseMatches: `"id":\d`}, ""},
		{Check{ResponseMatches: `^x`}, `the response does not match "^x"`},
		{Check{ResponseStatus: &ok}, ""},
		{Check{ResponseStatus: &teapot}, "the status is 200, not 418"},
		{Check{ResponseJSON: map[string]any{"state": "done", "items.0.id": 7, "n": 1, "nothing": nil, "items.0": map[string]any{"id": 7}}}, ""},
		{Check{ResponseJSON: map[string]any{"state": "failed"}}, `state is "done"`},
		{Check{ResponseJSON: map[string]any{"stat": "done"}}, `the response has no "stat"; did you mean "state"?`},
		{Check{ResponseJSON: map[string]any{"items.1": 1}}, `the response's items has no item "1"; it has 1`},
		{Check{ResponseJSON: map[string]any{"state.x": 1}}, `the response's state is neither an object nor a list; nothing is called "x" in it`},
		{Check{ResponseCheckLambda: `lambda response: "done" in response.text`}, ""},
		{Check{ResponseCheckLambda: `lambda r: 'gone' in r.text`}, `the response does not hold "gone"`},
		{Check{ResponseCheckLambda: `lambda r: r.status_code == 418`}, "the status is 200, not 418"},
	} {
		if err := tc.check.Validate(); err != nil {
			t.Errorf("%+v: %v", tc.check, err)
			continue
		}
		got, err := tc.check.Unmet(&Response{Status: 200, Body: []byte(body)})
		if err != nil || got != tc.want {
			t.Errorf("%+v: %q, %v; want %q", tc.check, got, err, tc.want)
		}
	}
	if got, _ := (&Check{ResponseJSON: map[string]any{".": 1}}).Unmet(&Response{Body: []byte("<html>")}); got != "the response is not JSON" {
		t.Error(got)
	}
	for _, bad := range []Check{
		{ResponseCheck: "m.f"}, {ResponseCheckName: "f", ResponseCheckFile: "m.py"}, {ResponseMatches: "("},
		{ResponseCheckLambda: `lambda r: r.json()["a"] > 1`}, {ResponseCheckLambda: `lambda r: "x" in q.text`},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func FuzzAt(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}]}`), "a.1.b")
	f.Add([]byte(`[[]]`), "0.0")
	f.Add([]byte(`7`), ".")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		if raw, err := At(body, path); err == nil && !json.Valid(raw) {
			t.Errorf("%q at %q is no JSON: %q", body, path, raw)
		}
	})
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	srv := echo(t)
	task := operatorstest.NewTask(t)
	r := triggers.NewRegistry()
	if Register(r, Deps{}) == nil {
		t.Error("Register without Deps was accepted")
	}
	if err := Register(r, Deps{Client: client(t), Connections: task}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Checker(Kind)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var waits []triggers.Wait
	for _, endpoint := range []string{"/ok", "?status=404", "?status=503", "/x"} {
		a := Args{Request: Request{Method: "GET", Endpoint: srv.URL + endpoint}, Again: []string{"404"}, Pace: triggers.Pace{Interval: time.Minute}}
		if endpoint == "/x" {
			a.Check.ResponseContains = "nowhere"
		}
		tr, err := a.Trigger()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Key(tr.Args); err != nil {
			t.Error(err)
		}
		waits = append(waits, triggers.Wait{Args: tr.Args})
	}
	waits = append(waits, triggers.Wait{Args: []byte(`7`)})
	var got []string
	for _, v := range c.Check(t.Context(), now, waits) {
		switch {
		case v.Event != nil:
			got = append(got, "fired")
		case v.Err != nil:
			got = append(got, "failed")
		case v.Again.Equal(now.Add(time.Minute)):
			got = append(got, "again")
		}
	}
	if diff := cmp.Diff([]string{"fired", "again", "failed", "again", "failed"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Key([]byte(`7`)); err == nil {
		t.Error("broken arguments have a key")
	}
}
