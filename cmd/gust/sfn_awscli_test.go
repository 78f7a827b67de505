package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions"
)

// sideBySide runs the same command lines through the AWS CLI and `gust sfn`, against one service.
type sideBySide struct {
	aws, dir, endpoint string
}

// newSideBySide starts a service. It skips the test when scripts/test-tools.sh has not installed the AWS CLI.
func newSideBySide(t *testing.T) *sideBySide {
	t.Helper()
	aws := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", "aws")
	if _, err := os.Stat(aws); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		t.Skip("no AWS CLI to compare with: make test installs it")
	}
	service, err := stepfunctions.New(stepfunctions.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("stop the service: %v", err)
		}
	})
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.yaml": "core: {}\n",
		"aws.config":  "[default]\ncli_timestamp_format = iso8601\n",
		"hello.json":  `{"StartAt":"Greet","States":{"Greet":{"Type":"Pass","Parameters":{"a":"é","n":1.50,"b.$":"$.name"},"End":true}}}`,
		"fail.json":   `{"StartAt":"Refuse","States":{"Refuse":{"Type":"Fail","Error":"Refused","Cause":"it is\n\"picky\""}}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &sideBySide{aws, dir, service.Endpoint()}
}

func (s *sideBySide) runAWS(t *testing.T, args []string) (out, errs string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.aws, append([]string{"stepfunctions"}, args...)...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "AWS_CONFIG_FILE="+filepath.Join(s.dir, "aws.config"), "AWS_ENDPOINT_URL_SFN="+s.endpoint,
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=",
		"AWS_DISABLE_HOST_PREFIX_INJECTION=true", "AWS_DEFAULT_OUTPUT=json", "PYTHONUTF8=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func (s *sideBySide) runGust(t *testing.T, args []string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	line := append([]string{"--config", filepath.Join(s.dir, "config.yaml"), "sfn"}, args...)
	line = append(line, "--endpoint-url", s.endpoint)
	for i, a := range line {
		if path, ok := strings.CutPrefix(a, "file://"); ok {
			line[i] = "file://" + filepath.Join(s.dir, path)
		}
	}
	code = execute(t.Context(), line, streams{in: strings.NewReader(""), out: &stdout, err: &stderr})
	return stdout.String(), stderr.String(), code
}

var pageTokens = regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}={0,2}`)

// same compares two answers; page tokens hold a time, and all that has 40 characters without a break is taken for one.
func same(a, b string) string {
	return cmp.Diff(pageTokens.ReplaceAllString(a, "TOKEN"), pageTokens.ReplaceAllString(b, "TOKEN"))
}

const (
	machineARN   = "arn:aws:states:us-east-1:123456789012:stateMachine:"
	executionARN = "arn:aws:states:us-east-1:123456789012:execution:"
)

func TestAnswersAreTheAWSCLIs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts the AWS CLI many times")
	}
	s := newSideBySide(t)
	for _, args := range [][]string{
		{"create-state-machine", "--name", "hello", "--definition", "file://hello.json", "--role-arn", "arn:aws:iam::123456789012:role/r",
			"--tags", "key=team,value=shop", "key=stage,value=test"},
		{"create-state-machine", "--name", "fail", "--definition", "file://fail.json", "--role-arn", "arn:aws:iam::123456789012:role/r"},
		{"start-execution", "--state-machine-arn", machineARN + "hello", "--name", "one", "--input", `{"name": "Ada"}`},
		{"start-execution", "--state-machine-arn", machineARN + "hello", "--name", "two", "--input", `{"name": "日本"}`},
		{"start-execution", "--state-machine-arn", machineARN + "fail", "--name", "one"},
	} {
		if _, errs, code := s.runGust(t, args); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
	}
	s.awaitEnd(t, "hello:one", "hello:two", "fail:one")
	lines := [][]string{
		{"list-state-machines"},
		{"list-state-machines", "--query", "stateMachines[].{Name:name,ARN:stateMachineArn}"},
		{"describe-state-machine", "--state-machine-arn", machineARN + "hello"},
		{"describe-execution", "--execution-arn", executionARN + "hello:two"},
		{"describe-execution", "--execution-arn", executionARN + "fail:one"},
		{"list-executions", "--state-machine-arn", machineARN + "hello"},
		{"list-executions", "--state-machine-arn", machineARN + "hello", "--max-items", "1"},
		{"list-executions", "--state-machine-arn", machineARN + "hello", "--query", "executions[?status==`SUCCEEDED`].[name,status]"},
		{"get-execution-history", "--execution-arn", executionARN + "hello:one"},
		{"get-execution-history", "--execution-arn", executionARN + "fail:one", "--reverse-order"},
		{"get-execution-history", "--execution-arn", executionARN + "hello:one", "--max-items", "3", "--page-size", "2"},
		{"list-tags-for-resource", "--resource-arn", machineARN + "hello"},
		{"validate-state-machine-definition", "--definition", `{"StartAt":"A","States":{}}`},
	}
	for _, args := range lines {
		for _, format := range []string{"json", "text", "table"} {
			t.Run(strings.Join(append(args[:1:1], format), " "), func(t *testing.T) {
				line := append(args[:len(args):len(args)], "--output", format)
				want, awsErrs, awsCode := s.runAWS(t, line)
				got, errs, code := s.runGust(t, line)
				if awsCode != 0 || code != 0 {
					t.Fatalf("%v: exit codes %d and %d: %s%s", args, awsCode, code, awsErrs, errs)
				}
				if diff := same(want, got); diff != "" {
					t.Errorf("%v (-AWS CLI +gust):\n%s", line, diff)
				}
			})
		}
	}
	s.errorsAreTheSame(t)
}

// awaitEnd waits until the executions have ended.
func (s *sideBySide) awaitEnd(t *testing.T, executions ...string) {
	t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for _, e := range executions {
		for {
			out, _, _ := s.runGust(t, []string{"describe-execution", "--execution-arn", executionARN + e, "--query", "status"})
			if out != "\"RUNNING\"\n" {
				break
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s does not end", e)
			}
		}
	}
}

func (s *sideBySide) errorsAreTheSame(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"describe-execution", "--execution-arn", executionARN + "hello:nobody"},
		{"start-execution", "--state-machine-arn", machineARN + "hello", "--name", "one", "--input", "{}"},
		{"delete-activity", "--activity-arn", "x"},
	} {
		_, want, _ := s.runAWS(t, args)
		_, got, code := s.runGust(t, args)
		want = strings.TrimPrefix(strings.TrimSpace(want), "aws: [ERROR]: ")
		got = strings.TrimPrefix(strings.TrimSpace(got), "gust: ")
		if want != got || code != 254 {
			t.Errorf("%v: the AWS CLI says\n%s\nand gust, with exit code %d,\n%s", args, want, code, got)
		}
	}
}

// TestListingsGoOnWithTheOthersToken resumes a listing of the one with the other.
func TestListingsGoOnWithTheOthersToken(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts the AWS CLI")
	}
	s := newSideBySide(t)
	for i := range 5 {
		line := []string{"create-activity", "--name", fmt.Sprintf("a%d", i)}
		if _, errs, code := s.runGust(t, line); code != 0 {
			t.Fatalf("%v: %s", line, errs)
		}
	}
	whole, _, _ := s.runGust(t, []string{"list-activities", "--query", "activities[].name"})
	programs := []func(*testing.T, []string) (string, string, int){s.runAWS, s.runGust}
	for i, first := range programs {
		head, errs, _ := first(t, []string{"list-activities", "--max-items", "3", "--page-size", "2", "--query", "[activities[].name,NextToken]"})
		token := pageTokens.FindString(head)
		if token == "" {
			t.Fatalf("no token in %s%s", head, errs)
		}
		rest, errs, code := programs[1-i](t, []string{"list-activities", "--starting-token", token, "--page-size", "2", "--query", "activities[].name"})
		names := regexp.MustCompile(`a\d`)
		got := append(names.FindAllString(strings.ReplaceAll(head, token, ""), -1), names.FindAllString(rest, -1)...)
		if diff := cmp.Diff(names.FindAllString(whole, -1), got); diff != "" || code != 0 {
			t.Errorf("in two parts (-whole +parts): exit code %d %s\n%s", code, errs, diff)
		}
	}
}
