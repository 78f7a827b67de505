// Package sfnworker works for a Step Functions activity: it polls for tasks, runs a command for each, sends heartbeats while
// the command runs, and answers with what the command came to.
package sfnworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/cmd/gust/sfnapi"
)

// API is what a worker needs of the client.
type API interface {
	GetActivityTask(context.Context, *sfn.GetActivityTaskInput, ...func(*sfn.Options)) (*sfn.GetActivityTaskOutput, error)
	SendTaskSuccess(context.Context, *sfn.SendTaskSuccessInput, ...func(*sfn.Options)) (*sfn.SendTaskSuccessOutput, error)
	SendTaskFailure(context.Context, *sfn.SendTaskFailureInput, ...func(*sfn.Options)) (*sfn.SendTaskFailureOutput, error)
	SendTaskHeartbeat(context.Context, *sfn.SendTaskHeartbeatInput, ...func(*sfn.Options)) (*sfn.SendTaskHeartbeatOutput, error)
}

// Options say how a worker works.
type Options struct {
	API         API
	ActivityARN string
	// Name is shown in histories.
	Name string
	// Command is the program and its arguments.
	Command []string
	// Concurrency is how many tasks are worked on at once, each with its own poll.
	Concurrency int
	// Heartbeat is the time between two heartbeats, 0 for none.
	Heartbeat time.Duration
	// Once ends the worker after a task, or after a poll that brought none.
	Once bool
	// Note is told what happens.
	Note func(format string, args ...any)
}

// Limits of Step Functions.
const (
	maxOutput = 262_144 // bytes
	maxCause  = 32_768  // characters
	maxName   = 80      // characters
)

// pollPause is the pause after a poll that failed, and the longest one after many.
const (
	pollPause    = time.Second
	maxPollPause = 30 * time.Second
)

// Run works until ctx is done: then it polls no more, lets the polls that are open end (at most a minute), works off the
// tasks they bring, and returns. Kill ends commands and polls at once. The error is one that polling again cannot mend.
func Run(ctx, kill context.Context, o Options) error {
	polls, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	for range max(1, o.Concurrency) {
		group.Go(func() {
			if err := o.work(polls, kill); err != nil {
				stop(err)
			}
		})
	}
	group.Wait()
	if err := context.Cause(polls); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// work polls and does tasks, one after the other.
func (o *Options) work(ctx, kill context.Context) error {
	pause := pollPause
	for ctx.Err() == nil {
		// An open poll is not given up: the service may be handing out a task that nobody would then do.
		task, err := o.API.GetActivityTask(kill, &sfn.GetActivityTaskInput{ActivityArn: &o.ActivityARN, WorkerName: &o.Name})
		switch {
		case kill.Err() != nil:
			return nil //nolint:nilerr // the poll was given up because the worker is to end
		case hopeless(err):
			return sfnapi.Describe("GetActivityTask", err)
		case err != nil:
			o.Note("polling again in %s: %v", pause, sfnapi.Describe("GetActivityTask", err))
			if !rest(ctx, pause) {
				return nil
			}
			pause = min(2*pause, maxPollPause)
			continue
		}
		pause = pollPause
		if token := aws.ToString(task.TaskToken); token != "" {
			o.do(kill, token, aws.ToString(task.Input))
		}
		if o.Once {
			return nil
		}
	}
	return nil
}

// hopeless reports errors that stay.
func hopeless(err error) bool {
	var api interface{ ErrorCode() string }
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ActivityDoesNotExist", "InvalidArn", "ValidationException", "AccessDeniedException", "UnrecognizedClientException",
		"InvalidClientTokenId", "InvalidSignatureException":
		return true
	}
	return false
}

// rest waits; false means that ctx was done first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// errGone ends a command whose task nobody waits for any more.
var errGone = errors.New("the task has timed out, or its execution has ended")

// do runs the command for a task and answers it.
func (o *Options) do(kill context.Context, token, input string) {
	began := time.Now()
	ctx, end := context.WithCancelCause(kill)
	var beats sync.WaitGroup
	beats.Go(func() { o.beat(ctx, token, end) })
	r := run(ctx, o.Command, input, []string{"GUST_SFN_TASK_TOKEN=" + token, "GUST_SFN_ACTIVITY_ARN=" + o.ActivityARN})
	gone := errors.Is(context.Cause(ctx), errGone)
	end(nil)
	beats.Wait()
	took := time.Since(began).Round(time.Millisecond)
	if gone {
		o.Note("task ended without an answer after %s: %v", took, errGone)
		return
	}
	if kill.Err() != nil {
		r = result{name: "Gust.WorkerStopped", cause: "the worker was stopped while the command ran"}
	}
	// The answer is sent even when the worker is being killed: it is one request.
	send, cancel := context.WithTimeout(context.WithoutCancel(kill), sendTimeout)
	defer cancel()
	if err := o.answer(send, token, r); err != nil {
		o.Note("task done in %s, but the answer was not taken: %v", took, err)
		return
	}
	if r.name != "" {
		o.Note("task failed in %s: %s: %s", took, r.name, firstLine(r.cause))
		return
	}
	o.Note("task succeeded in %s", took)
}

// sendTimeout bounds the sending of an answer, repetitions included.
const sendTimeout = time.Minute

func (o *Options) answer(ctx context.Context, token string, r result) error {
	if r.name == "" {
		_, err := o.API.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: &r.output})
		if err != nil {
			return sfnapi.Describe("SendTaskSuccess", err)
		}
		return nil
	}
	_, err := o.API.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: &token, Error: &r.name, Cause: aws.String(clip(r.cause))})
	if err != nil {
		return sfnapi.Describe("SendTaskFailure", err)
	}
	return nil
}

// beat sends heartbeats until ctx ends, or ends the command when its task is gone.
func (o *Options) beat(ctx context.Context, token string, end context.CancelCauseFunc) {
	for o.Heartbeat > 0 && rest(ctx, o.Heartbeat) {
		_, err := o.API.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &token})
		var late *types.TaskTimedOut
		var unknown *types.TaskDoesNotExist
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.As(err, &late) || errors.As(err, &unknown):
			end(errGone)
			return
		default:
			o.Note("a heartbeat was not taken: %v", sfnapi.Describe("SendTaskHeartbeat", err))
		}
	}
}

// result is how a command ended: with an output, or with the name of an error.
type result struct{ output, name, cause string }

// judge makes a result of what a command printed and of its exit code, "0" for success. The names of errors are those of the
// operator that does the same in pipelines.
func judge(stdout []byte, cut bool, stderr, code string) result {
	text := strings.TrimSpace(string(stdout))
	switch {
	case code != "0":
		return result{name: "Gust.CommandFailed", cause: strings.TrimSuffix(fmt.Sprintf("exit code %s: %s", code, strings.TrimSpace(stderr)), ": ")}
	case cut:
		return result{name: "Gust.OutputTooLarge", cause: fmt.Sprintf("the command printed more than %d bytes", maxOutput)}
	case text == "":
		return result{output: "null"}
	case !json.Valid([]byte(text)):
		return result{name: "Gust.OutputNotJSON", cause: "the command printed what is not JSON: " + text}
	}
	return result{output: text}
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > maxCause {
		return string(runes[:maxCause-3]) + "..."
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// WorkerName makes a worker's name of a host's and a process's.
func WorkerName(host string, pid int) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" <>{}[]?*\"#%\\^|~`$&,;:/", r) || r < ' ' || r > '~' {
			return '-'
		}
		return r
	}, host)
	tail := fmt.Sprintf("-%d", pid)
	return name[:min(len(name), maxName-len(tail))] + tail
}
