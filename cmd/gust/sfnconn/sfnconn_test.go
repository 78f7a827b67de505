package sfnconn

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/connections"
)

// known resolves the connections of a test.
type known map[string]string // id -> extra

func (k known) Connection(_ context.Context, id string) (*connections.Connection, error) {
	extra, ok := k[id]
	if !ok {
		return nil, &connections.NotFoundError{ID: id}
	}
	return &connections.Connection{ID: id, Type: "aws", Extra: json.RawMessage(extra)}, nil
}

func TestConnection(t *testing.T) {
	none := -1
	base := Settings{ConnID: "aws_default", ReadTimeout: none, ConnectTimeout: none, DefaultRegion: "us-east-1"}
	with := func(change func(*Settings)) Settings { s := base; change(&s); return s }
	tests := []struct {
		name     string
		settings Settings
		known    known
		env      map[string]string
		want     string // id, login and extra; "" is no connection
		err      string
	}{
		{"as it is", base, known{"aws_default": `{"region_name":"x"}`}, nil, `aws_default - {"region_name":"x"}`, ""},
		{"nothing anywhere", base, nil, nil, "", ""},
		{"named and missing", with(func(s *Settings) { s.ConnID, s.Explicit = "prod", true }), nil, nil, "", `"prod" isn't defined`},
		{"none", with(func(s *Settings) { s.ConnID, s.Explicit = "", true }), known{"aws_default": `{}`}, nil, "", ""},
		{"endpoint over the connection's", with(func(s *Settings) { s.Endpoint = "http://127.0.0.1:1" }),
			known{"aws_default": `{"endpoint_url":"http://a","service_config":{"stepfunctions":{"endpoint_url":"http://b"},"sts":{}}}`}, nil,
			`aws_default - {"endpoint_url":"http://127.0.0.1:1","service_config":{"sts":{}}}`, ""},
		{"local without credentials", with(func(s *Settings) { s.Endpoint = "http://localhost:1" }), nil, nil,
			`aws_default local {"endpoint_url":"http://localhost:1","region_name":"us-east-1"}`, ""},
		{"local with a region", with(func(s *Settings) { s.Endpoint, s.Region = "http://[::1]:1", "eu-west-1" }), nil, nil,
			`aws_default local {"endpoint_url":"http://[::1]:1"}`, ""},
		{"local with credentials", with(func(s *Settings) { s.Endpoint = "http://localhost:1" }), nil, map[string]string{"AWS_ACCESS_KEY_ID": "k"},
			`aws_default - {"endpoint_url":"http://localhost:1"}`, ""},
		{"local by the environment", base, nil, map[string]string{"AWS_ENDPOINT_URL_SFN": "http://127.0.0.1:1"},
			`aws_default local {"region_name":"us-east-1"}`, ""},
		{"local with keys", with(func(s *Settings) {
			s.Endpoint, s.AccessKeys = "http://localhost:1", map[string]string{"B": "2", "A": "1"}
		}), nil, nil, `aws_default A {"endpoint_url":"http://localhost:1","region_name":"us-east-1"}`, ""},
		{"far without credentials", with(func(s *Settings) { s.Endpoint = "https://states.example.com" }), nil, nil,
			`aws_default - {"endpoint_url":"https://states.example.com"}`, ""},
		{"profile", with(func(s *Settings) { s.Profile = "p" }), known{"aws_default": `{}`}, nil, `aws_default - {"profile_name":"p"}`, ""},
		{"profile and connection", with(func(s *Settings) { s.Profile, s.Explicit = "p", true }), nil, nil, "", "cannot be used together"},
		{"timeouts beside the connection's settings", with(func(s *Settings) { s.ReadTimeout, s.ConnectTimeout, s.Unsigned = 5, 0, true }),
			known{"aws_default": `{"config_kwargs":{"read_timeout":1,"max_pool_connections":3}}`}, nil,
			`aws_default - {"config_kwargs":{"connect_timeout":null,"max_pool_connections":3,"read_timeout":5,"signature_version":"unsigned"}}`, ""},
		{"no URL", with(func(s *Settings) { s.Endpoint = "localhost:8083" }), nil, nil, "", "expected a URL such as http://127.0.0.1:8083"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE",
				"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SFN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
				t.Setenv(name, tt.env[name])
			}
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
			conn, err := tt.settings.connection(t.Context(), tt.known)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			got := ""
			if conn != nil && err == nil {
				login := "-"
				if conn.Login != nil {
					login = *conn.Login
				}
				got = conn.ID + " " + login + " " + string(conn.Extra)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("connection (-want +got):\n%s", diff)
			}
		})
	}
}
