package awsconn

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"gust/connections"
	"gust/internal/param"
)

// conn builds a connection from its JSON form.
func conn(t testing.TB, id string, form map[string]any) *connections.Connection {
	t.Helper()
	text, err := json.Marshal(form)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connections.ParseJSON(id, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(t testing.TB, raw map[string]any) Params {
	t.Helper()
	var p Params
	schema, err := param.Of(&p)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range schema.Decode(&p, raw, false) {
		t.Fatal(e)
	}
	return p
}

// values lists what settings say, leaving out what is at its default.
func (s *settings) values() map[string]any {
	out := map[string]any{}
	put := func(key, value, def string) {
		if value != def {
			out[key] = value
		}
	}
	put("region", s.region, "")
	put("verify", s.verify.String(), "default")
	put("profile", s.profile, "")
	put("endpoint", s.endpoint, "")
	put("sts_endpoint", s.stsEndpoint, "")
	put("access_key", s.accessKey, "")
	put("secret_key", s.secretKey, "")
	put("session_token", s.sessionToken, "")
	if s.role != nil {
		out["role_arn"] = s.role.arn
		put("token_file", s.role.tokenFile, "")
		if s.role.kwargs != nil {
			kwargs, _ := json.Marshal(s.role.kwargs)
			out["role_kwargs"] = string(kwargs)
		}
	}
	b := s.boto
	put("user_agent", b.userAgent, "")
	put("retry_mode", b.retryMode, "")
	put("defaults_mode", b.defaultsMode, "")
	put("connect_timeout", b.connectTimeout.String(), "1m0s")
	put("read_timeout", b.readTimeout.String(), "1m0s")
	if b.unsigned {
		out["unsigned"] = true
	}
	if b.maxAttempts != 0 {
		out["attempts"] = b.maxAttempts
	}
	var proxies []string
	for _, scheme := range slices.Sorted(maps.Keys(b.proxies)) {
		proxies = append(proxies, scheme+"="+b.proxies[scheme].String())
	}
	put("proxies", strings.Join(proxies, " "), "")
	return out
}

func TestResolve(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/resolve.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Service, Error string
		Conn, Params, Want   map[string]any
		Warnings             []string
	}
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, tc := range cases {
		t.Run(tc.Name, func(t *testing.T) {
			t.Parallel()
			var c *connections.Connection
			if tc.Conn != nil {
				c = conn(t, "c", tc.Conn)
			}
			if tc.Service == "" {
				tc.Service = serviceSFN
			}
			s, err := resolve(c, decode(t, tc.Params), tc.Service)
			if got := fmt.Sprint(err); tc.Error != "" && got != tc.Error || tc.Error == "" && err != nil {
				t.Fatalf("error\n got %s\nwant %s", got, tc.Error)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.Want, s.values()); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.Warnings, s.warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestResolveCombinations is W7: exactly the given ones of key, secret, token, profile and region are used.
func TestResolveCombinations(t *testing.T) {
	t.Parallel()
	names := []string{"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "profile_name", "region_name"}
	keys := []string{"access_key", "secret_key", "session_token", "profile", "region"}
	for mask := range 1 << len(names) {
		extra, want := map[string]any{}, map[string]any{}
		for i, name := range names {
			if mask&(1<<i) != 0 {
				extra[name], want[keys[i]] = "v"+name, "v"+name
			} else {
				extra[name] = nil
			}
		}
		s, err := resolve(conn(t, "c", map[string]any{"conn_type": "aws", "extra": extra}), Params{}, serviceSFN)
		if half := mask & 3; half == 1 || half == 2 { // botocore refuses these when the session is made
			if err == nil || !strings.Contains(err.Error(), "partial credentials") {
				t.Errorf("%v: error %v, want partial credentials", extra, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.values()); diff != "" || len(s.warnings) > 0 {
			t.Errorf("%v: warnings %q, settings (-want +got):\n%s", extra, s.warnings, diff)
		}
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		raw  map[string]any
		want string
	}{
		{nil, `{"aws_conn_id":"aws_default"}`},
		{map[string]any{"aws_conn_id": nil}, `{"aws_conn_id":""}`},
		{map[string]any{"aws_conn_id": ""}, `{"aws_conn_id":""}`},
		{map[string]any{"region": "eu-west-1"}, `{"aws_conn_id":"aws_default","region_name":"eu-west-1"}`},
		{map[string]any{"verify": false}, `{"aws_conn_id":"aws_default","verify":false}`},
		{map[string]any{"verify": "False"}, `{"aws_conn_id":"aws_default","verify":false}`},
		{map[string]any{"verify": "TRUE"}, `{"aws_conn_id":"aws_default","verify":true}`},
		{map[string]any{"verify": "0"}, `{"aws_conn_id":"aws_default","verify":"0"}`},
		{map[string]any{"verify": "/etc/ca.pem"}, `{"aws_conn_id":"aws_default","verify":"/etc/ca.pem"}`},
		{map[string]any{"verify": nil, "botocore_config": nil}, `{"aws_conn_id":"aws_default"}`},
		{map[string]any{"botocore_config": map[string]any{}}, `{"aws_conn_id":"aws_default","botocore_config":{}}`},
	} {
		p := decode(t, tc.raw)
		if got := p.Key(); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.raw, got, tc.want)
		}
		var back Params
		if err := json.Unmarshal([]byte(p.Key()), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, back, cmp.AllowUnexported(Verify{})); diff != "" {
			t.Errorf("%v does not survive JSON (-want +got):\n%s", tc.raw, diff)
		}
	}
	for _, raw := range []map[string]any{{"verify": ""}, {"verify": 1}, {"aws_conn_id": 5}} {
		var p Params
		schema, err := param.Of(&p)
		if err != nil {
			t.Fatal(err)
		}
		if errs := schema.Decode(&p, raw, false); len(errs) != 1 {
			t.Errorf("%v: errors %v, want one", raw, errs)
		}
	}
}

func TestSessionName(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"aws_default": "airflow_aws_default", "My/Conn (1)": "airflow_my-conn-1", strings.Repeat("x", 99): "airflow_" +
			strings.Repeat("x", 56),
	} {
		if got := (&settings{connID: id}).sessionName(); got != want {
			t.Errorf("session name of %q is %q, want %q", id, got, want)
		}
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string][2]string{
		"eu-west-1": {"aws", "aws.amazon.com"}, "cn-north-1": {"aws-cn", "amazonaws.cn"},
		"us-gov-west-1": {"aws-us-gov", "amazonaws-us-gov.com"}, "us-isob-east-1": {"aws-iso-b", ""},
	} {
		partition, domain := partitionOf(region)
		if got := [2]string{partition, domain}; got != want {
			t.Errorf("%s: %v, want %v", region, got, want)
		}
	}
}
