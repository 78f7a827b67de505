package awsconn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

func TestAssumeRole(t *testing.T) {
	t.Parallel()
	f, stsFake := newFake(t, false), newFake(t, false)
	c := f.conn(t, record{
		"role_arn":       "arn:aws:iam::112223334444:role/my_role",
		"service_config": record{"sts": record{"endpoint_url": stsFake.URL}},
		"assume_role_kwargs": record{
			"RoleArn": "ignored", "ExternalId": "ext", "DurationSeconds": 1800, "Policy": "{}", "SourceIdentity": "me",
			"Tags": []any{record{"Key": "k", "Value": "v"}}, "TransitiveTagKeys": []any{"k"},
			"PolicyArns": []any{record{"arn": "arn:p"}},
		},
	})
	p := testPool()
	for range 3 {
		if err := call(t, p, c, Params{}); err != nil {
			t.Fatal(err)
		}
	}
	if stsFake.count() != 1 {
		t.Errorf("%d requests to STS, want one for all calls", stsFake.count())
	}
	r, body := stsFake.last(t)
	form, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"Action": "AssumeRole", "RoleArn": "arn:aws:iam::112223334444:role/my_role", "RoleSessionName": "airflow_my_aws",
		"ExternalId": "ext", "DurationSeconds": "1800", "Policy": "{}", "SourceIdentity": "me", "Tags.member.1.Key": "k",
		"Tags.member.1.Value": "v", "TransitiveTagKeys.member.1": "k", "PolicyArns.member.1.arn": "arn:p",
	} {
		if got := form.Get(key); got != want {
			t.Errorf("STS argument %s = %q, want %q", key, got, want)
		}
	}
	if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKID/") {
		t.Errorf("STS was not asked with the connection's keys: %s", auth)
	}
	r, _ = f.last(t)
	if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=ASSUMEDKEY/") ||
		!strings.Contains(auth, "/eu-west-1/") {
		t.Errorf("Step Functions was not asked with the role's keys: %s", auth)
	}
	if got := r.Header.Get("X-Amz-Security-Token"); got != "ROLETOKEN" {
		t.Errorf("X-Amz-Security-Token %q, want ROLETOKEN", got)
	}
	if f.count() != 3 {
		t.Errorf("%d requests at the global endpoint, want 3 and none for STS", f.count())
	}
}

// TestAssumeRoleEndpoint: without service_config.sts the global endpoint_url is not used for STS.
func TestAssumeRoleEndpoint(t *testing.T) {
	t.Parallel()
	f, proxy := newFake(t, false), newFake(t, false).failing(http.StatusForbidden)
	c := f.conn(t, record{"role_arn": "arn:r", "config_kwargs": record{"proxies": record{"https": proxy.URL},
		"retries": record{"max_attempts": 0}}})
	if err := call(t, testPool(), c, Params{}); err == nil || !strings.Contains(err.Error(), "assume role arn:r") {
		t.Errorf("error %v, want one that names the role", err)
	}
	if r, _ := proxy.last(t); r.Host != "sts.eu-west-1.amazonaws.com:443" {
		t.Errorf("STS was looked for at %s", r.Host)
	}
	if f.count() != 0 {
		t.Error("the global endpoint was asked")
	}
}

func TestAssumeRoleKwargs(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	for _, tc := range []struct {
		kwargs record
		want   string
	}{
		{record{"ExternalID": "x"}, `AWS connection "my_aws": assume_role_kwargs.ExternalID: STS has no such argument; did you mean "ExternalId"?`},
		{record{"DurationSeconds": 42}, `AWS connection "my_aws": assume_role_kwargs.DurationSeconds: not a duration; expected 900 to 43200 seconds`},
		{record{"Tags": "x"}, `AWS connection "my_aws": assume_role_kwargs.Tags: wrong type: a text; expected a list`},
		{record{"Tags": []any{"x"}}, `AWS connection "my_aws": assume_role_kwargs.Tags.0: wrong type: a text; expected an object`},
		{record{"Policy": 1}, `AWS connection "my_aws": assume_role_kwargs.Policy: wrong type: a number; expected a text`},
	} {
		c := f.conn(t, record{"role_arn": "arn:r", "assume_role_kwargs": tc.kwargs})
		_, _, err := testPool().SFN(t.Context(), resolver(c), Params{AWSConnID: "my_aws"})
		if err == nil || err.Error() != tc.want {
			t.Errorf("%v: error\n got %v\nwant %s", tc.kwargs, err, tc.want)
		}
	}
}

func TestWebIdentity(t *testing.T) {
	t.Parallel()
	f, stsFake := newFake(t, false), newFake(t, false)
	stsFake.answer = func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 1 {
			return false
		}
		w.WriteHeader(http.StatusBadRequest) // the token is not known everywhere yet
		_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>m</Message></Error></ErrorResponse>`)
		return true
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("JWT\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := f.conn(t, record{
		"role_arn": "arn:r", "assume_role_method": "assume_role_with_web_identity",
		"assume_role_with_web_identity_federation": "file", "assume_role_with_web_identity_token_file": token,
		"service_config":     record{"sts": record{"endpoint_url": stsFake.URL}},
		"assume_role_kwargs": record{"RoleSessionName": "mine", "ProviderId": "p"},
	})
	if err := call(t, testPool(), c, Params{}); err != nil {
		t.Fatal(err)
	}
	r, body := stsFake.last(t)
	form, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"Action": "AssumeRoleWithWebIdentity", "RoleArn": "arn:r", "RoleSessionName": "mine", "WebIdentityToken": "JWT",
		"ProviderId": "p",
	} {
		if got := form.Get(key); got != want {
			t.Errorf("STS argument %s = %q, want %q", key, got, want)
		}
	}
	if auth := r.Header.Get("Authorization"); auth != "" {
		t.Errorf("the web identity call is signed: %s", auth)
	}
	if stsFake.count() != 2 {
		t.Errorf("%d requests to STS, want a second one after InvalidIdentityToken", stsFake.count())
	}
	if r, _ := f.last(t); r.Header.Get("X-Amz-Security-Token") != "ROLETOKEN" {
		t.Error("Step Functions was not asked with the role's keys")
	}
}

func TestConnectionTest(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	c := f.conn(t, record{"endpoint_url": "http://127.0.0.1:1", "service_config": record{"sts": record{"endpoint_url": f.URL}}})
	ok, message := testPool().Test(t.Context(), c)
	want := "UserId='U', Account='1', Arn='arn:aws:iam::1:user/u', credentials_method='explicit', region_name='eu-west-1'"
	if !ok || message != want {
		t.Errorf("Test = %v, %s; want %s", ok, message, want)
	}
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>bad key</Message></Error></ErrorResponse>`)
		return true
	}
	ok, message = testPool().Test(t.Context(), c)
	if ok || !strings.HasPrefix(message, "'InvalidClientTokenId' error occurred while testing connection: ") ||
		!strings.Contains(message, "bad key") {
		t.Errorf("Test = %v, %s", ok, message)
	}
	ok, message = testPool().Test(t.Context(), conn(t, "c", record{"conn_type": "aws", "login": "a", "password": "b"}))
	if ok || !strings.HasPrefix(message, "'SettingError' error occurred while testing connection: ") ||
		!strings.Contains(message, "no AWS region") {
		t.Errorf("Test = %v, %s", ok, message)
	}
}

func TestCancelledCall(t *testing.T) {
	t.Parallel()
	f := newFake(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		cancel()
		<-r.Context().Done()
		return true
	}
	client, _ := mustSFN(t, testPool(), f.conn(t, nil), Params{})
	if _, err := client.ListStateMachines(ctx, &sfn.ListStateMachinesInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if f.count() != 1 {
		t.Errorf("%d requests, want 1", f.count())
	}
}
