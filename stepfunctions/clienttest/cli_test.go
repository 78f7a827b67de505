package clienttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tool is the path of a program that scripts/test-tools.sh installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", name)
	if _, err := os.Stat(path); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		t.Skip(name + " is missing: `make test` installs it")
	}
	return path
}

// environ is what a user sets to use the service.
func environ(t *testing.T, endpoint string) []string {
	t.Helper()
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "AWS_PAGER=", "PYTHONDONTWRITEBYTECODE=1",
		"AWS_ENDPOINT_URL_SFN=" + endpoint, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "AWS_DISABLE_HOST_PREFIX_INJECTION=true",
	}
}

// cli is the AWS CLI in a shell that is set up for the service.
type cli struct {
	t    *testing.T
	path string
	env  []string
}

func awsCLI(t *testing.T) *cli {
	t.Helper()
	path := tool(t, "aws")
	return &cli{t, path, environ(t, Start(t, functions()))}
}

// try runs `aws stepfunctions` and returns what it prints, and its error output with the exit code as an error.
func (c *cli) try(args ...string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.path, append([]string{"stepfunctions"}, args...)...)
	cmd.Env = c.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("aws stepfunctions %s: exit code %d: %s", strings.Join(args, " "), exit.ExitCode(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), err
}

func (c *cli) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// text runs a command and prints one value of its answer.
func (c *cli) text(query string, args ...string) string {
	c.t.Helper()
	return c.run(append(args, "--query", query, "--output", "text")...)
}

// refused runs a command that must be refused with this error.
func (c *cli) refused(code string, args ...string) {
	c.t.Helper()
	out, err := c.try(args...)
	if err == nil || !strings.Contains(err.Error(), "("+code+")") {
		c.t.Errorf("%v: %q, %v; want %s", args, out, err, code)
	}
}

func (c *cli) create(name, definition string, more ...string) string {
	c.t.Helper()
	return c.text("stateMachineArn", append([]string{"create-state-machine", "--name", name, "--definition", definition,
		"--role-arn", Role}, more...)...)
}

// outcome waits for an execution's end and returns its status and its output or error.
func (c *cli) outcome(arn string) (status, rest string) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var d struct{ Status, Output, Error string }
		if err := json.Unmarshal([]byte(c.run("describe-execution", "--execution-arn", arn)), &d); err != nil {
			c.t.Fatal(err)
		}
		if d.Status != "RUNNING" || time.Now().After(deadline) {
			return d.Status, d.Output + d.Error
		}
	}
}

func TestCLIActivity(t *testing.T) {
	t.Parallel()
	c := awsCLI(t)
	activity := c.text("activityArn", "create-activity", "--name", "approve", "--tags", "key=team,value=a")
	machine := c.create("approvals", `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"`+activity+`","End":true}}}`)
	execution := c.text("executionArn", "start-execution", "--state-machine-arn", machine, "--input", `{"order":7}`)
	var task struct{ TaskToken, Input string }
	if err := json.Unmarshal([]byte(c.run("get-activity-task", "--activity-arn", activity, "--worker-name", "w")), &task); err != nil {
		t.Fatal(err)
	}
	if task.Input != `{"order":7}` || task.TaskToken == "" {
		t.Errorf("task %+v", task)
	}
	c.run("send-task-heartbeat", "--task-token", task.TaskToken)
	c.run("send-task-success", "--task-token", task.TaskToken, "--task-output", `{"approved":true}`)
	if status, output := c.outcome(execution); status != "SUCCEEDED" || output != `{"approved":true}` {
		t.Errorf("%s %s", status, output)
	}
	c.refused("TaskTimedOut", "send-task-success", "--task-token", task.TaskToken, "--task-output", "1")
	c.refused("InvalidToken", "send-task-failure", "--task-token", "no-token")
	if got := c.text("activities[].name", "list-activities"); got != "approve" {
		t.Errorf("activities %s", got)
	}
	c.run("delete-state-machine", "--state-machine-arn", machine)
	c.run("delete-activity", "--activity-arn", activity)
	c.refused("ActivityDoesNotExist", "describe-activity", "--activity-arn", activity)
}

func TestCLIMachines(t *testing.T) {
	t.Parallel()
	c := awsCLI(t)
	for name, m := range map[string]struct{ definition, input, status, rest string }{
		"hello-world":    {helloWorld, `{}`, "SUCCEEDED", `"World"`},
		"lambda-chain":   {lambdaChain, `20`, "SUCCEEDED", `41`},
		"choice-large":   {choice, `{"size":101}`, "SUCCEEDED", `"large"`},
		"choice-default": {choice, `{}`, "FAILED", "NoSize"},
		"retry":          {retry, `{}`, "SUCCEEDED", `"third time lucky"`},
		"catch":          {catch, `{"a":1}`, "SUCCEEDED", `{"a":1,"caught":{"Error":"Custom.Error","Cause":"{\"errorMessage\":\"it broke\",\"errorType\":\"Custom.Error\"}"}}`},
		"jsonata":        {jsonata, `{"numbers":[1,2,3.5]}`, "SUCCEEDED", `{"sum":6.5}`},
	} {
		execution := c.text("executionArn", "start-execution", "--state-machine-arn", c.create(name, m.definition), "--input", m.input)
		if status, rest := c.outcome(execution); status != m.status || rest != m.rest {
			t.Errorf("%s: %s %s, want %s %s", name, status, rest, m.status, m.rest)
		}
	}
	if got := c.text("sort(stateMachines[?starts_with(name, 'choice')].name) | join(',', @)", "list-state-machines"); got != "choice-default,choice-large" {
		t.Errorf("filtered names %s", got)
	}
}

func TestCLIHistory(t *testing.T) {
	t.Parallel()
	c := awsCLI(t)
	execution := c.text("executionArn", "start-execution", "--state-machine-arn", c.create("hello", helloWorld))
	if status, _ := c.outcome(execution); status != "SUCCEEDED" {
		t.Fatal(status)
	}
	var page struct {
		Events    []struct{ Type string }
		NextToken string
	}
	read := func(more ...string) {
		t.Helper()
		page.NextToken, page.Events = "", nil
		out := c.run(append([]string{"get-execution-history", "--execution-arn", execution}, more...)...)
		if err := json.Unmarshal([]byte(out), &page); err != nil {
			t.Fatal(err)
		}
	}
	read("--max-items", "4")
	if len(page.Events) != 4 || page.NextToken == "" {
		t.Fatalf("first page %+v", page)
	}
	read("--max-items", "4", "--starting-token", page.NextToken)
	if len(page.Events) != 2 || page.Events[1].Type != "ExecutionSucceeded" || page.NextToken != "" {
		t.Errorf("second page %+v", page)
	}
	read("--page-size", "1")
	if len(page.Events) != 6 {
		t.Errorf("six pages of one event: %+v", page)
	}
	read("--reverse-order", "--max-items", "1")
	if len(page.Events) != 1 || page.Events[0].Type != "ExecutionSucceeded" {
		t.Errorf("from the end: %+v", page)
	}
}

func TestCLIUpdateStopValidate(t *testing.T) {
	t.Parallel()
	c := awsCLI(t)
	machine := c.create("orders", waiting)
	execution := c.text("executionArn", "start-execution", "--state-machine-arn", machine, "--name", "first",
		"--trace-header", "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1")
	if got := c.text("traceHeader", "describe-execution", "--execution-arn", execution); !strings.HasPrefix(got, "Root=1-67891233-") {
		t.Errorf("trace header %s", got)
	}
	c.run("stop-execution", "--execution-arn", execution, "--error", "Cancelled", "--cause", "the customer changed her mind")
	if got := c.text("[status,error,cause]", "describe-execution", "--execution-arn", execution); got != "ABORTED\tCancelled\tthe customer changed her mind" {
		t.Errorf("%q", got)
	}
	before := c.text("revisionId", "describe-state-machine", "--state-machine-arn", machine)
	c.run("update-state-machine", "--state-machine-arn", machine, "--definition", helloWorld)
	if after := c.text("revisionId", "describe-state-machine", "--state-machine-arn", machine); after == before || after == "None" {
		t.Errorf("revision %s after %s", after, before)
	}
	if got := c.text("definition", "describe-state-machine", "--state-machine-arn", machine); got != helloWorld {
		t.Errorf("definition %s", got)
	}
	if got := c.text("result", "validate-state-machine-definition", "--definition", helloWorld); got != "OK" {
		t.Errorf("validation of a good definition: %s", got)
	}
	bad := c.text("[result,diagnostics[0].code,diagnostics[0].location]", "validate-state-machine-definition", "--definition",
		`{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}`)
	if bad != "FAIL\tMISSING_TRANSITION_TARGET\t/States/A/Next" {
		t.Errorf("validation of a bad definition: %q", bad)
	}
	c.refused("InvalidDefinition", "create-state-machine", "--name", "bad", "--role-arn", Role, "--definition", "{}")
	c.refused("ExecutionAlreadyExists", "start-execution", "--state-machine-arn", machine, "--name", "first", "--input", "1")
	c.run("delete-state-machine", "--state-machine-arn", machine)
	c.refused("StateMachineDoesNotExist", "describe-state-machine", "--state-machine-arn", machine)
}

func TestCLIParallelStartsAndTable(t *testing.T) {
	t.Parallel()
	c := awsCLI(t)
	machine := c.create("hello", helloWorld)
	var starts sync.WaitGroup
	arns := make([]string, 10)
	failures := make([]error, len(arns))
	for i := range arns {
		starts.Go(func() {
			arns[i], failures[i] = c.try("start-execution", "--state-machine-arn", machine, "--name", fmt.Sprintf("n-%d", i),
				"--query", "executionArn", "--output", "text")
		})
	}
	starts.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	for i, arn := range arns {
		if want := fmt.Sprintf(Prefix+"execution:hello:n-%d", i); arn != want {
			t.Errorf("execution %s, want %s", arn, want)
		}
		if status, _ := c.outcome(arn); status != "SUCCEEDED" {
			t.Errorf("%s is %s", arn, status)
		}
	}
	table := c.run("list-executions", "--state-machine-arn", machine, "--status-filter", "SUCCEEDED", "--output", "table",
		"--query", "executions[].[name,status]")
	if n := strings.Count(table, "SUCCEEDED"); n != 10 || !strings.HasPrefix(table, "----") || !strings.Contains(table, "|  n-0 |  SUCCEEDED  |") {
		t.Errorf("%d rows:\n%s", n, table)
	}
	if got := c.text("executions", "list-executions", "--state-machine-arn", machine, "--status-filter", "FAILED"); got != "" {
		t.Errorf("failed executions: %s", got)
	}
}

// The two operations that AWS serves under a host name of their own.
func TestCLISyncHost(t *testing.T) {
	t.Parallel()
	c := awsCLI(t)
	machine := c.create("express", lambdaChain, "--type", "EXPRESS")
	if got := c.text("[status,output]", "start-sync-execution", "--state-machine-arn", machine, "--input", "1"); got != "SUCCEEDED\t3" {
		t.Errorf("start-sync-execution: %q", got)
	}
	c.refused("StateMachineTypeNotSupported", "start-sync-execution", "--state-machine-arn", c.create("standard", helloWorld))
	got := c.text("[status,output,nextState]", "test-state", "--role-arn", Role, "--input", `{"a":2}`,
		"--definition", `{"Type":"Pass","Parameters":{"b.$":"$.a"},"Next":"Other"}`)
	if got != "SUCCEEDED\t{\"b\":2}\tOther" {
		t.Errorf("test-state: %q", got)
	}
}
