package httpreq

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/connections"
	"gust/operators"
	"gust/operators/operatorstest"
	"gust/triggers/httpreq"
)

func TestSlackWebhook(t *testing.T) {
	t.Parallel()
	var path string
	var got map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		body, _ := io.ReadAll(r.Body)
		got = nil
		if err := json.Unmarshal(body, &got); err != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "no JSON", http.StatusBadRequest)
		}
		if strings.HasSuffix(path, "closed") {
			http.Error(w, "channel_is_archived", http.StatusGone)
		}
	}))
	t.Cleanup(server.Close)
	client := httpreq.NewClient()
	t.Cleanup(client.Close)
	registry := operators.NewRegistry()
	if err := Register(registry, client); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		conn   connections.Connection
		params map[string]any
		path   string
		want   map[string]any
		err    string
	}{
		"whole URL": {
			conn:   connections.Connection{Password: ptr(server.URL + "/T0/B0/x")},
			params: map[string]any{"text": "hello", "username": "gust"},
			path:   "/T0/B0/x", want: map[string]any{"text": "hello", "username": "gust"},
		},
		"host and path": {
			conn:   connections.Connection{Host: ptr(server.URL + "/services"), Password: ptr("T1/B1/y")},
			params: map[string]any{"blocks": []any{map[string]any{"type": "divider"}}},
			path:   "/services/T1/B1/y", want: map[string]any{"blocks": []any{map[string]any{"type": "divider"}}},
		},
		"refused":       {conn: connections.Connection{Password: ptr(server.URL + "/closed")}, params: map[string]any{"message": "x"}, err: "410"},
		"nothing":       {conn: connections.Connection{Password: ptr(server.URL)}, err: "nothing to post"},
		"no webhook":    {params: map[string]any{"message": "x"}, err: `connection "slack_default" has no password`},
		"no connection": {params: map[string]any{"message": "x", "slack_webhook_conn_id": "other"}, err: "isn't defined"},
	} {
		conn := c.conn
		conn.ID = "slack_default"
		task := operatorstest.NewTask(t)
		task.Connections = map[string]*connections.Connection{"slack_default": &conn}
		_, err := operatorstest.Build(t, registry, "slack_webhook", c.params).Execute(t.Context(), task)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || path != c.path:
			t.Errorf("%s: posted to %s, %v", name, path, err)
		default:
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

func ptr(s string) *string { return &s }
