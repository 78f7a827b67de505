package awsconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"gust/connections"
)

func TestPoolShares(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	p, c := testPool(), f.conn(t, nil)
	first, info := mustSFN(t, p, c, Params{})
	if info.Region != "eu-west-1" || info.Partition != "aws" || info.Domain != "aws.amazon.com" || info.Endpoint != f.URL {
		t.Errorf("info %+v", info)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if again, _, err := p.SFN(t.Context(), resolver(c), Params{AWSConnID: "my_aws"}); err != nil || again != first {
				t.Errorf("another client %p for the same parameters, want %p (%v)", again, first, err)
			}
		})
	}
	wg.Wait()
	for _, params := range []Params{
		{RegionName: "us-east-1"}, {Verify: VerifyBool(false)}, {BotocoreConfig: record{}},
		{BotocoreConfig: record{"read_timeout": 5}},
	} {
		if other, _ := mustSFN(t, p, c, params); other == first {
			t.Errorf("the same client for %s", params.Key())
		}
		if again, _ := mustSFN(t, p, c, Params{}); again != first {
			t.Errorf("the client was lost after %s", params.Key())
		}
	}
	changed := f.conn(t, record{"aws_session_token": "new"})
	second, _ := mustSFN(t, p, changed, Params{})
	if second == first {
		t.Error("the same client after the connection changed")
	}
	if len(p.entries) != 5 {
		t.Errorf("%d clients are kept, want 5: the old one is dropped", len(p.entries))
	}
}

func TestPoolSharesTCP(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	p, c := testPool(), f.conn(t, nil)
	cfg, _, err := p.Config(t.Context(), resolver(c), Params{AWSConnID: "my_aws"}, "stepfunctions")
	if err != nil {
		t.Fatal(err)
	}
	if _, rebuilt := cfg.HTTPClient.(interface{ Freeze() any }); rebuilt {
		t.Error("the HTTP client is not frozen")
	}
	if sfn.NewFromConfig(cfg).Options().HTTPClient != sfn.NewFromConfig(cfg).Options().HTTPClient {
		t.Error("two clients of one configuration have two HTTP clients")
	}
}

func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	p, c := testPool(), newFake(t, false).conn(t, nil)
	for i := range maxClients + 10 {
		mustSFN(t, p, c, Params{RegionName: fmt.Sprintf("r-%d", i)})
	}
	if len(p.entries) != maxClients {
		t.Errorf("%d clients are kept, want %d", len(p.entries), maxClients)
	}
}

func TestPoolConfigOfOtherService(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	cfg, _, err := testPool().Config(t.Context(), resolver(f.conn(t, nil)), Params{AWSConnID: "my_aws"}, "sts")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil ||
		f.count() != 1 {
		t.Errorf("plain sts does not use the global endpoint: %v, %d requests", err, f.count())
	}
}

func TestMissingConnection(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := NewPool(slog.New(slog.NewTextHandler(&log, nil)))
	_, _, err := p.SFN(t.Context(), resolver(conn(t, "aws_prod", record{"conn_type": "aws"})),
		Params{AWSConnID: "aws_prd", RegionName: "r"})
	var missing *connections.NotFoundError
	if !errors.As(err, &missing) || missing.Nearest != "aws_prod" {
		t.Errorf("error %v, want a NotFoundError that suggests aws_prod", err)
	}
	for range 3 {
		for _, id := range []ConnID{DefaultConnID, ""} {
			if _, _, err := p.SFN(t.Context(), resolver(), Params{AWSConnID: id, RegionName: "eu-west-1"}); err != nil {
				t.Errorf("aws_conn_id %q: %v", id, err)
			}
		}
	}
	if got := strings.Count(log.String(), "\n"); got != 1 || !strings.Contains(log.String(), "level=INFO") ||
		!strings.Contains(log.String(), "aws_default is not defined") {
		t.Errorf("log, want one INFO line about aws_default:\n%s", log.String())
	}
	if _, _, err := p.SFN(t.Context(), resolver(), Params{}); err == nil || !strings.Contains(err.Error(),
		"no AWS region is set") {
		t.Errorf("error %v, want that no region is set", err)
	}
}

// failingResolver cannot tell whether a connection is defined.
type failingResolver struct{}

func (failingResolver) Connection(context.Context, string) (*connections.Connection, error) {
	return nil, errors.New("database is locked")
}

func TestFailingResolver(t *testing.T) {
	t.Parallel()
	_, _, err := testPool().SFN(t.Context(), failingResolver{}, Params{AWSConnID: DefaultConnID, RegionName: "eu-west-1"})
	if err == nil || err.Error() != "database is locked" {
		t.Errorf("error %v: a look-up that fails must not fall back to the default chain", err)
	}
}

func TestWarningsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := NewPool(slog.New(slog.NewTextHandler(&log, nil)))
	c := newFake(t, false).conn(t, record{"config_kwargs": record{"proxies_config": record{"proxy_ca_bundle": "x"}}})
	for range 3 {
		if _, info := mustSFN(t, p, c, Params{}); len(info.Warnings) != 1 {
			t.Errorf("warnings %q, want one", info.Warnings)
		}
	}
	if got := strings.Count(log.String(), "proxies_config"); got != 1 || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("log, want one warning:\n%s", log.String())
	}
}

func TestMendedSettings(t *testing.T) {
	t.Parallel()
	f := newFake(t, true)
	path := filepath.Join(t.TempDir(), "ca.pem")
	p, c := testPool(), f.conn(t, record{"verify": path})
	if _, _, err := p.SFN(t.Context(), resolver(c), Params{AWSConnID: "my_aws"}); err == nil {
		t.Fatal("a missing CA bundle was accepted")
	}
	data, err := os.ReadFile(writePEM(t, f))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := call(t, p, c, Params{}); err != nil {
		t.Errorf("after the bundle was written: %v", err)
	}
}

func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	f := newFake(t, false).failing(500)
	c := f.conn(t, record{"aws_session_token": "TOPSECRET", "config_kwargs": record{"retries": record{"max_attempts": 0}}})
	err := call(t, testPool(), c, Params{})
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("error %v", err)
	}
}

// The tests below change the environment and are not parallel.

func noChain(t *testing.T, f *fake) *connections.Connection {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "ENVKEY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	return conn(t, "c", record{"conn_type": "aws", "extra": record{"endpoint_url": f.URL}})
}

func TestRegionFromEnvironment(t *testing.T) {
	f := newFake(t, false)
	c := noChain(t, f)
	configFile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(configFile, []byte("[default]\nregion = profile-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	region := func(params Params) string {
		_, info := mustSFN(t, testPool(), c, params)
		return info.Region
	}
	t.Setenv("AWS_CONFIG_FILE", configFile)
	if got := region(Params{}); got != "profile-1" {
		t.Errorf("region %s, want the profile's", got)
	}
	t.Setenv("AWS_REGION", "region-1")
	if got := region(Params{}); got != "region-1" {
		t.Errorf("region %s, want AWS_REGION", got)
	}
	t.Setenv("AWS_DEFAULT_REGION", "default-1")
	if got := region(Params{}); got != "default-1" {
		t.Errorf("region %s, want AWS_DEFAULT_REGION before AWS_REGION", got)
	}
	if got := region(Params{RegionName: "task-1"}); got != "task-1" {
		t.Errorf("region %s, want the task's", got)
	}
}

func TestRetrySettingsOfEnvironment(t *testing.T) {
	f := newFake(t, false).failing(500)
	c := noChain(t, f)
	t.Setenv("AWS_REGION", "eu-west-1")
	requests := func(params Params) int {
		before := f.count()
		if err := call(t, testPool(), c, params); err == nil {
			t.Error("the call succeeded")
		}
		return f.count() - before
	}
	t.Setenv("AWS_RETRY_MODE", "legacy")
	if got := requests(Params{}); got != 5 {
		t.Errorf("AWS_RETRY_MODE=legacy: %d requests, want 5", got)
	}
	if got := os.Getenv("AWS_RETRY_MODE"); got != "legacy" {
		t.Errorf("AWS_RETRY_MODE is %q afterwards", got)
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	if got := requests(Params{}); got != 2 {
		t.Errorf("AWS_MAX_ATTEMPTS=2: %d requests, want 2", got)
	}
	if got := requests(Params{BotocoreConfig: record{"retries": record{"max_attempts": 3}}}); got != 4 {
		t.Errorf("max_attempts 3 over AWS_MAX_ATTEMPTS: %d requests, want 4", got)
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "")
	t.Setenv("AWS_RETRY_MODE", "standard")
	if got := requests(Params{}); got != 3 {
		t.Errorf("AWS_RETRY_MODE=standard: %d requests, want 3", got)
	}
	t.Setenv("AWS_RETRY_MODE", "sometimes")
	if _, _, err := testPool().SFN(t.Context(), resolver(c), Params{AWSConnID: "c"}); err == nil ||
		!strings.Contains(err.Error(), "AWS_RETRY_MODE") {
		t.Errorf("error %v, want one about AWS_RETRY_MODE", err)
	}
}

func TestRetrySettingsOfProfile(t *testing.T) {
	f := newFake(t, false).failing(500)
	folder := t.TempDir()
	configFile, credentialsFile := filepath.Join(folder, "config"), filepath.Join(folder, "credentials")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(configFile, "[default]\nregion = eu-west-1\nretry_mode = standard\n[profile old]\nregion = us-east-1\nretry_mode = Legacy # botocore's\nmax_attempts = 4\n[profile older]\nregion=us-east-2\nretry_mode=legacy\n")
	write(credentialsFile, "[default]\naws_access_key_id = DEFAULTKEY\naws_secret_access_key = x\n[old]\naws_access_key_id = OLDKEY\naws_secret_access_key = x\n[older]\naws_access_key_id = OLDERKEY\naws_secret_access_key = x\n")
	t.Setenv("AWS_CONFIG_FILE", configFile)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", credentialsFile)
	t.Setenv("TMPDIR", folder)
	for _, tc := range []struct {
		profile, key, region string
		want                 int
	}{
		{"", "DEFAULTKEY", "eu-west-1", 3}, {"old", "OLDKEY", "us-east-1", 4}, {"older", "OLDERKEY", "us-east-2", 5},
	} {
		before := f.count()
		extra := record{"endpoint_url": f.URL, "profile_name": tc.profile}
		if err := call(t, testPool(), conn(t, "c", record{"conn_type": "aws", "extra": extra}), Params{}); err == nil {
			t.Error("the call succeeded")
		}
		r, _ := f.last(t)
		if got := f.count() - before; got != tc.want {
			t.Errorf("profile %q: %d requests, want %d", tc.profile, got, tc.want)
		}
		if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential="+tc.key+"/") ||
			!strings.Contains(auth, "/"+tc.region+"/") {
			t.Errorf("profile %q: %s", tc.profile, auth)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "gust-aws-*")); len(left) > 0 {
		t.Errorf("copies of the shared files are left: %q", left)
	}
	_, _, err := testPool().SFN(t.Context(), resolver(conn(t, "c", record{"conn_type": "aws",
		"extra": record{"profile_name": "none"}})), Params{AWSConnID: "c"})
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v, want that the profile is missing", err)
	}
	// Keys that a script renews in the credentials file are noticed.
	p, c := testPool(), conn(t, "c", record{"conn_type": "aws", "extra": record{"endpoint_url": f.URL,
		"profile_name": "old"}})
	first, _ := mustSFN(t, p, c, Params{})
	write(credentialsFile, "[old]\naws_access_key_id = NEWKEY1234\naws_secret_access_key = x\n")
	if second, _ := mustSFN(t, p, c, Params{}); second == first {
		t.Error("the client was kept although the credentials file changed")
	}
}

func TestCABundleOfEnvironment(t *testing.T) {
	f := newFake(t, true)
	c, bundle := noChain(t, f), writePEM(t, f)
	t.Setenv("AWS_REGION", "eu-west-1")
	once := Params{BotocoreConfig: record{"retries": record{"max_attempts": 0}}}
	t.Setenv("REQUESTS_CA_BUNDLE", bundle)
	if err := call(t, testPool(), c, once); err != nil {
		t.Errorf("REQUESTS_CA_BUNDLE: %v", err)
	}
	t.Setenv("AWS_CA_BUNDLE", "testdata/other-ca.pem")
	if err := call(t, testPool(), c, once); err == nil {
		t.Error("AWS_CA_BUNDLE does not go before REQUESTS_CA_BUNDLE")
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	if err := call(t, testPool(), c, once); err != nil {
		t.Errorf("AWS_CA_BUNDLE: %v", err)
	}
	once.Verify = VerifyBool(true)
	if err := call(t, testPool(), c, once); err == nil {
		t.Error("verify: true still uses AWS_CA_BUNDLE")
	}
	once.Verify = VerifyPath("testdata/other-ca.pem")
	if err := call(t, testPool(), c, once); err == nil {
		t.Error("the task's bundle does not replace AWS_CA_BUNDLE")
	}
}

func TestEndpointOfEnvironment(t *testing.T) {
	f, other := newFake(t, false), newFake(t, false)
	own := noChain(t, f)
	none := conn(t, "c", record{"conn_type": "aws", "extra": record{
		"endpoint_url": f.URL, "service_config": record{"stepfunctions": record{"endpoint_url": nil}},
	}})
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL_SFN", other.URL)
	if err := call(t, testPool(), own, Params{}); err != nil || f.count() != 1 || other.count() != 0 {
		t.Errorf("the connection's endpoint does not win: %v, %d, %d", err, f.count(), other.count())
	}
	if err := call(t, testPool(), none, Params{}); err != nil || other.count() != 1 {
		t.Errorf("null does not mean the environment's endpoint: %v, %d", err, other.count())
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
	if err := call(t, testPool(), own, Params{}); err != nil || f.count() != 2 {
		t.Errorf("the connection's endpoint is lost: %v, %d", err, f.count())
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "")
	proxy := newFake(t, false).failing(http.StatusForbidden)
	params := Params{BotocoreConfig: record{
		"ignore_configured_endpoint_urls": true, "proxies": record{"https": proxy.URL}, "retries": record{"max_attempts": 0},
	}}
	if err := call(t, testPool(), none, params); err == nil || other.count() != 1 {
		t.Errorf("ignore_configured_endpoint_urls: %v, %d", err, other.count())
	}
	if r, _ := proxy.last(t); r.Host != "states.eu-west-1.amazonaws.com:443" {
		t.Errorf("ignore_configured_endpoint_urls: host %s", r.Host)
	}
}

func BenchmarkPoolSFN(b *testing.B) {
	p, c := testPool(), newFake(b, false).conn(b, nil)
	r := resolver(c)
	for b.Loop() {
		if _, _, err := p.SFN(b.Context(), r, Params{AWSConnID: "my_aws"}); err != nil {
			b.Fatal(err)
		}
	}
}
