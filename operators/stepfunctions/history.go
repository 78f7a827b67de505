package stepfunctions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers/stepfunctions"
)

// GetExecutionHistory returns the events of an execution.
type GetExecutionHistory struct {
	awsconn.Params
	ExecutionARN         string   `param:"execution_arn" template:"true" required:"true" doc:"ARN of the execution, for example {{ ti.xcom_pull(task_ids='start') }}."`
	EventTypes           []string `param:"event_types" doc:"Keep only events of these types, for example [TaskFailed, ExecutionFailed]; a * stands for any letters: ['*Failed']."`
	ReverseOrder         bool     `param:"reverse_order" default:"false" doc:"The latest event first."`
	IncludeExecutionData bool     `param:"include_execution_data" default:"true" doc:"Keep inputs and outputs in the events."`
	MaxEvents            int      `param:"max_events" default:"0" doc:"Return at most this many events, after event_types; 0 is all. An execution has up to 25,000."`
	OutputFile           string   `param:"output_file" template:"true" doc:"Write the events to this file, one JSON object on a line, and return {path, events, bytes} instead: for a history that is larger than an XCom may be."`

	deps *Deps
}

// historyPage is how many events one call asks for, the most that AWS gives.
const historyPage = 1000

// Validate checks what is known when the pipeline is loaded.
func (g *GetExecutionHistory) Validate() error {
	if g.MaxEvents < 0 {
		return fmt.Errorf("max_events is %d; expected 0 or more", g.MaxEvents)
	}
	known := types.HistoryEventType("").Values()
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	for i, pattern := range g.EventTypes {
		if !slices.ContainsFunc(names, func(name string) bool { return like(pattern, name) }) {
			return &param.Error{
				Path: []string{"event_types", fmt.Sprint(i)}, Problem: fmt.Sprintf("%q is no type of a history event", pattern),
				Nearest: param.Nearest(pattern, names),
			}
		}
	}
	return nil
}

// like reports whether a name has the form of a pattern, in which a * stands for any letters.
func like(pattern, name string) bool {
	before, rest, any := strings.Cut(pattern, "*")
	tail, ok := strings.CutPrefix(name, before)
	if !ok || !any {
		return ok && tail == ""
	}
	for i := 0; i <= len(tail); i++ {
		if like(rest, tail[i:]) {
			return true
		}
	}
	return false
}

// Execute reads the history page by page.
func (g *GetExecutionHistory) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	if err := standardARN(g.ExecutionARN, "looked into: its history is in CloudWatch Logs only"); err != nil {
		return none, err
	}
	api, info, err := g.deps.Clients.SFN(ctx, t, g.Params)
	if err != nil {
		return none, err
	}
	j := &job{t: t, api: api, info: info, family: g.deps}
	if err := j.link(ctx, stepfunctions.ExecutionLinkKey, stepfunctions.LinkToExecution(info, g.ExecutionARN)); err != nil {
		return none, err
	}
	events, err := g.events(ctx, j)
	if err != nil {
		return none, err
	}
	t.Log().Info(fmt.Sprintf("The history of %s has %d events that were asked for", g.ExecutionARN, len(events)))
	if g.OutputFile != "" {
		return g.write(events)
	}
	if events == nil {
		events = []json.RawMessage{}
	}
	return operators.Done(events), nil
}

// events are the events that were asked for as JSON texts.
func (g *GetExecutionHistory) events(ctx context.Context, j *job) ([]json.RawMessage, error) {
	var events []json.RawMessage
	in := &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(g.ExecutionARN), MaxResults: historyPage, ReverseOrder: g.ReverseOrder,
		IncludeExecutionData: aws.Bool(g.IncludeExecutionData),
	}
	for {
		var out *sfn.GetExecutionHistoryOutput
		err := g.deps.repeat(ctx, j.t, "GetExecutionHistory", func() (err error) {
			out, err = j.api.GetExecutionHistory(ctx, in)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i := range out.Events {
			if !g.wants(&out.Events[i]) {
				continue
			}
			text, err := json.Marshal(wire(reflect.ValueOf(&out.Events[i])))
			if err != nil {
				return nil, fmt.Errorf("event %d of %s: %w", out.Events[i].Id, g.ExecutionARN, err)
			}
			if events = append(events, text); len(events) == g.MaxEvents {
				return events, nil
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return events, nil
		}
		in.NextToken = out.NextToken
	}
}

func (g *GetExecutionHistory) wants(e *types.HistoryEvent) bool {
	return len(g.EventTypes) == 0 ||
		slices.ContainsFunc(g.EventTypes, func(pattern string) bool { return like(pattern, string(e.Type)) })
}

// written is what is returned of a history that was written to a file.
type written struct {
	Path   string `json:"path"`
	Events int    `json:"events"`
	Bytes  int    `json:"bytes"`
}

// write replaces the file as a whole, so that nobody reads half a history.
func (g *GetExecutionHistory) write(events []json.RawMessage) (operators.Result, error) {
	text := bytes.Join(slices.Concat(asBytes(events), [][]byte{nil}), []byte("\n"))
	path, err := filepath.Abs(g.OutputFile)
	if err != nil {
		return operators.Result{}, fmt.Errorf("output_file: %w", err)
	}
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return operators.Result{}, fmt.Errorf("output_file: %w", err)
	}
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Chmod(0o644), draft.Close()); err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return operators.Result{}, fmt.Errorf("output_file: %w", errors.Join(err, os.Remove(draft.Name())))
	}
	return operators.Done(written{Path: path, Events: len(events), Bytes: len(text)}), nil
}

func asBytes(texts []json.RawMessage) [][]byte {
	out := make([][]byte, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// wire turns a structure of the SDK into JSON as the AWS CLI prints it: the service's names, which begin with a small
// letter, timestamps in ISO 8601, and nothing that is absent.
func wire(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return wire(v.Elem())
	case reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = wire(v.Index(i))
		}
		return items
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
		}
		fields := map[string]any{}
		for i := range v.NumField() {
			f, value := v.Type().Field(i), v.Field(i)
			if f.IsExported() && !absent(value) {
				fields[strings.ToLower(f.Name[:1])+f.Name[1:]] = wire(value)
			}
		}
		return fields
	}
	return v.Interface()
}

func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	}
	return false
}
