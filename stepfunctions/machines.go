package stepfunctions

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

const (
	typeStandard = "STANDARD"
	typeExpress  = "EXPRESS"

	statusActive   = "ACTIVE"
	statusDeleting = "DELETING"

	// defaultLogging and defaultTracing are what AWS shows for a machine that sets neither.
	defaultLogging = `{"level":"OFF","includeExecutionData":false}`
	defaultTracing = `{"enabled":false}`
)

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type createStateMachineInput struct {
	Name                    *string         `json:"name"`
	Definition              *string         `json:"definition"`
	RoleArn                 *string         `json:"roleArn"`
	Type                    *string         `json:"type"`
	LoggingConfiguration    json.RawMessage `json:"loggingConfiguration"`
	TracingConfiguration    json.RawMessage `json:"tracingConfiguration"`
	EncryptionConfiguration json.RawMessage `json:"encryptionConfiguration"`
	Tags                    []tag           `json:"tags"`
	Publish                 bool            `json:"publish"`
	VersionDescription      *string         `json:"versionDescription"`
}

type createStateMachineOutput struct {
	StateMachineArn string `json:"stateMachineArn"`
	CreationDate    epoch  `json:"creationDate"`
}

func orText(s *string, fallback string) string {
	if s == nil {
		return fallback
	}
	return *s
}

func orJSON(raw json.RawMessage, fallback string) string {
	if len(raw) == 0 || string(raw) == "null" {
		return fallback
	}
	return string(raw)
}

func checkPublish(publish bool, description *string) error {
	switch {
	case publish:
		return server.Errorf("ValidationException", "Versions are not supported by the local Step Functions service yet: "+
			"publish must be false")
	case description != nil:
		return server.Errorf("ValidationException", "Version description can only be set when publish is true")
	}
	return nil
}

// checkRole checks the form of a role's ARN.
func checkRole(role string) error {
	if len(role) < 4 || role[:4] != "arn:" {
		return server.Errorf("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: %s'", role)
	}
	return nil
}

// checkDefinition compiles a definition.
func checkDefinition(definition string) (*asl.Machine, error) {
	m, problems := asl.Parse(definition)
	if m == nil {
		return nil, server.Errorf("InvalidDefinition", "Invalid State Machine Definition: '%s'", problems.Errors())
	}
	if problem := unsupported(m); problem != nil {
		return nil, server.Errorf("InvalidDefinition", "Invalid State Machine Definition: '%s'", problem)
	}
	return m, nil
}

// unsupported finds a task whose worker cannot answer here. Refusing it beats waiting for ever.
func unsupported(m *asl.Machine) *asl.Diagnostic {
	for _, s := range m.All() {
		var what string
		switch {
		case s.Task == nil:
			continue
		case s.Task.Resource.Kind == asl.Activity:
			what = "Activities are"
		case s.Task.Resource.Pattern == asl.WaitForTaskToken:
			what = "Task tokens are"
		default:
			continue
		}
		return &asl.Diagnostic{Severity: asl.SeverityError, Code: asl.CodeInvalidResource, Location: s.Location + "/Resource",
			Message: what + " not supported by the local Step Functions service yet", Line: s.Line(), Column: s.Column()}
	}
	return nil
}

func (s *Service) createStateMachine(r request, in *createStateMachineInput) (*createStateMachineOutput, error) {
	var v violations
	v.required("name", in.Name != nil)
	v.required("definition", in.Definition != nil)
	v.required("roleArn", in.RoleArn != nil)
	machineType := orText(in.Type, typeStandard)
	v.oneOf("type", machineType, typeStandard, typeExpress)
	if in.Definition != nil {
		v.length("definition", *in.Definition, 1, asl.MaxDefinitionBytes)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := checkName(*in.Name); err != nil {
		return nil, err
	}
	if err := checkRole(*in.RoleArn); err != nil {
		return nil, err
	}
	if err := checkPublish(in.Publish, in.VersionDescription); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if _, err := checkDefinition(*in.Definition); err != nil {
		return nil, err
	}
	return s.storeMachine(r, in, machineType)
}

// storeMachine creates the machine, or finds an equal one that exists.
func (s *Service) storeMachine(r request, in *createStateMachineInput, machineType string) (
	*createStateMachineOutput, error,
) {
	now := s.now()
	tags, err := encode(in.Tags)
	if err != nil {
		return nil, err
	}
	m := &journal.Machine{
		ARN: makeARN(r.region, s.config.AccountID, "stateMachine", *in.Name), Name: *in.Name, Region: r.region,
		Type: machineType, Status: statusActive, Created: now, Tags: string(tags),
		Revision: journal.Revision{
			Definition: *in.Definition, RoleARN: *in.RoleArn, Logging: orJSON(in.LoggingConfiguration, defaultLogging),
			Tracing: orJSON(in.TracingConfiguration, defaultTracing), Encryption: orJSON(in.EncryptionConfiguration, ""),
			Updated: now,
		},
	}
	created, err := s.journal.MachineCreate(m)
	if err != nil {
		return nil, err
	}
	if !created {
		old, err := s.journal.MachineGet(r.ctx, m.ARN)
		if err != nil {
			return nil, err
		}
		if old.Status == statusDeleting {
			return nil, server.Errorf("StateMachineDeleting", "State Machine is being deleted: '%s'", m.ARN)
		}
		// Like AWS, the role and the tags do not count.
		a, b := old.Revision, m.Revision
		if old.Type != m.Type || a.Definition != b.Definition || a.Logging != b.Logging || a.Tracing != b.Tracing ||
			a.Encryption != b.Encryption {
			return nil, server.Errorf("StateMachineAlreadyExists", "State Machine Already Exists: '%s'", m.ARN)
		}
		m = old
	}
	return &createStateMachineOutput{StateMachineArn: m.ARN, CreationDate: epoch(m.Created)}, nil
}

// machine finds a machine by its ARN.
func (s *Service) machine(r request, text *string) (*journal.Machine, error) {
	var v violations
	v.required("stateMachineArn", text != nil)
	if err := v.err(); err != nil {
		return nil, err
	}
	a, err := machineARN(*text)
	if err != nil {
		return nil, err
	}
	m, err := s.engine.machines.get(r.ctx, a.text)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, server.Errorf("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", a.text)
	}
	return m, err
}

type updateStateMachineInput struct {
	StateMachineArn         *string         `json:"stateMachineArn"`
	Definition              *string         `json:"definition"`
	RoleArn                 *string         `json:"roleArn"`
	LoggingConfiguration    json.RawMessage `json:"loggingConfiguration"`
	TracingConfiguration    json.RawMessage `json:"tracingConfiguration"`
	EncryptionConfiguration json.RawMessage `json:"encryptionConfiguration"`
	Publish                 bool            `json:"publish"`
	VersionDescription      *string         `json:"versionDescription"`
}

type updateStateMachineOutput struct {
	UpdateDate epoch  `json:"updateDate"`
	RevisionID string `json:"revisionId,omitempty"`
}

func (s *Service) updateStateMachine(r request, in *updateStateMachineInput) (*updateStateMachineOutput, error) {
	m, err := s.machine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if in.Definition == nil && in.RoleArn == nil && len(in.LoggingConfiguration) == 0 &&
		len(in.TracingConfiguration) == 0 && len(in.EncryptionConfiguration) == 0 {
		return nil, server.Errorf("MissingRequiredParameter", "Either the definition, the role ARN, the "+
			"LoggingConfiguration, or the TracingConfiguration must be specified")
	}
	if err := checkPublish(in.Publish, in.VersionDescription); err != nil {
		return nil, err
	}
	if m.Status == statusDeleting {
		return nil, server.Errorf("StateMachineDeleting", "State Machine is being deleted: '%s'", m.ARN)
	}
	next := m.Revision
	if in.Definition != nil {
		var v violations
		v.length("definition", *in.Definition, 1, asl.MaxDefinitionBytes)
		if err := v.err(); err != nil {
			return nil, err
		}
		if _, err := checkDefinition(*in.Definition); err != nil {
			return nil, err
		}
		next.Definition = *in.Definition
	}
	if in.RoleArn != nil {
		if err := checkRole(*in.RoleArn); err != nil {
			return nil, err
		}
		next.RoleARN = *in.RoleArn
	}
	next.Logging = orJSON(in.LoggingConfiguration, next.Logging)
	next.Tracing = orJSON(in.TracingConfiguration, next.Tracing)
	next.Encryption = orJSON(in.EncryptionConfiguration, next.Encryption)
	return s.revise(m, next)
}

// revise makes a new revision of a machine unless nothing changes.
func (s *Service) revise(m *journal.Machine, next journal.Revision) (*updateStateMachineOutput, error) {
	now := s.now()
	if next == m.Revision {
		return &updateStateMachineOutput{UpdateDate: epoch(now), RevisionID: m.Revision.RevisionID}, nil
	}
	next.RevisionID, next.Updated = uuid.NewString(), now
	if err := s.journal.MachineRevise(m.ID, &next); err != nil {
		return nil, err
	}
	s.engine.machines.forget(m.ARN)
	return &updateStateMachineOutput{UpdateDate: epoch(now), RevisionID: next.RevisionID}, nil
}

type machineInput struct {
	StateMachineArn *string `json:"stateMachineArn"`
	IncludedData    *string `json:"includedData"`
}

type describeStateMachineOutput struct {
	StateMachineArn         string              `json:"stateMachineArn"`
	Name                    string              `json:"name"`
	Status                  string              `json:"status,omitempty"`
	Definition              string              `json:"definition"`
	RoleArn                 string              `json:"roleArn"`
	Type                    string              `json:"type,omitempty"`
	CreationDate            epoch               `json:"creationDate,omitzero"`
	UpdateDate              epoch               `json:"updateDate,omitzero"`
	LoggingConfiguration    json.RawMessage     `json:"loggingConfiguration"`
	TracingConfiguration    json.RawMessage     `json:"tracingConfiguration"`
	EncryptionConfiguration json.RawMessage     `json:"encryptionConfiguration,omitempty"`
	RevisionID              string              `json:"revisionId,omitempty"`
	VariableReferences      map[string][]string `json:"variableReferences,omitempty"`
}

// describe fills what both describing operations share.
func (s *Service) describe(r request, revision *journal.Revision, includedData *string) (
	*describeStateMachineOutput, error,
) {
	if includedData != nil {
		var v violations
		v.oneOf("includedData", *includedData, "METADATA_ONLY", "ALL_DATA")
		if err := v.err(); err != nil {
			return nil, err
		}
	}
	out := &describeStateMachineOutput{
		Definition: revision.Definition, RoleArn: revision.RoleARN, RevisionID: revision.RevisionID,
		LoggingConfiguration: json.RawMessage(revision.Logging), TracingConfiguration: json.RawMessage(revision.Tracing),
		EncryptionConfiguration: json.RawMessage(revision.Encryption),
	}
	compiled, err := s.engine.machines.revision(r.ctx, revision.ID)
	if err != nil {
		return nil, err
	}
	out.VariableReferences = compiled.VariableReferences()
	if orText(includedData, "") == "METADATA_ONLY" {
		out.Definition = "{}"
	}
	return out, nil
}

func (s *Service) describeStateMachine(r request, in *machineInput) (*describeStateMachineOutput, error) {
	m, err := s.machine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	out, err := s.describe(r, &m.Revision, in.IncludedData)
	if err != nil {
		return nil, err
	}
	out.StateMachineArn, out.Name, out.Status, out.Type = m.ARN, m.Name, m.Status, m.Type
	out.CreationDate = epoch(m.Created)
	return out, nil
}

type empty struct{}

func (s *Service) deleteStateMachine(r request, in *machineInput) (*empty, error) {
	m, err := s.machine(r, in.StateMachineArn)
	var known *server.Error
	if errors.As(err, &known) && known.Code == "StateMachineDoesNotExist" {
		return &empty{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &empty{}, s.engine.deleteMachine(r.ctx, m)
}

type listStateMachinesInput struct {
	MaxResults *int    `json:"maxResults"`
	NextToken  *string `json:"nextToken"`
}

type machineItem struct {
	StateMachineArn string `json:"stateMachineArn"`
	Name            string `json:"name"`
	Type            string `json:"type"`
	CreationDate    epoch  `json:"creationDate"`
}

type listStateMachinesOutput struct {
	StateMachines []machineItem `json:"stateMachines"`
	NextToken     string        `json:"nextToken,omitempty"`
}

func (s *Service) listStateMachines(r request, in *listStateMachinesInput) (*listStateMachinesOutput, error) {
	var v violations
	size := pageSize(in.MaxResults, &v)
	if err := v.err(); err != nil {
		return nil, err
	}
	of := listing("machines", r.region)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	list, err := s.journal.MachineList(r.ctx, r.region, t.Name, size+1)
	if err != nil {
		return nil, err
	}
	out := &listStateMachinesOutput{StateMachines: []machineItem{}}
	for i, m := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Name: list[i-1].Name})
			break
		}
		out.StateMachines = append(out.StateMachines, machineItem{m.ARN, m.Name, m.Type, epoch(m.Created)})
	}
	return out, nil
}

// now returns the time as it is stored and shown, in milliseconds.
func (s *Service) now() time.Time { return s.config.Clock().UTC().Truncate(time.Millisecond) }
