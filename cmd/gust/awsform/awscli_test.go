package awsform

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gust/stepfunctions/jsonvalue"
)

// awsCLI answers with the AWS CLI that scripts/test-tools.sh installs.
type awsCLI struct {
	in  *json.Encoder
	out *bufio.Scanner
}

type question struct {
	Format    string          `json:"format,omitempty"`
	Title     string          `json:"title,omitempty"`
	Query     string          `json:"query,omitempty"`
	Color     string          `json:"color,omitempty"`
	Shorthand *string         `json:"shorthand,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
}

func (a *awsCLI) ask(t rapid.TB, q question) (out string, failed bool) {
	t.Helper()
	if err := a.in.Encode(q); err != nil {
		t.Fatalf("ask the AWS CLI: %v", err)
	}
	if !a.out.Scan() {
		t.Fatalf("the AWS CLI gave no answer: %v", a.out.Err())
	}
	var answer struct{ Out, Error string }
	if err := json.Unmarshal(a.out.Bytes(), &answer); err != nil {
		t.Fatalf("answer %s: %v", a.out.Text(), err)
	}
	return answer.Out, answer.Error != ""
}

func startAWSCLI(t *testing.T) *awsCLI {
	t.Helper()
	python := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin", "python")
	if _, err := os.Stat(python); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		t.Skip("no AWS CLI to compare with: make test installs it")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/awscli_forms.py")
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the AWS CLI: %v\n%s", err, stderr.String())
		}
	})
	scanner := bufio.NewScanner(stdout)
	scanner.Buffer(nil, 4<<20)
	return &awsCLI{in: json.NewEncoder(stdin), out: scanner}
}

func parse(t rapid.TB, text string) jsonvalue.Value {
	t.Helper()
	v, err := jsonvalue.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// genValue draws answers as services give them: objects of scalars, lists of such objects, nested ones.
func genValue(depth int) *rapid.Generator[string] {
	text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9:_ -]{0,24}`), rapid.SampledFrom([]string{
		"é", "日本", "a\tb", "line\nbreak", `q"uote`, "<&>", "\u0001", "{\"a\": 1}", "arn:aws:states:us-east-1:123456789012:stateMachine:m", "½",
	}))
	scalars := rapid.OneOf(
		rapid.Map(text, func(s string) string { return string(jsonvalue.AppendString(nil, s)) }),
		rapid.Map(rapid.IntRange(-5, 1<<40), func(n int) string { return fmt.Sprint(n) }),
		rapid.SampledFrom([]string{"true", "false", "null", "0.0", "5.0", "1.25", "1e3", "1e-7", "123456789012345678901.5", "0.1"}),
	)
	if depth == 0 {
		return scalars
	}
	item := rapid.Deferred(func() *rapid.Generator[string] { return genValue(depth - 1) })
	object := rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,2}[A-Z]?`), item, 0, 5), func(m map[string]string) string {
		var fields []string
		for k, v := range m {
			fields = append(fields, fmt.Sprintf("%q:%s", k, v))
		}
		return "{" + strings.Join(fields, ",") + "}"
	})
	list := func(of *rapid.Generator[string]) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(of, 0, 3), func(items []string) string { return "[" + strings.Join(items, ",") + "]" })
	}
	return rapid.OneOf(scalars, object, list(object), list(scalars), list(list(scalars)))
}

func TestFormsAreTheAWSCLIs(t *testing.T) {
	t.Parallel()
	cli := startAWSCLI(t)
	rapid.Check(t, func(t *rapid.T) {
		q := question{
			Format: rapid.SampledFrom([]string{"json", "text", "table"}).Draw(t, "format"), Title: "DescribeThing",
			Color: rapid.SampledFrom([]string{"on", "off"}).Draw(t, "color"),
			Value: json.RawMessage(genValue(rapid.IntRange(1, 4).Draw(t, "depth")).Draw(t, "value")),
		}
		want, failed := cli.ask(t, q)
		var got bytes.Buffer
		err := Printer{Format: q.Format, Title: q.Title, Colour: q.Color == "on"}.Print(&got, parse(t, string(q.Value)))
		if failed {
			return // what it cannot print has no right form
		}
		if err != nil {
			t.Fatalf("%s: %v; the AWS CLI prints\n%s", q.Value, err, want)
		}
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Fatalf("%s of %s (-AWS CLI +ours):\n%s", q.Format, q.Value, diff)
		}
	})
}

const listing = `{"executions":[
  {"executionArn":"arn:1","name":"b","status":"SUCCEEDED","startDate":"2024-05-01T10:00:00+00:00","itemCount":5,"tags":{"z":"1","a":"2"}},
  {"executionArn":"arn:2","name":"a","status":"FAILED","startDate":"2024-06-01T10:00:00+00:00","stopDate":"2024-06-01T10:00:05+00:00","itemCount":0},
  {"executionArn":"arn:3","name":"c","status":"RUNNING","startDate":"2024-07-01T10:00:00.5+00:00","error":null}],"nextToken":"t"}`

func TestQueriesAreTheAWSCLIs(t *testing.T) {
	t.Parallel()
	cli := startAWSCLI(t)
	queries := []string{
		"executions[].name", "executions[*].{Name:name,Arn:executionArn}", "executions[?status=='FAILED'].name | [0]",
		"executions[?status==`FAILED`].[name,status]", "executions[?startDate>='2024-06-01'].name", "executions[?startDate<`2024-06-01`].name",
		"sort_by(executions, &name)[].name", "executions[0]", "executions[0].tags.*", "keys(executions[0])", "values(executions[0].tags)",
		"length(executions)", "nothing", "nothing.{a:b}", "nothing.[a,b]", "executions[9].{A:name}", "executions[].{A:tags.{Z:z,A:a}}",
		"max_by(executions[?itemCount], &itemCount).name", "executions[-1:].name", "executions[::-1].name", "reverse(executions)[0].name",
		"join(', ', executions[].name)", "executions[?contains(name, 'a')]", "executions[?!error].name", "to_string(executions[0].tags)",
		"executions[?itemCount > `1` && status != 'FAILED'].name", "executions[].[name, tags.z][]", "not_null(nothing, nextToken)",
		"executions[*].itemCount | sum(@)", "to_number('3.5')", "executions[*].name | sort(@)", "type(executions)", "\"nextToken\"",
		"executions[?starts_with(status, 'S')] | [0].{n: name, list: [status, itemCount], hash: {x: name}}", "@.nextToken", "[nextToken, executions[0].name]",
		"executions[", "foo bar", "unknown(@)", "executions[].{A:tags.{Z:'a\\'b',A:itemCount}}", "merge(executions[0].tags, {b: nextToken})", "map(&name, executions)",
	}
	for _, query := range queries {
		for _, format := range []string{"json", "text", "table"} {
			want, failed := cli.ask(t, question{Format: format, Title: "ListExecutions", Query: query, Value: json.RawMessage(listing)})
			var got bytes.Buffer
			q, err := CompileQuery(query)
			if err == nil {
				var v jsonvalue.Value
				if v, err = q.Search(parse(t, listing)); err == nil {
					err = Printer{Format: format, Title: "ListExecutions"}.Print(&got, v)
				}
			}
			if failed != (err != nil) {
				t.Errorf("%s (%s): the AWS CLI fails: %v, here: %v", query, format, failed, err)
			} else if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("%s (%s) (-AWS CLI +ours):\n%s", query, format, diff)
			}
		}
	}
}

func TestShorthandIsTheAWSCLIs(t *testing.T) {
	t.Parallel()
	cli := startAWSCLI(t)
	fixed := []string{
		"key=a,value=b", "a=b,c", "a=b,c,d=e", "a=", "a=,b=c", "level=ALL,includeExecutionData=true,destinations=[{cloudWatchLogsLogGroup={logGroupArn=arn:aws:logs:x:1:log-group:g:*}}]",
		`a="x,y",b=c`, `a='it''s'`, `a='it\'s',b="q\"q"`, "a=[b,c],d={e=f,g=[h]}", "a={}", "a=[]", "a = b , c = d", `a=b\,c`, "a=b c,d", "a=[[x],[y]]",
		"a", "=b", "a=b,a=c", "a=[b", "a={b=c", `a="b`, "a=b,,c=d", "a=b]", "a=b=c", "a=x{y", "", "a=b,c,", "x.y/z:1=v", "a=[b c,d e]", "a=b,c d,e=f",
	}
	check := func(t rapid.TB, text string) {
		want, failed := cli.ask(t, question{Shorthand: &text})
		got, err := ParseShorthand(text)
		switch {
		case failed != (err != nil):
			t.Errorf("%q: the AWS CLI refuses: %v (%s), here: %v %v", text, failed, want, err, got)
		case !failed && !jsonvalue.Equal(parse(t, want), got):
			t.Errorf("%q is %s to the AWS CLI, here %s", text, want, got)
		}
	}
	for _, text := range fixed {
		check(t, text)
	}
	if t.Failed() {
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		// Behind a closing bracket the AWS CLI does not like a space.
		check(t, strings.TrimRight(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "b=", "key", "=", "=c", ",", "d=e", "[x]", "{f=g}", "'q'", `"r s"`, " ", `\,`, "1", "/",
		}), 1, 8).Draw(t, "text"), ""), " "))
	})
}
