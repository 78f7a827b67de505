package awsconn

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/connections"
)

// fake is a loopback server that imitates Step Functions and STS just enough to see what a client sends.
type fake struct {
	*httptest.Server
	// answer, when not nil, may take a request over; it returns false to leave it.
	answer func(w http.ResponseWriter, r *http.Request, n int) bool

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	peers    map[string]bool
}

func newFake(t testing.TB, encrypted bool) *fake {
	t.Helper()
	f := &fake{peers: map[string]bool{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	if encrypted {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(f.Close)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.bodies = append(f.bodies, string(body))
	f.peers[r.RemoteAddr] = true
	n := len(f.requests)
	f.mu.Unlock()
	if f.answer != nil && f.answer(w, r, n) {
		return
	}
	switch form, _ := url.ParseQuery(string(body)); form.Get("Action") {
	case "AssumeRole", "AssumeRoleWithWebIdentity":
		_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>
			<AccessKeyId>ASSUMEDKEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>ROLETOKEN</SessionToken>
			<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, form.Get("Action"))
	case "GetCallerIdentity":
		_, _ = fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
			<Arn>arn:aws:iam::1:user/u</Arn><UserId>U</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	default:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = fmt.Fprint(w, `{"stateMachines":[],"activities":[]}`)
	}
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

func (f *fake) last(t testing.TB) (*http.Request, string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.requests) == 0 {
		t.Fatal("no request arrived")
	}
	return f.requests[len(f.requests)-1], f.bodies[len(f.bodies)-1]
}

func (f *fake) failing(status int) *fake {
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(status)
		return true
	}
	return f
}

type record = map[string]any

// aws returns a connection to the fake with keys and a region; more is added to its extra.
func (f *fake) conn(t testing.TB, more record) *connections.Connection {
	t.Helper()
	extra := record{"endpoint_url": f.URL, "region_name": "eu-west-1"}
	maps.Copy(extra, more)
	return conn(t, "my_aws", record{"conn_type": "aws", "login": "AKID", "password": "SECRETKEY", "extra": extra})
}

func testPool() *Pool {
	p := NewPool(slog.New(slog.DiscardHandler))
	p.backoff = func(int, error) (time.Duration, error) { return 0, nil }
	return p
}

func resolver(conns ...*connections.Connection) connections.Resolver {
	return connections.NewResolver(nil, connections.NewFixed("test", conns...))
}

// call lists state machines through a client for the connection.
func call(t testing.TB, p *Pool, c *connections.Connection, params Params) error {
	t.Helper()
	client, _ := mustSFN(t, p, c, params)
	_, err := client.ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
	return err
}

func mustSFN(t testing.TB, p *Pool, c *connections.Connection, params Params) (*sfn.Client, Info) {
	t.Helper()
	r := resolver()
	if c != nil {
		params.AWSConnID = ConnID(c.ID)
		r = resolver(c)
	}
	client, info, err := p.SFN(t.Context(), r, params)
	if err != nil {
		t.Fatal(err)
	}
	return client, info
}
