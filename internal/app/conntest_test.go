package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gust/connections"
)

func TestConnectionTests(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "opensesame" {
			http.Error(w, "who is "+password+"?", http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	a, err := Open(t.Context(), house(t, nil), Options{Environ: []string{
		"GUST_CONN_GOOD=http://ada:opensesame@" + host, "GUST_CONN_BAD=http://ada:tellmenow@" + host,
		`GUST_CONN_LITE={"conn_type": "sqlite", "host": ":memory:"}`,
		"GUST_CONN_NOBODY=postgres://ada:tellmenow@127.0.0.1:1/sales?sslmode=disable",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		id, message string
		ok          bool
	}{
		{"good", "The host answers GET with 200 OK.", true},
		{"bad", "403:Forbidden: who is ***?", false},
		{"lite", "SQLite 3.", true},
		{"nobody", `postgres connection "nobody" (pgx): failed to connect to ` + "`user=ada database=sales`" +
			`: 127.0.0.1:1 (127.0.0.1): dial error: dial tcp 127.0.0.1:1: connect: connection refused`, false},
	} {
		conn, err := a.Connections.Connection(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		message, ok, err := a.TestConnection(t.Context(), conn)
		if !strings.HasPrefix(message, c.message) || ok != c.ok || err != nil {
			t.Errorf("%s: %q, %v, %v; want %q, %v", c.id, message, ok, err, c.message, c.ok)
		}
	}
	if _, _, err := a.TestConnection(t.Context(), &connections.Connection{ID: "ftp", Type: "ftp"}); err == nil ||
		!strings.Contains(err.Error(), "aws, http, mysql, postgres, sqlite") {
		t.Errorf("a type that cannot be tested: %v", err)
	}
}
