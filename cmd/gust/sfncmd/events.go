package sfncmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/triggers/stepfunctions/events"
)

const eventsTemplateLong = `Print what has to be in AWS for executions to tell that they have ended, so that Gust need not ask for every one it waits
for: an EventBridge rule for the statuses SUCCEEDED, FAILED, TIMED_OUT and ABORTED, an SQS queue that it fills, and the
queue policy that lets it, as a CloudFormation template or as Terraform configuration. Nothing is created by this command.

  gust sfn events-template > gust-events.yaml
  aws cloudformation deploy --stack-name gust-events --template-file gust-events.yaml
  aws cloudformation describe-stacks --stack-name gust-events --query Stacks[0].Outputs

Then set stepfunctions.events.queue_url in config.yaml to the queue's URL, and restart the daemon. Until the first event of
a state machine has come, and again when the queue cannot be read, its executions are looked at as without a queue.

A rule hears the standard executions of its own account and region. Without --state-machine-arn it sends the ends of all of
them; each that no task waits for costs some requests, so name the state machines when most are not Gust's. A queue may be
shared by several daemons, at the price of a second or two; with a queue for each there is none.`

func (h *Host) eventsTemplate() *cobra.Command {
	t := events.Template{}
	cmd := &cobra.Command{
		Use: "events-template", Short: "Print the EventBridge rule and SQS queue that tell when executions end", Args: h.Arguments(),
		Long: eventsTemplateLong,
		Example: "  gust sfn events-template > gust-events.yaml\n" +
			"  gust sfn events-template --format terraform --queue-name orders-ended --dead-letter-queue\n" +
			"  gust sfn events-template --state-machine-arn 'arn:aws:states:eu-west-1:123456789012:stateMachine:orders-*'",
	}
	format := h.Choice(cmd, "format", "", "print as `FORMAT`", events.CloudFormation, events.CloudFormation, events.Terraform)
	cmd.Flags().StringVar(&t.Queue, "queue-name", events.DefaultQueue, "the `NAME` of the queue and of the rule")
	cmd.Flags().StringArrayVar(&t.StateMachines, "state-machine-arn", nil, "only executions of this `ARN`, in whose name * stands for any text (repeatable)")
	cmd.Flags().BoolVar(&t.DeadLetters, "dead-letter-queue", false, "add a queue for events that EventBridge could not deliver")
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := t.Validate(); err != nil {
			return &host.ExitError{Code: host.CodeUsage, Err: err}
		}
		discard(fmt.Fprint(h.Out, t.Render(*format)))
		return nil
	}
	return cmd
}
