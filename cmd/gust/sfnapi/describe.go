package sfnapi

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// NewDescribe is the command that shows whatever an ARN names.
func NewDescribe(env *Env, output *Output) *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe ARN", Short: "Show what an ARN names: execution, state machine, version, alias, activity, map run",
		Example: "  gust sfn describe " + arn + "execution:hello:first",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{"sfn describe: expected one ARN\nusage: " + cmd.UseLine() + "\nfor example:\n" + cmd.Example}
			}
			return nil
		},
	}
	output.Add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := describer(args[0])
		if err != nil {
			return err
		}
		show, err := output.printer(env, o.Name())
		if err != nil {
			return err
		}
		in := reflect.New(o.in)
		in.Elem().FieldByName(members(o.in)[0].field()).Set(reflect.ValueOf(&args[0]))
		client, release, err := env.Client(cmd, o.Patience)
		if err != nil {
			return err
		}
		defer release()
		answer, err := o.Invoke(cmd.Context(), client, in.Interface())
		if err != nil {
			return err
		}
		return show(answer)
	}
	return cmd
}

// describer is the operation that shows what an ARN names.
func describer(arn string) (*Operation, error) {
	parts := strings.Split(arn, ":")
	name := ""
	if len(parts) >= 7 && parts[0] == "arn" && parts[2] == "states" {
		name = map[string]string{
			"stateMachine": "DescribeStateMachine", "execution": "DescribeExecution", "express": "DescribeExecution",
			"activity": "DescribeActivity", "mapRun": "DescribeMapRun",
		}[parts[5]]
	}
	if name == "DescribeStateMachine" && len(parts) == 8 {
		if _, err := strconv.Atoi(parts[7]); err != nil {
			name = "DescribeStateMachineAlias"
		}
	}
	o := Find(name)
	if o == nil {
		return nil, &usageError{fmt.Sprintf("%q is not an ARN of Step Functions; expected one such as %s", arn, exampleARN)}
	}
	return o, nil
}

const exampleARN = "arn:aws:states:us-east-1:123456789012:execution:NAME:EXECUTION"
