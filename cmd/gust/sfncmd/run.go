package sfncmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnapi"
	"gust/cmd/gust/sfnconn"
	"gust/cmd/gust/sfnwatch"
	"gust/internal/app"
	"gust/internal/config"
)

// syncPatience is how long a synchronous execution may take: five minutes, and a little for the way.
const syncPatience = 310 * time.Second

type runFlags struct {
	input, name, kind    string
	mockConfig, testCase string
	quiet                bool
	here                 bool // the service ends with the command
}

func (h *Host) run() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "run STATE_MACHINE_ARN|FILE", Short: "Run an execution, follow it and print its output",
		Long: `Start an execution, follow it and print its output. On a terminal its states are shown live, otherwise a line for each
change; both go to standard error, the output to standard output. With a file the definition runs right here, on a service
of its own that ends with the command; Lambda functions, integrations and mocks are those of config.yaml. With --test-case
the states of the definition get the answers that the file of mocked responses has for that case, under the file's name.

Exits with 0 when the execution succeeded and with 3 when it failed, timed out or was aborted. Ctrl-C ends the command;
an execution that was started by ARN goes on.`,
		Example: "  gust sfn run hello.asl.json --input '{\"name\": \"Ada\"}'\n" +
			"  gust sfn run arn:aws:states:us-east-1:123456789012:stateMachine:hello --name second --input file://order.json",
		Args: h.Arguments("STATE_MACHINE_ARN|FILE"),
	}
	cmd.Flags().StringVar(&f.input, "input", "{}", "the `JSON` of the input, file://FILE, or - for standard input")
	cmd.Flags().StringVar(&f.name, "name", "", "the execution's `NAME` (default: a random one)")
	cmd.Flags().StringVar(&f.kind, "type", "STANDARD", "the `TYPE` of a state machine from a file: STANDARD or EXPRESS")
	cmd.Flags().StringVar(&f.mockConfig, "mock-config", "", "the `FILE` of mocked responses for a file's execution (default: stepfunctions.mock_config)")
	cmd.Flags().StringVar(&f.testCase, "test-case", "", "the test `CASE` of the mocked responses")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print the output only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if f.input, err = h.textOrFile(f.input); err != nil {
			return err
		}
		if !isARN(args[0]) {
			return h.runFile(cmd.Context(), args[0], f)
		}
		client, release, err := h.Client(cmd, syncPatience)
		if err != nil {
			return err
		}
		defer release()
		return h.runMachine(cmd.Context(), client, args[0], f)
	}
	return cmd
}

// runFile runs a definition on a service of its own.
func (h *Host) runFile(ctx context.Context, path string, f *runFlags) error {
	if f.kind != "STANDARD" && f.kind != "EXPRESS" {
		return host.Usagef("--type is %q; expected STANDARD or EXPRESS", f.kind)
	}
	definition, err := h.read(path)
	if err != nil {
		return err
	}
	if err := check(path, definition, f.kind == "EXPRESS"); err != nil {
		return err
	}
	cfg, err := h.Config()
	if err != nil {
		return err
	}
	own := *cfg
	if f.mockConfig != "" {
		own.StepFunctions.MockConfig = f.mockConfig
	}
	service, err := app.Embedded(ctx, &own, app.EmbeddedOptions{Ephemeral: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := service.Stop(stop); err != nil {
			h.note("gust: stop the service: %v", err)
		}
	}()
	client := localClient(service.Endpoint(), &own)
	machineARN, err := deploy(ctx, client, machineName(path), definition, types.StateMachineType(f.kind), own.StepFunctions.AccountID)
	if err != nil {
		return err
	}
	f.here = true
	return h.runMachine(ctx, client, machineARN, f)
}

// deploy makes the state machine of a file, beside one of the same name that came from the folder of state machines and has
// another definition.
func deploy(ctx context.Context, client *sfn.Client, name, definition string, kind types.StateMachineType, account string) (string, error) {
	role := fmt.Sprintf("arn:aws:iam::%s:role/gust-local", account)
	in := &sfn.CreateStateMachineInput{Name: &name, Definition: &definition, RoleArn: &role, Type: kind}
	out, err := client.CreateStateMachine(ctx, in)
	var exists *types.StateMachineAlreadyExists
	if errors.As(err, &exists) {
		in.Name = aws.String(name + "-run")
		out, err = client.CreateStateMachine(ctx, in)
	}
	if err != nil {
		return "", sfnapi.Describe("CreateStateMachine", err)
	}
	return *out.StateMachineArn, nil
}

// stopTimeout bounds how long the end of a service may take.
const stopTimeout = 5 * time.Second

var unfitName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// machineName is a valid name for the state machine of a file.
func machineName(path string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".json"), ".asl")
	name = strings.Trim(unfitName.ReplaceAllString(name, "-"), "-")
	if name == "" {
		name = "definition"
	}
	return name[:min(len(name), 70)]
}

// localClient is a client for a service of this process, which has no host prefixes.
func localClient(endpoint string, cfg *config.Config) *sfn.Client {
	login, secret := sfnconn.LocalKeys(cfg.StepFunctions.AccessKeys)
	return sfn.New(sfn.Options{
		Region: cfg.StepFunctions.Region, BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(login, secret, ""),
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("GustHostPrefix", func(
				ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
			) (middleware.InitializeOutput, middleware.Metadata, error) {
				return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
			}), middleware.Before)
		}},
	})
}

// runMachine starts an execution and sees it through.
func (h *Host) runMachine(ctx context.Context, client *sfn.Client, machineARN string, f *runFlags) error {
	if f.testCase != "" {
		machineARN += "#" + f.testCase
	}
	if express(ctx, client, machineARN) {
		return h.runSync(ctx, client, machineARN, f)
	}
	in := &sfn.StartExecutionInput{StateMachineArn: &machineARN, Input: &f.input}
	if f.name != "" {
		in.Name = &f.name
	}
	started, err := client.StartExecution(ctx, in)
	if err != nil {
		return sfnapi.Describe("StartExecution", err)
	}
	executionARN := *started.ExecutionArn
	x, err := h.follow(ctx, client, executionARN, f.quiet)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil && f.here {
		return host.Quiet(host.CodeInterrupted)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		h.note("The execution goes on. Follow it with: gust sfn tail %s -f\nStop it with: gust sfn stop %s", executionARN, executionARN)
		return host.Quiet(host.CodeInterrupted)
	}
	if err != nil {
		return err
	}
	return h.outcome(x.Status, x.Output, x.Error, x.Cause, x.FailedState())
}

// express asks what type a state machine has; who may not ask has a standard one.
func express(ctx context.Context, client *sfn.Client, machineARN string) bool {
	arn, _, _ := strings.Cut(machineARN, "#") // behind it stands a test case
	arn = strings.Join(strings.SplitN(arn, ":", 8)[:min(7, strings.Count(arn, ":")+1)], ":")
	machine, err := client.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: &arn})
	return err == nil && machine.Type == types.StateMachineTypeExpress
}

// runSync runs an express execution, which has no history.
func (h *Host) runSync(ctx context.Context, client *sfn.Client, machineARN string, f *runFlags) error {
	in := &sfn.StartSyncExecutionInput{StateMachineArn: &machineARN, Input: &f.input}
	if f.name != "" {
		in.Name = &f.name
	}
	out, err := client.StartSyncExecution(ctx, in)
	if err != nil {
		return sfnapi.Describe("StartSyncExecution", err)
	}
	if !f.quiet {
		h.note("%s %s in %s", aws.ToString(out.ExecutionArn), out.Status, aws.ToTime(out.StopDate).Sub(aws.ToTime(out.StartDate)).Round(time.Millisecond))
	}
	return h.outcome(string(out.Status), aws.ToString(out.Output), aws.ToString(out.Error), aws.ToString(out.Cause), "")
}

// outcome prints the output, or says why there is none.
func (h *Host) outcome(status, output, name, cause, state string) error {
	if status == "SUCCEEDED" {
		_, err := io.WriteString(h.Out, output+"\n")
		return err
	}
	text := "the execution " + map[string]string{"FAILED": "failed", "TIMED_OUT": "timed out", "ABORTED": "was aborted"}[status]
	if state != "" {
		text += fmt.Sprintf(" in state %q", state)
	}
	if detail := strings.TrimPrefix(strings.TrimSuffix(name+": "+cause, ": "), ": "); detail != "" {
		text += ": " + detail
	}
	return &host.ExitError{Code: host.CodeRunFailed, Err: errors.New(text)}
}

// redrawEvery is how often the live view is drawn: it shows how long states have been running.
const redrawEvery = 100 * time.Millisecond

// maxPlainLine is how long the lines are that tell an execution without a terminal: `gust sfn tail` tells it whole.
const maxPlainLine = 240

// follow shows an execution on standard error until it has ended.
func (h *Host) follow(ctx context.Context, client *sfn.Client, executionARN string, silent bool) (*sfnwatch.Execution, error) {
	screen := h.Screen(h.Err)
	timeline := sfnwatch.NewTimeline(maxPlainLine)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type news struct {
		event sfnwatch.Event
		err   error
	}
	events := make(chan news)
	go func() { // ends with the history or with ctx
		defer close(events)
		for e, err := range sfnwatch.History(ctx, client, executionARN, true, sfnwatch.PaceOf(loopback(client))) {
			select {
			case events <- news{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	view := &view{host: h, screen: screen, arn: executionARN, x: timeline.Execution()}
	if screen.Live() && !silent {
		defer screen.Leave()
	}
	for {
		select {
		case n, open := <-events:
			if !open || n.err != nil {
				cancel()
				for range events { // until its goroutine has ended
				}
				if n.err == nil {
					n.err = ctx.Err()
				}
				if timeline.Execution().Status != "RUNNING" {
					n.err = nil
				}
				if screen.Live() && !silent {
					screen.Show(view.lines(time.Now()))
				}
				return timeline.Execution(), n.err
			}
			line, _ := timeline.Line(&n.event)
			if !silent && !screen.Live() {
				discard(fmt.Fprintln(screen, line))
			}
		case <-tick.C:
		}
		if screen.Live() && !silent {
			screen.Show(view.lines(time.Now()))
		}
	}
}
