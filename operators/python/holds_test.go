//go:build unix

package python

import (
	"net/http"
	"strings"
	"testing"

	"gust/operators"
	"gust/triggers/httpreq"
)

func TestResponseHolds(t *testing.T) {
	t.Parallel()
	b := setUp(t, `
from airflow.exceptions import AirflowFailException

def done(response, ds): return response.ok and response.json()["state"] == "done" and response.headers["content-type"] == "application/json" and ds
def gives_up(response): raise AirflowFailException("it never will be")
`)
	ask := ResponseHolds(b.deps)
	response := func(state string) *httpreq.Response {
		return &httpreq.Response{
			Status: 200, Reason: "OK", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"state": "` + state + `"}`),
		}
	}
	for _, f := range []httpreq.Function{
		{Name: "done", File: b.file}, {Path: "functions.done"}, {Lambda: "lambda r: r.json()['state'] == 'done' and r.status_code == 200"},
	} {
		for state, want := range map[string]bool{"done": true, "new": false} {
			if got, err := ask(t.Context(), b.task, f, response(state)); err != nil || got != want {
				t.Errorf("%+v of %s: %v, %v", f, state, got, err)
			}
		}
	}
	_, err := ask(t.Context(), b.task, httpreq.Function{Name: "gives_up", File: b.file}, response("new"))
	if err == nil || !operators.NoRetry(err) || !strings.Contains(err.Error(), "it never will be") {
		t.Errorf("a function that gives up: %v", err)
	}
}
