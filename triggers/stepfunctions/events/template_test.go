package events

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write the templates under testdata anew")

var templates = map[string]Template{
	"all":   {Queue: DefaultQueue},
	"some":  {Queue: "9_ends", DeadLetters: true, StateMachines: []string{machine, "arn:aws:states:eu-west-1:123456789012:stateMachine:nightly-*"}},
	"china": {Queue: "ends", StateMachines: []string{"arn:aws-cn:states:cn-north-1:123456789012:stateMachine:订单"}},
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for name, template := range templates {
		if err := template.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for format, extension := range map[string]string{CloudFormation: ".yaml", Terraform: ".tf"} {
			got := template.Render(format)
			path := filepath.Join("testdata", name+extension)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// The pattern in a template is the one that is checked, and matches what the queue is read for.
func TestTemplatePattern(t *testing.T) {
	t.Parallel()
	for name, template := range templates {
		var doc struct {
			Resources struct {
				Rule struct {
					Properties struct {
						EventPattern map[string]any `yaml:"EventPattern"`
					} `yaml:"Properties"`
				} `yaml:"Rule"`
			} `yaml:"Resources"`
		}
		if err := yaml.Unmarshal([]byte(template.Render(CloudFormation)), &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(template.pattern()), &want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, doc.Resources.Rule.Properties.EventPattern); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, status := range want["detail"].(map[string]any)["status"].([]any) {
			if !ends(status.(string)) {
				t.Errorf("the rule sends %s, which ends no wait", status)
			}
		}
	}
}

// TestTemplatesAreUnderstood has the tools that people feed the templates to check them.
func TestTemplatesAreUnderstood(t *testing.T) {
	t.Parallel()
	tools := os.Getenv("GUST_TEST_TOOLS")
	if tools == "" {
		t.Skip("cfn-lint and python-hcl2 are missing: `make test` installs them")
	}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) != len(templates) {
		t.Fatalf("%v, %v", files, err)
	}
	lint := exec.CommandContext(t.Context(), filepath.Join(tools, "python", "bin", "cfn-lint"), append([]string{"--regions", "eu-west-1", "--"}, files...)...)
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
	// It prints the addresses of what the file declares.
	const script = `
import sys, hcl2
for path in sys.argv[1:]:
    with open(path) as f:
        for block in hcl2.load(f)["resource"]:
            for kind, named in block.items():
                print(kind.strip('"'), *(name.strip('"') for name in named if not name.startswith("__")))
`
	parse := exec.CommandContext(t.Context(), filepath.Join(tools, "python", "bin", "python"), "-c", script, "testdata/some.tf", "testdata/all.tf")
	out, err := parse.CombinedOutput()
	if bytes.Contains(out, []byte("No module named 'hcl2'")) {
		t.Skip("python-hcl2 is missing: `make test` installs it")
	}
	want := ""
	for _, id := range []string{"_9_ends", "gust_events"} {
		want += fmt.Sprintf("aws_sqs_queue %[1]s\naws_cloudwatch_event_rule %[1]s\naws_cloudwatch_event_target %[1]s\n", id)
		if id == "_9_ends" {
			want += fmt.Sprintf("aws_sqs_queue %[1]s_dead_letters\naws_sqs_queue_policy %[1]s\naws_sqs_queue_policy %[1]s_dead_letters\n", id)
		} else {
			want += "aws_sqs_queue_policy " + id + "\n"
		}
	}
	if err != nil || string(out) != want {
		t.Errorf("hcl2: %v\n%s\nwant\n%s", err, out, want)
	}
}

func TestBadTemplates(t *testing.T) {
	t.Parallel()
	const prefix = "arn:aws:states:eu-west-1:123456789012:stateMachine:"
	many := make([]string, 30)
	for i := range many {
		many[i] = prefix + strings.Repeat("x", 20) + fmt.Sprint(i)
	}
	for want, template := range map[string]Template{
		`the queue "q.fifo" is a FIFO queue, which costs more and orders what needs no order; expected a name without .fifo`: {Queue: "q.fifo"},
		`the queue name is "a b"; expected 1 to 64 letters, digits, - and _`:                                                 {Queue: "a b"},
		`the queue name is ""; expected 1 to 64 letters, digits, - and _`:                                                    {},
		`got "orders"; expected the ARN of a state machine, such as arn:aws:states:eu-west-1:123456789012:stateMachine:orders`: {
			Queue: "q", StateMachines: []string{"orders"}},
		`got "arn:aws:states:eu-west-1:123456789012:stateMachine:a${b}"; expected the ARN of a state machine, such as arn:aws:states:eu-west-1:123456789012:stateMachine:orders`: {
			Queue: "q", StateMachines: []string{prefix + "a${b}"}},
		prefix + "orders:live names a version or an alias, which events do not; expected " + prefix + "orders": {
			Queue: "q", StateMachines: []string{prefix + "orders:live"}},
		"the state machines are in eu-west-1 and us-east-1; a rule hears its own region only: print a template for each": {
			Queue: "q", StateMachines: []string{machine, strings.Replace(machine, "eu-west-1", "us-east-1", 1)}},
		"the rule's pattern has 2437 characters, AWS allows 2048; name fewer state machines, use * in their names, or name none": {
			Queue: "q", StateMachines: many},
	} {
		if err := template.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
