package statemachine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers/stepfunctions"
)

// Deploy creates or updates a state machine, publishes a version and moves an alias.
type Deploy struct {
	awsconn.Params
	Name                 string            `param:"state_machine_name" alias:"name" template:"true" required:"true" doc:"Name of the state machine, 1 to 80 characters."`
	Definition           any               `param:"definition" ext:".json,.asl" required:"true" doc:"The definition in the States Language: the name of a file (relative to the pipeline file) that ends in .json or .asl, a text that holds JSON, or a mapping, whose keys are deployed in alphabetical order. It is not a template; see definition_substitutions."`
	Substitutions        map[string]any    `param:"definition_substitutions" template:"true" doc:"Values for the placeholders ${Name} in the definition, as CloudFormation and SAM have them: texts, numbers, booleans."`
	Activities           []string          `param:"activities" template:"true" doc:"Names of activities to create first, unless they exist: a definition may name them."`
	RoleARN              string            `param:"role_arn" template:"true" doc:"ARN of the role under which the state machine runs. Needed to create one; without it an existing one keeps its role."`
	Type                 string            `param:"type" default:"STANDARD" enum:"STANDARD,EXPRESS" doc:"Type of the state machine. It cannot be changed later."`
	LoggingConfiguration map[string]any    `param:"logging_configuration" template:"true" doc:"Logging under AWS's names: level, includeExecutionData, destinations. Default: as it is."`
	TracingEnabled       *bool             `param:"tracing_enabled" doc:"Trace with X-Ray. Default: as it is."`
	Tags                 map[string]string `param:"tags" template:"true" doc:"Tags to set. Other tags stay."`
	Publish              *bool             `param:"publish" doc:"Publish a version unless this revision has one. Default: true with alias, unless alias_routing says which versions, otherwise false."`
	VersionDescription   string            `param:"version_description" template:"true" doc:"Description of a version that is published, at most 256 characters."`
	Alias                string            `param:"alias" template:"true" doc:"Alias to create or move to the published version."`
	AliasDescription     *string           `param:"alias_description" template:"true" doc:"Description of the alias. Default: as it is."`
	AliasWeight          int               `param:"alias_weight" default:"100" doc:"Share of executions, in percent, that the alias gives to the published version; the rest stays with the version that has most of them now. An alias that is new gives all."`
	AliasRouting         map[string]int    `param:"alias_routing" doc:"Instead of alias_weight: one or two versions, by number or as latest (the one published now), with their weights, which sum to 100. For example {3: 90, latest: 10}."`

	deps *Deps
}

// Validate checks what is known when the pipeline is loaded.
func (d *Deploy) Validate() error {
	_, err := d.definition()
	return errors.Join(err, d.checkAlias(), d.checkLogging())
}

// definition makes and checks the text to deploy.
func (d *Deploy) definition() (*definition, error) {
	if d.Definition == nil {
		return &definition{}, nil // the loader has reported it
	}
	def, err := definitionText(d.Definition, d.Substitutions)
	if err != nil {
		return nil, err
	}
	return def, def.check(d.deps.Diagnose, d.Type)
}

func (d *Deploy) checkLogging() error {
	_, err := d.logging()
	return err
}

// logging is the configuration, nil when it is left as it is.
func (d *Deploy) logging() (*types.LoggingConfiguration, error) {
	if d.LoggingConfiguration == nil {
		return nil, nil
	}
	raw, err := json.Marshal(d.LoggingConfiguration)
	if err != nil {
		return nil, fmt.Errorf("logging_configuration: %w", err)
	}
	// The SDK's field names are AWS's, but for the case of the first letter.
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	c := &types.LoggingConfiguration{}
	if err := dec.Decode(c); err != nil {
		return nil, &param.Error{
			Path: []string{"logging_configuration"}, Problem: err.Error(), Expected: "level, includeExecutionData, destinations",
		}
	}
	return c, nil
}

// deployed is what the task returns.
type deployed struct {
	StateMachineARN string `json:"state_machine_arn"`
	// Change is created, updated or unchanged, and says nothing about version and alias.
	Change     string `json:"change"`
	RevisionID string `json:"revision_id,omitempty"`
	VersionARN string `json:"state_machine_version_arn,omitempty"`
	AliasARN   string `json:"state_machine_alias_arn,omitempty"`
}

// What a deployment did to the state machine itself.
const (
	changeCreated = "created"
	changeUpdated = "updated"
	changeNone    = "unchanged"
)

// keyMachine is the XCom key of the state machine's ARN.
const keyMachine = "state_machine_arn"

// deployment is one attempt's work.
type deployment struct {
	*Deploy
	work
	info       awsconn.Info
	definition string
	logging    *types.LoggingConfiguration
}

// Execute makes what there is equal to what is asked for.
func (d *Deploy) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	var none operators.Result
	def, err := d.definition()
	if err != nil {
		return none, operators.Fail(err)
	}
	logging, err := d.logging()
	if err != nil {
		return none, operators.Fail(err)
	}
	api, info, err := d.deps.Clients.SFN(ctx, t, d.Params)
	if err != nil {
		return none, err
	}
	w := &deployment{Deploy: d, work: work{d.deps, t, api}, info: info, definition: def.text, logging: logging}
	if err := w.activities(ctx); err != nil {
		return none, err
	}
	out, err := w.machine(ctx)
	if err != nil {
		return none, err
	}
	if err := t.XComPush(ctx, keyMachine, out.StateMachineARN); err != nil {
		return none, err
	}
	if spec := t.Spec(); spec == nil || spec.DoXComPush {
		link := stepfunctions.LinkToMachine(info, out.StateMachineARN)
		if err := t.XComPush(ctx, stepfunctions.MachineLinkKey, link); err != nil {
			return none, err
		}
	}
	if d.publishes() {
		if out.VersionARN, err = w.publish(ctx, out); err != nil {
			return none, err
		}
	}
	if d.Alias != "" {
		if out.AliasARN, err = w.alias(ctx, out); err != nil {
			return none, err
		}
	}
	return operators.Done(out), nil
}

// activities creates the activities; one that exists stays as it is.
func (w *deployment) activities(ctx context.Context) error {
	for _, name := range w.Activities {
		err := w.repeat(ctx, "CreateActivity", nil, func() error {
			_, err := w.api.CreateActivity(ctx, &sfn.CreateActivityInput{Name: aws.String(name)})
			return err
		})
		if err != nil && !is[*types.ActivityAlreadyExists](err) {
			return fmt.Errorf("activity %s: %w", name, err)
		}
	}
	return nil
}

// machine creates the state machine or brings it up to date.
func (w *deployment) machine(ctx context.Context) (*deployed, error) {
	arn, now, err := w.find(ctx)
	if err != nil {
		return nil, err
	}
	created := now == nil
	if created {
		if now, err = w.describe(ctx, arn, true); err != nil {
			return nil, err
		}
	}
	// A creation that is repeated finds what it created, and is not told of a role or tags that differ.
	change, err := w.update(ctx, arn, now)
	if err != nil {
		return nil, err
	}
	switch {
	case change == changeUpdated:
		if now, err = w.describe(ctx, arn, true); err != nil {
			return nil, err
		}
	case created:
		change = changeCreated
	}
	w.t.Log().Info(fmt.Sprintf("The state machine is %s: %s", change, arn))
	return &deployed{StateMachineARN: arn, Change: change, RevisionID: aws.ToString(now.RevisionId)}, nil
}

// find returns the ARN of the state machine and, unless it was created now, what it is. There is no look-up by name; the
// role's account tells the ARN, and where that is another account the creation tells that the name is taken.
func (w *deployment) find(ctx context.Context) (string, *sfn.DescribeStateMachineOutput, error) {
	if arn := w.likelyARN(); arn != "" {
		now, err := w.describe(ctx, arn, false)
		if err == nil {
			return arn, now, nil
		}
		if !is[*types.StateMachineDoesNotExist](err) {
			return "", nil, err
		}
	}
	if w.RoleARN != "" {
		arn, err := w.create(ctx)
		if !is[*types.StateMachineAlreadyExists](err) {
			return arn, nil, err
		}
	}
	arn, err := w.search(ctx)
	if err != nil {
		return "", nil, err
	}
	if arn == "" {
		return "", nil, operators.Failf("there is no state machine %q in %s yet; to create it, give role_arn", w.Name, w.info.Region)
	}
	now, err := w.describe(ctx, arn, false)
	return arn, now, err
}

// likelyARN is the ARN that the state machine has if its role is of its own account, as IAM demands.
func (w *deployment) likelyARN() string {
	parts := strings.Split(w.RoleARN, ":")
	if len(parts) < 6 || parts[4] == "" || w.info.Region == "" {
		return ""
	}
	return fmt.Sprintf("arn:%s:states:%s:%s:stateMachine:%s", parts[1], w.info.Region, parts[4], w.Name)
}

// describe describes the state machine; of one that was changed just now the answer may lag behind.
func (w *deployment) describe(ctx context.Context, arn string, fresh bool) (out *sfn.DescribeStateMachineOutput, err error) {
	err = w.repeat(ctx, "DescribeStateMachine", func(err error) bool {
		return fresh && is[*types.StateMachineDoesNotExist](err)
	}, func() error {
		out, err = w.api.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(arn)})
		return err
	})
	return out, err
}

// create creates the state machine. One of the same name that is being deleted is waited for.
func (w *deployment) create(ctx context.Context) (arn string, err error) {
	in := &sfn.CreateStateMachineInput{
		Name: aws.String(w.Name), Definition: aws.String(w.definition), RoleArn: aws.String(w.RoleARN),
		Type: types.StateMachineType(w.Type), LoggingConfiguration: w.logging, TracingConfiguration: w.tracing(),
		Tags: w.tags(w.Tags),
	}
	err = w.repeat(ctx, "CreateStateMachine", is[*types.StateMachineDeleting], func() error {
		out, err := w.api.CreateStateMachine(ctx, in)
		if err == nil {
			arn = aws.ToString(out.StateMachineArn)
		}
		return err
	})
	return arn, err
}

// search looks the name up among all state machines.
func (w *deployment) search(ctx context.Context) (string, error) {
	in := &sfn.ListStateMachinesInput{MaxResults: 1000}
	for {
		var out *sfn.ListStateMachinesOutput
		err := w.repeat(ctx, "ListStateMachines", nil, func() (err error) {
			out, err = w.api.ListStateMachines(ctx, in)
			return err
		})
		if err != nil {
			return "", err
		}
		for i := range out.StateMachines {
			if aws.ToString(out.StateMachines[i].Name) == w.Name {
				return aws.ToString(out.StateMachines[i].StateMachineArn), nil
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return "", nil
		}
		in.NextToken = out.NextToken
	}
}

// update changes what differs.
func (w *deployment) update(ctx context.Context, arn string, now *sfn.DescribeStateMachineOutput) (string, error) {
	if string(now.Type) != w.Type {
		return "", operators.Failf("state machine %s is of type %s, which cannot be changed to %s; delete it first, or use "+
			"another name", arn, now.Type, w.Type)
	}
	in := &sfn.UpdateStateMachineInput{StateMachineArn: aws.String(arn)}
	var changed []string
	note := func(differs bool, what string, set func()) {
		if differs {
			changed = append(changed, what)
			set()
		}
	}
	note(!sameDefinition(aws.ToString(now.Definition), w.definition), "definition", func() { in.Definition = aws.String(w.definition) })
	note(w.RoleARN != "" && w.RoleARN != aws.ToString(now.RoleArn), "role", func() { in.RoleArn = aws.String(w.RoleARN) })
	note(w.logging != nil && !sameLogging(w.logging, now.LoggingConfiguration), "logging", func() { in.LoggingConfiguration = w.logging })
	traced := now.TracingConfiguration != nil && now.TracingConfiguration.Enabled
	note(w.TracingEnabled != nil && *w.TracingEnabled != traced, "tracing", func() { in.TracingConfiguration = w.tracing() })
	change := changeNone
	if len(changed) > 0 {
		change = changeUpdated
		w.t.Log().Info("Updating " + strings.Join(changed, ", ") + " of " + arn)
		err := w.repeat(ctx, "UpdateStateMachine", is[*types.ConflictException], func() error {
			_, err := w.api.UpdateStateMachine(ctx, in)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return change, w.tag(ctx, arn)
}

// tag sets the tags that are missing or differ.
func (w *deployment) tag(ctx context.Context, arn string) error {
	if len(w.Tags) == 0 {
		return nil
	}
	missing := maps.Clone(w.Tags)
	err := w.repeat(ctx, "ListTagsForResource", nil, func() error {
		out, err := w.api.ListTagsForResource(ctx, &sfn.ListTagsForResourceInput{ResourceArn: aws.String(arn)})
		if err != nil {
			return err
		}
		for _, tag := range out.Tags {
			if w.Tags[aws.ToString(tag.Key)] == aws.ToString(tag.Value) {
				delete(missing, aws.ToString(tag.Key))
			}
		}
		return nil
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	return w.repeat(ctx, "TagResource", nil, func() error {
		_, err := w.api.TagResource(ctx, &sfn.TagResourceInput{ResourceArn: aws.String(arn), Tags: w.tags(missing)})
		return err
	})
}

func (w *deployment) tags(values map[string]string) []types.Tag {
	var tags []types.Tag
	for _, key := range slices.Sorted(maps.Keys(values)) {
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(values[key])})
	}
	return tags
}

func (w *deployment) tracing() *types.TracingConfiguration {
	if w.TracingEnabled == nil {
		return nil
	}
	return &types.TracingConfiguration{Enabled: *w.TracingEnabled}
}

func sameLogging(a, b *types.LoggingConfiguration) bool {
	return loggingText(a) == loggingText(b)
}

// loggingText is a configuration with AWS's defaults, to compare by.
func loggingText(c *types.LoggingConfiguration) string {
	whole := types.LoggingConfiguration{Level: types.LogLevelOff}
	if c != nil {
		whole.IncludeExecutionData = c.IncludeExecutionData
		if c.Level != "" {
			whole.Level = c.Level
		}
		if len(c.Destinations) > 0 {
			whole.Destinations = c.Destinations
		}
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
