package awsconn

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"
)

func TestRequestCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		retries any
		status  int
		want    int
	}{
		{"default is legacy", nil, 500, 5},
		{"legacy", record{"mode": "legacy"}, 500, 5},
		{"legacy without retries", record{"mode": "legacy", "max_attempts": 0}, 500, 1},
		{"legacy with two retries", record{"mode": "legacy", "max_attempts": 2}, 502, 3},
		{"legacy in total", record{"mode": "legacy", "total_max_attempts": 2}, 500, 2},
		{"legacy repeats 429", record{"mode": "legacy"}, 429, 5},
		{"legacy repeats 509", record{"mode": "legacy"}, 509, 5},
		{"legacy many", record{"mode": "legacy", "max_attempts": 149}, 500, 150}, // a quota would end it before
		{"standard", record{"mode": "standard"}, 500, 3},
		{"standard 503", record{"mode": "standard"}, 503, 3},
		{"standard without retries", record{"mode": "standard", "max_attempts": 0}, 500, 1},
		{"standard with four retries", record{"mode": "standard", "max_attempts": 4}, 504, 5},
		{"standard in total", record{"mode": "standard", "total_max_attempts": 4}, 500, 4},
		{"standard does not repeat 400", record{"mode": "standard"}, 400, 1},
		{"adaptive", record{"mode": "adaptive"}, 500, 3},
		{"adaptive with one retry", record{"mode": "adaptive", "max_attempts": 1}, 500, 2},
		{"both counts", record{"max_attempts": 7, "total_max_attempts": 2}, 500, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, false).failing(tc.status)
			if err := call(t, testPool(), f.conn(t, record{"config_kwargs": record{"retries": tc.retries}}),
				Params{}); err == nil {
				t.Error("the call succeeded")
			}
			if got := f.count(); got != tc.want {
				t.Errorf("%d requests, want %d", got, tc.want)
			}
		})
	}
}

func TestRetryUntilSuccess(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	f.answer = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 2 {
			return false
		}
		w.Header().Set("X-Amzn-ErrorType", "ThrottlingException")
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	if err := call(t, testPool(), f.conn(t, nil), Params{}); err != nil || f.count() != 3 {
		t.Errorf("%d requests, error %v; want success at the third", f.count(), err)
	}
}

func TestReadTimeout(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	f.answer = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		<-r.Context().Done() // until the client hangs up
		return true
	}
	c := f.conn(t, record{"config_kwargs": record{"read_timeout": 0.05, "retries": record{"max_attempts": 1}}})
	err := call(t, testPool(), c, Params{})
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("error %v, want a timeout", err)
	}
	if got := f.count(); got != 2 {
		t.Errorf("%d requests, want 2: a timeout is repeated", got)
	}
}

// A call whose answer is known to come late is waited for, whatever the connection's read timeout is.
func TestPatience(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	f.answer = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		select {
		case <-r.Context().Done():
			return true
		case <-time.After(200 * time.Millisecond):
			return false
		}
	}
	c := f.conn(t, record{"config_kwargs": record{"read_timeout": 0.05, "retries": record{"max_attempts": 0}}})
	pool := testPool()
	if err := call(t, pool, c, Params{}); err == nil {
		t.Error("the read timeout has no effect")
	}
	if err := call(t, pool, c, Params{Patience: time.Minute}); err != nil {
		t.Error(err)
	}
}

func TestTimeoutsReachTheTransport(t *testing.T) {
	t.Parallel()
	l := &loader{settings: &settings{}}
	for _, tc := range []struct {
		config                record
		connect, read         time.Duration
		idlePerHost, idleOver int
		keepalive             time.Duration
	}{
		{nil, time.Minute, time.Minute, 100, 100, 30 * time.Second},
		{record{"connect_timeout": 2, "read_timeout": 3, "max_pool_connections": 250, "tcp_keepalive": false},
			2 * time.Second, 3 * time.Second, 250, 250, -1},
		{record{"connect_timeout": nil, "max_pool_connections": 5, "tcp_keepalive": true}, 0, time.Minute, 5, 100,
			30 * time.Second},
	} {
		var err error
		if l.boto, err = readBotocore(tc.config); err != nil {
			t.Fatal(err)
		}
		c, err := l.httpClient(Verify{})
		if err != nil {
			t.Fatal(err)
		}
		read, _ := c.GetReadTimeout()
		tr, d := c.GetTransport(), c.GetDialer()
		if d.Timeout != tc.connect || read != tc.read || tr.MaxIdleConnsPerHost != tc.idlePerHost ||
			tr.MaxIdleConns != tc.idleOver || d.KeepAlive != tc.keepalive {
			t.Errorf("%v: connect %s, read %s, idle %d/%d, keepalive %s", tc.config, d.Timeout, read, tr.MaxIdleConnsPerHost,
				tr.MaxIdleConns, d.KeepAlive)
		}
	}
}

func TestConnectionPool(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	release := make(chan struct{})
	f.answer = func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 3 {
			close(release)
		}
		<-release // the first three at once, so that three connections are open
		return false
	}
	p := testPool()
	c := f.conn(t, record{"config_kwargs": record{"max_pool_connections": 1}})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := call(t, p, c, Params{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(f.peers); got != 3 {
		t.Errorf("%d connections for three calls at once, want 3: the pool does not limit them", got)
	}
}

func writePEM(t testing.TB, f *fake) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerify(t *testing.T) {
	t.Parallel()
	f := newFake(t, true)
	bundle := writePEM(t, f)
	other := filepath.Join(t.TempDir(), "other.pem")
	data, err := os.ReadFile("testdata/other-ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		extra any
		task  Verify
		ok    bool
	}{
		{"default", nil, Verify{}, false},
		{"true", true, Verify{}, false},
		{"false", false, Verify{}, true},
		{"bundle", bundle, Verify{}, true},
		{"another bundle", other, Verify{}, false},
		{"the task's bundle wins", true, VerifyPath(bundle), true},
		{"the task's true wins", false, VerifyBool(true), false},
		{"the task's false wins", other, VerifyBool(false), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := f.conn(t, record{"verify": tc.extra, "config_kwargs": record{"retries": record{"max_attempts": 0}}})
			err := call(t, testPool(), c, Params{Verify: tc.task})
			if tc.ok && err != nil {
				t.Error(err)
			}
			if !tc.ok && (err == nil || !strings.Contains(err.Error(), "certificate")) {
				t.Errorf("error %v, want one about the certificate", err)
			}
		})
	}
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "missing.pem"): "verify: the CA bundle cannot be read",
		"resolve_test.go":                         "failed to load custom CA bundle PEM file",
	} {
		_, _, err := testPool().SFN(t.Context(), resolver(f.conn(t, nil)), Params{AWSConnID: "my_aws",
			Verify: VerifyPath(path)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "my_aws") {
			t.Errorf("%s: error %v, want %q and the connection", path, err, want)
		}
	}
}

func TestSigning(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	if err := call(t, testPool(), f.conn(t, record{"aws_session_token": "TOK"}), Params{}); err != nil {
		t.Fatal(err)
	}
	r, _ := f.last(t)
	if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth,
		"/eu-west-1/states/") {
		t.Errorf("Authorization: %s", auth)
	}
	if got := r.Header.Get("X-Amz-Security-Token"); got != "TOK" {
		t.Errorf("X-Amz-Security-Token: %q, want TOK", got)
	}
	for name, params := range map[string]Params{
		"connection": {}, "task": {BotocoreConfig: record{"signature_version": "unsigned"}},
	} {
		extra := record{}
		if name == "connection" {
			extra["config_kwargs"] = record{"signature_version": "unsigned"}
		}
		if err := call(t, testPool(), f.conn(t, extra), params); err != nil {
			t.Fatal(err)
		}
		r, _ = f.last(t)
		for _, header := range []string{"Authorization", "X-Amz-Security-Token"} {
			if got := r.Header.Get(header); got != "" {
				t.Errorf("unsigned by the %s: %s: %q", name, header, got)
			}
		}
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	for _, tc := range []struct {
		config      record
		want, never string
	}{
		{nil, " gust", ""},
		{record{"user_agent_extra": "team/7 (x; y)"}, " team/7 (x; y)", ""},
		{record{"user_agent_appid": "orders"}, "app/orders", ""},
		{record{"user_agent": "mine/1"}, "mine/1", "aws-sdk-go"},
		{record{"user_agent": "mine/1", "user_agent_extra": "more"}, "mine/1 more", "gust"},
	} {
		if err := call(t, testPool(), f.conn(t, record{"config_kwargs": tc.config}), Params{}); err != nil {
			t.Fatal(err)
		}
		r, _ := f.last(t)
		if got := r.UserAgent(); !strings.Contains(got, tc.want) || tc.never != "" && strings.Contains(got, tc.never) {
			t.Errorf("%v: User-Agent %q, want %q in it and not %q", tc.config, got, tc.want, tc.never)
		}
	}
}

func TestParameterValidation(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	describe := func(config record) error {
		client, _ := mustSFN(t, testPool(), f.conn(t, record{"config_kwargs": config}), Params{})
		_, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{})
		return err
	}
	if err := describe(nil); err == nil || f.count() != 0 {
		t.Errorf("error %v after %d requests, want one before any", err, f.count())
	}
	if err := describe(record{"parameter_validation": false}); err != nil || f.count() != 1 {
		t.Errorf("error %v after %d requests, want the request sent", err, f.count())
	}
}

func TestHostPrefix(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	port := f.Listener.Addr().String()[strings.LastIndex(f.Listener.Addr().String(), ":"):]
	host := func(config record) string {
		// A proxy shows which host the request is for without asking a name server.
		if config == nil {
			config = record{}
		}
		config["proxies"] = record{"http": f.URL}
		c := f.conn(t, record{"endpoint_url": "http://states.test" + port, "config_kwargs": config})
		client, _ := mustSFN(t, testPool(), c, Params{})
		_, err := client.StartSyncExecution(t.Context(), &sfn.StartSyncExecutionInput{StateMachineArn: aws.String("arn:x")})
		if err != nil {
			var failed smithy.APIError
			if !errors.As(err, &failed) {
				t.Logf("answer: %v", err)
			}
		}
		r, _ := f.last(t)
		return r.Host
	}
	if got := host(nil); got != "states.test"+port {
		t.Errorf("host %s, want no prefix with a custom endpoint", got)
	}
	if got := host(record{"inject_host_prefix": true}); got != "sync-states.test"+port {
		t.Errorf("host %s, want the prefix when it is asked for", got)
	}
	if got := host(record{"inject_host_prefix": false}); got != "states.test"+port {
		t.Errorf("host %s, want no prefix", got)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	c := f.conn(t, record{"endpoint_url": "http://states.test", "config_kwargs": record{"proxies": record{"http": f.Listener.Addr().String()}}})
	if err := call(t, testPool(), c, Params{}); err != nil {
		t.Fatal(err)
	}
	if r, _ := f.last(t); r.Host != "states.test" || r.RequestURI != "http://states.test/" {
		t.Errorf("the proxy got %s for %s", r.RequestURI, r.Host)
	}
}

func TestEndpointVariants(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	for _, tc := range []struct {
		config record
		want   string
	}{
		{record{"use_dualstack_endpoint": true}, "states.us-east-1.api.aws:443"},
		{record{"use_fips_endpoint": true}, "states-fips.us-east-1.amazonaws.com:443"},
		{record{}, "states.us-east-1.amazonaws.com:443"},
	} {
		tc.config["proxies"] = record{"https": f.URL} // refuses CONNECT, but tells the host
		tc.config["retries"] = record{"max_attempts": 0}
		c := conn(t, "c", record{"conn_type": "aws", "login": "a", "password": "b",
			"extra": record{"region_name": "us-east-1", "config_kwargs": tc.config}})
		f.failing(http.StatusForbidden)
		if err := call(t, testPool(), c, Params{}); err == nil {
			t.Error("the call succeeded")
		}
		if r, _ := f.last(t); r.Host != tc.want {
			t.Errorf("%v: host %s, want %s", tc.config, r.Host, tc.want)
		}
	}
}

func TestClientCert(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	c := f.conn(t, record{"config_kwargs": record{"client_cert": "testdata/missing.pem"}})
	_, _, err := testPool().SFN(t.Context(), resolver(c), Params{AWSConnID: "my_aws"})
	if err == nil || !strings.Contains(err.Error(), "client_cert") {
		t.Errorf("error %v, want one about client_cert", err)
	}

	f = &fake{peers: map[string]bool{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	f.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	f.StartTLS()
	t.Cleanup(f.Close)
	own := f.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	once := record{"max_attempts": 0}
	without := f.conn(t, record{"verify": false, "config_kwargs": record{"retries": once}})
	if err := call(t, testPool(), without, Params{}); err == nil {
		t.Error("the server took a client without a certificate")
	}
	with := f.conn(t, record{"verify": false, "config_kwargs": record{"retries": once, "client_cert": []any{certFile, keyFile}}})
	if err := call(t, testPool(), with, Params{}); err != nil {
		t.Error(err)
	}
}
