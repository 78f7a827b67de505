package server_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/stepfunctions/server"
)

// methods are the names of a value's methods.
func methods(v any) (names []string) {
	typ := reflect.TypeOf(v)
	for i := range typ.NumMethod() {
		names = append(names, typ.Method(i).Name)
	}
	return names
}

// signed starts a server that asks for signatures; seen gets the last authentic call.
func signed(t *testing.T, now func() time.Time) (url string, seen func() server.Call) {
	t.Helper()
	calls := make(chan server.Call, 100)
	web := httptest.NewServer(server.NewWith(invokeFunc(func(_ context.Context, c server.Call) ([]byte, error) {
		calls <- c
		return []byte(`{"activities":[]}`), nil
	}), server.Options{Keys: map[string]string{"AKID": "secret", "OTHER": "x"}, Clock: now}))
	t.Cleanup(web.Close)
	return web.URL, func() server.Call {
		select {
		case c := <-calls:
			return c
		default:
			return server.Call{}
		}
	}
}

func TestSignaturesOfTheSDK(t *testing.T) {
	t.Parallel()
	url, seen := signed(t, time.Now)
	list := func(key, secret string) error {
		client := sfn.New(sfn.Options{Region: "eu-west-1", BaseEndpoint: aws.String(url), Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")})
		_, err := client.ListActivities(t.Context(), &sfn.ListActivitiesInput{MaxResults: 7})
		return err
	}
	if err := list("AKID", "secret"); err != nil {
		t.Fatal(err)
	}
	if c := seen(); c.AccessKey != "AKID" || c.Region != "eu-west-1" || c.Operation != "ListActivities" {
		t.Errorf("%+v", c)
	}
	for _, c := range []struct{ key, secret, want string }{
		{"AKID", "wrong", "InvalidSignatureException: The request signature we calculated does not match the signature you provided."},
		{"NOBODY", "secret", "UnrecognizedClientException: The security token included in the request is invalid."},
	} {
		if err := list(c.key, c.secret); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.key, err)
		}
	}
	if c := seen(); c.Operation != "" {
		t.Errorf("a refused call was carried out: %+v", c)
	}
}

func TestSignaturesOfBotocore(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil || exec.CommandContext(t.Context(), python, "-c", "import botocore").Run() != nil {
		t.Skip("no botocore here")
	}
	url, seen := signed(t, time.Now)
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import sys, botocore.session
c = botocore.session.get_session().create_client("stepfunctions", region_name="us-west-2", endpoint_url=sys.argv[1],
    aws_access_key_id="AKID", aws_secret_access_key=sys.argv[2])
print(c.list_activities()["ResponseMetadata"]["RequestId"])
`, url, "secret").CombinedOutput()
	if err != nil || !regexp.MustCompile(`^[0-9a-f-]{36}\n$`).Match(out) {
		t.Fatalf("%v: %s", err, out)
	}
	if c := seen(); c.AccessKey != "AKID" || c.Region != "us-west-2" {
		t.Errorf("%+v", c)
	}
}

func TestRefusedSignatures(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	url, _ := signed(t, func() time.Time { return now })
	const header = "AWS4-HMAC-SHA256 Credential=AKID/20240102/us-east-1/states/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	for _, c := range []struct{ authorization, date, want string }{
		{"", "", "MissingAuthenticationTokenException"}, {"Bearer x", "", "IncompleteSignatureException"},
		{"AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00", "", "requires 'Credential' parameter"},
		{"AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=00", "", "Credential should be scoped"},
		{strings.Replace(header, "host;", "", 1), "", "must be a 'SignedHeader'"}, {strings.Replace(header, "=00", "=zz", 1), "", "hexadecimal"},
		{header, "yesterday", "Date must be in ISO-8601"}, {header, "20240103T030405Z", "does not match YYYYMMDD"},
		{header, "20240102T024800Z", "Signature expired: 20240102T024800Z is now earlier than 20240102T024905Z (20240102T030405Z - 15 min.)"},
		{header, "20240102T032000Z", "Signature not yet current"}, {header, "20240102T030405Z", "The request signature we calculated does not match"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "AWSStepFunctions.ListActivities")
		req.Header.Set("X-Amz-Date", c.date)
		if c.authorization != "" {
			req.Header.Set("Authorization", c.authorization)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(res.Body)
		if closeErr := res.Body.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(body.String(), c.want) {
			t.Errorf("%q %q: %d %s", c.authorization, c.date, res.StatusCode, body.String())
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestTheSyncPrefixIsServed(t *testing.T) {
	t.Parallel()
	h := server.New(&answers{by: map[string]string{"StartSyncExecution": `{"status":"SUCCEEDED"}`}}, nil, nil)
	r := httptest.NewRequest(http.MethodPost, "http://sync-127.0.0.1:8083/", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", "AWSStepFunctions.StartSyncExecution")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Body.String() != `{"status":"SUCCEEDED"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
