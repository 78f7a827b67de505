package handlers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/handlers"
)

var httpInvoke = asl.Resource{ARN: "arn:aws:states:::http:invoke", Kind: asl.Service, Service: "http", API: "invoke"}

func TestHTTPTask(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header()["Date"] = nil
		switch r.URL.Path {
		case "/seen":
			w.Header().Set("Content-Type", "text/plain")
			_, _ = fmt.Fprintf(w, "%s %s %s|%s|%s|%s", r.Method, r.URL.RequestURI(), body, r.Header.Get("Content-Type"), r.Header.Get("X-One"), r.Header.Get("User-Agent"))
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"b":1.0,"a":2}`)
		case "/away":
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		default:
			http.Error(w, "nothing here", http.StatusNotFound)
		}
	}))
	t.Cleanup(web.Close)
	s := set(t, nil)
	seen := func(text string) string {
		return fmt.Sprintf(`{"Headers":{"content-length":["%d"],"content-type":["text/plain"]},"ResponseBody":%q,"StatusCode":200,"StatusText":"OK"}`, len(text), text)
	}
	for _, c := range []struct{ input, want string }{
		{`{"ApiEndpoint":"WEB/json","Method":"GET"}`, `{"Headers":{"content-length":["15"],"content-type":["application/json"]},"ResponseBody":{"b":1.0,"a":2},"StatusCode":201,"StatusText":"Created"}`},
		{`{"ApiEndpoint":"WEB/seen?x=1","Method":"POST","QueryParameters":{"y":["2","3"],"z":4},"Headers":{"X-One":"one","User-Agent":"me"},"RequestBody":{"a":1.0}}`,
			seen(`POST /seen?x=1&y=2&y=3&z=4 {"a":1.0}|application/json|one|me`)},
		{`{"ApiEndpoint":"WEB/seen","Method":"PUT","RequestBody":"text","Headers":{"Content-Type":"text/plain"}}`,
			seen(`PUT /seen text|text/plain||Amazon|StepFunctions|HttpInvoke|us-east-1`)},
		{`{"ApiEndpoint":"WEB/seen","Method":"POST","Transform":{"RequestBodyEncoding":"URL_ENCODED"},"RequestBody":{"a":{"b":"x y"},"c":[1,{"d":2}]}}`,
			seen(`POST /seen a%5Bb%5D=x+y&c%5B0%5D=1&c%5B1%5D%5Bd%5D=2|application/x-www-form-urlencoded||Amazon|StepFunctions|HttpInvoke|us-east-1`)},
		{`{"ApiEndpoint":"WEB/missing","Method":"GET"}`, "States.Http.StatusCode.404: Not Found"},
		{`{"ApiEndpoint":"WEB/away","Method":"GET"}`, "States.Http.StatusCode.302: Found"},
		{`{"ApiEndpoint":"http://127.0.0.1:1/","Method":"GET"}`, `States.Http.Socket: Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused`},
		{`{"ApiEndpoint":"ftp://x","Method":"GET"}`, `States.Runtime: The parameter ApiEndpoint must be the URL of an HTTP endpoint, got: "ftp://x"`},
		{`{"ApiEndpoint":"WEB/x"}`, "States.Runtime: The parameter Method must be an HTTP method, got: null"},
	} {
		if got := do(t, s, handlers.Request{Resource: httpInvoke, Input: strings.ReplaceAll(c.input, "WEB", web.URL), Region: "us-east-1"}); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.input, got, c.want)
		}
	}
	if got := do(t, s, handlers.Request{Resource: httpInvoke, Input: `{"ApiEndpoint":"http://192.0.2.1/","Method":"GET"}`}); !strings.HasPrefix(got,
		"States.TaskFailed: The local Step Functions service sends HTTP tasks only to this machine, and 192.0.2.1 is elsewhere. Configure one") {
		t.Error(got)
	}
	for format, want := range map[string]string{"INDICES": "c%5B0%5D=1&c%5B1%5D=2", "BRACKETS": "c%5B%5D=1&c%5B%5D=2", "REPEAT": "c=1&c=2", "COMMAS": "c=1%2C2"} {
		input := fmt.Sprintf(`{"ApiEndpoint":"%s/seen","Method":"POST","Transform":{"RequestBodyEncoding":"URL_ENCODED","RequestEncodingOptions":{"ArrayFormat":%q}},"RequestBody":{"c":[1,2]}}`, web.URL, format)
		if got := do(t, s, handlers.Request{Resource: httpInvoke, Input: input}); !strings.Contains(got, "POST /seen "+want+"|") {
			t.Errorf("%s: %s", format, got)
		}
	}
	out, err := s.Do(t.Context(), handlers.Request{Resource: httpInvoke, Region: "us-east-1",
		Input: fmt.Sprintf(`{"ApiEndpoint":"%s/missing","Method":"POST","RequestBody":[1]}`, web.URL)})
	sent := handlers.HTTPRequest{Protocol: "http", Method: "POST", URL: web.URL + "/missing", Body: "[1]",
		Headers: "[Content-Type: application/json, Range: bytes=0-262144, User-Agent: Amazon|StepFunctions|HttpInvoke|us-east-1]"}
	if err == nil || out.Sent == nil || *out.Sent != sent || out.Received == nil || out.Received.StatusCode != "404" ||
		out.Received.StatusMessage != "Not Found" || out.Received.Body != "nothing here\n" {
		t.Errorf("%v %+v %+v", err, out.Sent, out.Received)
	}
	instead := set(t, map[string]handlers.Handler{httpInvoke.ARN: {Answer: `"mine"`}})
	if got := do(t, instead, handlers.Request{Resource: httpInvoke, Input: `{}`}); got != `"mine"` {
		t.Errorf("a configured handler was not asked: %s", got)
	}
}
