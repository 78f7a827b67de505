package events

import (
	"fmt"
	"regexp"
	"strings"
)

// Formats of a Template.
const (
	CloudFormation = "cloudformation"
	Terraform      = "terraform"
)

// DefaultQueue is the name of the queue that a Template makes.
const DefaultQueue = "gust-events"

// Template describes what has to be in AWS for executions to tell their ends: an EventBridge rule, an SQS queue that it
// fills, and the policy that lets it.
type Template struct {
	// Queue names the queue and the rule.
	Queue string
	// StateMachines limits the rule to these; * in a name stands for any text. Empty: all of the account and region.
	StateMachines []string
	// DeadLetters adds a queue for events that EventBridge could not deliver.
	DeadLetters bool
}

// Bounds of AWS: names of rules are shorter than those of queues, and an event pattern has at most maxPattern characters.
const (
	maxName    = 64
	maxPattern = 2048
)

var (
	queueNames = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
	// machineARNs match the ARN of a state machine: its region, then its name, of the characters that AWS allows there and
	// *, with what may follow.
	machineARNs = regexp.MustCompile(`^arn:aws[a-z-]*:states:([a-z0-9-]+):\d{12}:stateMachine:([^\s<>{}\[\]?"#%\\^|~$&,;:/` + "`" + `]+)(:.*)?$`)
)

// Validate says what AWS would refuse, or would accept and never match.
func (t *Template) Validate() error {
	switch {
	case strings.HasSuffix(t.Queue, ".fifo"):
		return fmt.Errorf("the queue %q is a FIFO queue, which costs more and orders what needs no order; expected a name without .fifo", t.Queue)
	case !queueNames.MatchString(t.Queue) || len(t.Queue) > maxName:
		return fmt.Errorf("the queue name is %q; expected 1 to %d letters, digits, - and _", t.Queue, maxName)
	}
	region := ""
	for _, arn := range t.StateMachines {
		m := machineARNs.FindStringSubmatch(arn)
		switch {
		case m == nil:
			return fmt.Errorf("got %q; expected the ARN of a state machine, such as arn:aws:states:eu-west-1:123456789012:stateMachine:orders", arn)
		case m[3] != "":
			return fmt.Errorf("%s names a version or an alias, which events do not; expected %s", arn, strings.TrimSuffix(arn, m[3]))
		case region != "" && m[1] != region:
			return fmt.Errorf("the state machines are in %s and %s; a rule hears its own region only: print a template for each", region, m[1])
		}
		region = m[1]
	}
	if n := len(t.pattern()); n > maxPattern {
		return fmt.Errorf("the rule's pattern has %d characters, AWS allows %d; name fewer state machines, use * in their names, or name none", n, maxPattern)
	}
	return nil
}

// pattern is the rule's event pattern as compact JSON.
func (t *Template) pattern() string {
	detail := `"status":["SUCCEEDED","FAILED","TIMED_OUT","ABORTED"]`
	if len(t.StateMachines) > 0 {
		detail += `,"stateMachineArn":[` + strings.Join(t.machines(), ",") + `]`
	}
	return fmt.Sprintf(`{"source":[%q],"detail-type":[%q],"detail":{%s}}`, source, detailType, detail)
}

// machines are the state machines as JSON matchers. No character of a valid ARN has to be escaped.
func (t *Template) machines() []string {
	out := make([]string, len(t.StateMachines))
	for i, arn := range t.StateMachines {
		if out[i] = `"` + arn + `"`; strings.Contains(arn, "*") {
			out[i] = `{"wildcard":` + out[i] + `}`
		}
	}
	return out
}

// Render writes the template in a format. It must be valid.
func (t *Template) Render(format string) string {
	if format == Terraform {
		return t.terraform()
	}
	return t.cloudFormation()
}

const intro = `# Ends of Step Functions executions, for Gust: EventBridge sends them to an SQS queue, from which Gust reads them, so that
# it need not ask for every execution that it waits for. Standard executions only: express ones send no events.
#
%s# then set stepfunctions.events.queue_url in config.yaml, or GUST__STEPFUNCTIONS__EVENTS__QUEUE_URL, to the output %s.
# Who reads needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the queue.
`

// retention is how long the queue keeps an event, in seconds: one that is older has long been found by looking.
const retention = 3600

func (t *Template) cloudFormation() string {
	var b strings.Builder
	fmt.Fprintf(&b, intro, "#   aws cloudformation deploy --stack-name gust-events --template-file gust-events.yaml\n#\n", "QueueUrl")
	fmt.Fprintf(&b, `AWSTemplateFormatVersion: "2010-09-09"
Description: Ends of Step Functions executions for Gust

Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: %[1]s
      MessageRetentionPeriod: %[2]d
      ReceiveMessageWaitTimeSeconds: %[3]d
      VisibilityTimeout: %[4]d
      SqsManagedSseEnabled: true

  Rule:
    Type: AWS::Events::Rule
    Properties:
      Name: %[1]s
      Description: Step Functions executions that have ended
      State: ENABLED
      EventPattern:
        source: [%[5]s]
        detail-type: [%[6]s]
        detail:
          status: [SUCCEEDED, FAILED, TIMED_OUT, ABORTED]
`, t.Queue, retention, longPoll, hidden, source, detailType)
	if len(t.StateMachines) > 0 {
		b.WriteString("          stateMachineArn:\n")
		for _, m := range t.machines() {
			b.WriteString("            - " + m + "\n")
		}
	}
	b.WriteString("      Targets:\n        - Id: queue\n          Arn: !GetAtt Queue.Arn\n")
	t.cloudFormationPolicy(&b)
	return b.String()
}

// cloudFormationPolicy writes what follows the rule: where undelivered events go, who may send, and what is told.
func (t *Template) cloudFormationPolicy(b *strings.Builder) {
	resources, queues := "!GetAtt Queue.Arn", "!Ref Queue"
	if t.DeadLetters {
		b.WriteString("          DeadLetterConfig:\n            Arn: !GetAtt DeadLetters.Arn\n")
		fmt.Fprintf(b, `
  # Events that EventBridge could not deliver within a day.
  DeadLetters:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: %s-dead-letters
      MessageRetentionPeriod: 1209600
      SqsManagedSseEnabled: true
`, t.Queue)
		resources, queues = "["+resources+", !GetAtt DeadLetters.Arn]", queues+", !Ref DeadLetters"
	}
	fmt.Fprintf(b, `
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [%s]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Sid: EventsOfTheRule
            Effect: Allow
            Principal:
              Service: events.amazonaws.com
            Action: sqs:SendMessage
            Resource: %s
            Condition:
              ArnEquals:
                aws:SourceArn: !GetAtt Rule.Arn

Outputs:
  QueueUrl:
    Description: stepfunctions.events.queue_url
    Value: !Ref Queue
`, queues, resources)
}

func (t *Template) terraform() string {
	id := strings.ReplaceAll(t.Queue, "-", "_")
	if id[0] >= '0' && id[0] <= '9' {
		id = "_" + id
	}
	var b strings.Builder
	fmt.Fprintf(&b, intro, "#   terraform apply\n#\n", "queue_url")
	fmt.Fprintf(&b, `resource "aws_sqs_queue" "%[1]s" {
  name                       = "%[2]s"
  message_retention_seconds  = %[3]d
  receive_wait_time_seconds  = %[4]d
  visibility_timeout_seconds = %[5]d
  sqs_managed_sse_enabled    = true
}

resource "aws_cloudwatch_event_rule" "%[1]s" {
  name        = "%[2]s"
  description = "Step Functions executions that have ended"

  event_pattern = jsonencode({
    source        = ["%[6]s"]
    "detail-type" = ["%[7]s"]
    detail = {
      status = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
`, id, t.Queue, retention, longPoll, hidden, source, detailType)
	if len(t.StateMachines) > 0 {
		b.WriteString("      stateMachineArn = [\n")
		for _, m := range t.machines() {
			b.WriteString("        " + strings.NewReplacer(`{"wildcard":`, `{ wildcard = `, `}`, ` }`).Replace(m) + ",\n")
		}
		b.WriteString("      ]\n")
	}
	b.WriteString("    }\n  })\n}\n")
	t.terraformPolicy(&b, id)
	return b.String()
}

// terraformPolicy writes what follows the rule: its target, where undelivered events go, who may send, and what is told.
func (t *Template) terraformPolicy(b *strings.Builder, id string) {
	fmt.Fprintf(b, `
resource "aws_cloudwatch_event_target" "%[1]s" {
  rule      = aws_cloudwatch_event_rule.%[1]s.name
  target_id = "queue"
  arn       = aws_sqs_queue.%[1]s.arn
`, id)
	queues := []string{id}
	if t.DeadLetters {
		queues = append(queues, id+"_dead_letters")
		fmt.Fprintf(b, `
  dead_letter_config {
    arn = aws_sqs_queue.%[1]s_dead_letters.arn
  }
}

# Events that EventBridge could not deliver within a day.
resource "aws_sqs_queue" "%[1]s_dead_letters" {
  name                      = "%[2]s-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
`, id, t.Queue)
	}
	b.WriteString("}\n")
	for _, q := range queues {
		fmt.Fprintf(b, `
resource "aws_sqs_queue_policy" "%[1]s" {
  queue_url = aws_sqs_queue.%[1]s.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventsOfTheRule"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.%[1]s.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.%[2]s.arn } }
    }]
  })
}
`, q, id)
	}
	fmt.Fprintf(b, `
output "queue_url" {
  description = "stepfunctions.events.queue_url"
  value       = aws_sqs_queue.%s.url
}
`, id)
}
