package stepfunctions

import (
	"encoding/json"
	"errors"
	"fmt"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/engine"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

const (
	typeStandard = "STANDARD"
	typeExpress  = "EXPRESS"

	statusActive = "ACTIVE"

	// maxMachines and maxActivities are how many of them a region may have.
	maxMachines   = 100_000
	maxActivities = 100_000

	maxDescription = 256
	maxARN         = 256
	maxLongARN     = 2000
)

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
	StateMachineArn        string `json:"stateMachineArn"`
	CreationDate           epoch  `json:"creationDate"`
	StateMachineVersionArn string `json:"stateMachineVersionArn,omitempty"`
}

func orText(s *string, fallback string) string {
	if s == nil {
		return fallback
	}
	return *s
}

// checkRole checks the form of a role's ARN.
func checkRole(role string) error {
	if len(role) < 4 || role[:4] != "arn:" {
		return server.Errorf("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: %s'", role)
	}
	return nil
}

// checkDefinition compiles a definition.
func checkDefinition(definition, machineType string) (*asl.Machine, error) {
	m, problems := parseDefinition(definition, machineType)
	if m == nil {
		return nil, server.Errorf("InvalidDefinition", "Invalid State Machine Definition: '%s'", problems.Errors())
	}
	return m, nil
}

func (in *createStateMachineInput) check() error {
	var v violations
	v.text("name", in.Name, 1, maxName)
	v.required("definition", in.Definition != nil)
	v.secret("definition", in.Definition, 1, asl.MaxDefinitionBytes)
	v.text("roleArn", in.RoleArn, 1, maxARN)
	v.oneOf("type", in.Type, typeStandard, typeExpress)
	v.secret("versionDescription", in.VersionDescription, 0, maxDescription)
	settings := checkSettings(&v, in.LoggingConfiguration, in.EncryptionConfiguration)
	checkTagLengths(&v, in.Tags)
	if err := v.err(); err != nil {
		return err
	}
	if err := checkName(*in.Name); err != nil {
		return err
	}
	if err := checkRole(*in.RoleArn); err != nil {
		return err
	}
	if settings != nil {
		return settings
	}
	if in.VersionDescription != nil && !in.Publish {
		return server.Errorf("ValidationException", "Version description can only be set when publish is true")
	}
	return checkTags(in.Tags)
}

func (s *Service) createStateMachine(r request, in *createStateMachineInput) (*createStateMachineOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	machineType := orText(in.Type, typeStandard)
	if _, err := checkDefinition(*in.Definition, machineType); err != nil {
		return nil, err
	}
	m, err := s.storeMachine(r, in, machineType)
	if err != nil {
		return nil, err
	}
	out := &createStateMachineOutput{StateMachineArn: m.ARN, CreationDate: epoch(m.Created)}
	if in.Publish {
		version, err := s.publish(m, in.VersionDescription)
		if err != nil {
			return nil, err
		}
		out.StateMachineVersionArn = versionARN(m.ARN, version.Number)
	}
	return out, nil
}

// storeMachine creates the machine, or finds an equal one that exists.
func (s *Service) storeMachine(r request, in *createStateMachineInput, machineType string) (*journal.Machine, error) {
	now := s.now()
	tags, err := encode(mergeTags(nil, in.Tags))
	if err != nil {
		return nil, err
	}
	set, err := readSettings(in.LoggingConfiguration, in.TracingConfiguration, in.EncryptionConfiguration,
		settings{defaultLogging, defaultTracing, ""})
	if err != nil {
		return nil, err
	}
	m := &journal.Machine{
		ARN: arns.Make(r.region, s.config.AccountID, "stateMachine", *in.Name), Name: *in.Name, Region: r.region,
		Type: machineType, Status: statusActive, Created: now, Tags: string(tags),
		Revision: journal.Revision{
			Definition: *in.Definition, RoleARN: *in.RoleArn, Logging: set.logging, Tracing: set.tracing,
			Encryption: set.encryption, Updated: now,
		},
	}
	created, err := s.journal.MachineCreate(m, maxMachines)
	if errors.Is(err, journal.ErrTooMany) {
		return nil, server.Errorf("StateMachineLimitExceeded", "The maximum number of state machines, %d, is reached", maxMachines)
	}
	if created || err != nil {
		return m, err
	}
	old, err := s.journal.MachineGet(r.ctx, m.ARN)
	if err != nil {
		return nil, err
	}
	if old.Status == engine.Deleting {
		return nil, machineDeleting(m.ARN)
	}
	if same, err := s.sameMachine(r, old, m, in); err != nil || same {
		return old, err
	}
	return nil, server.Errorf("StateMachineAlreadyExists", "State Machine Already Exists: '%s'", m.ARN)
}

// sameMachine compares what makes CreateStateMachine idempotent. Like at AWS, the role and the tags do not count, while
// publishing and the version's description do.
func (s *Service) sameMachine(r request, old, m *journal.Machine, in *createStateMachineInput) (bool, error) {
	a, b := old.Revision, m.Revision
	if old.Type != m.Type || a.Definition != b.Definition || a.Logging != b.Logging || a.Tracing != b.Tracing ||
		a.Encryption != b.Encryption {
		return false, nil
	}
	first, err := s.journal.VersionGet(r.ctx, old.ID, 1)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return !in.Publish, nil
	case err != nil:
		return false, err
	}
	// A version that was published later does not make the creation another one.
	return !in.Publish || first.Revision == a.ID && orText(first.Description, "") == orText(in.VersionDescription, ""), nil
}

func machineDeleting(arn string) error {
	return server.Errorf("StateMachineDeleting", "State Machine is being deleted: '%s'", arn)
}

func machineMissing(arn string) error {
	return server.Errorf("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", arn)
}

// machine finds a machine by its unqualified ARN.
func (s *Service) machine(r request, text string) (*journal.Machine, error) {
	a, err := machineARN(text)
	if err != nil {
		return nil, err
	}
	m, err := s.engine.Machines.Get(r.ctx, a.text)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, machineMissing(a.text)
	}
	return m, err
}

// required checks the one ARN of an operation that takes nothing else.
func requiredARN(field string, text *string, high int) error {
	var v violations
	v.text(field, text, 1, high)
	return v.err()
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
	Label                   string              `json:"label,omitempty"`
	MapRunArn               string              `json:"mapRunArn,omitempty"`
	RevisionID              string              `json:"revisionId,omitempty"`
	Description             *string             `json:"description,omitempty"`
	VariableReferences      map[string][]string `json:"variableReferences,omitempty"`
}

const (
	allData      = "ALL_DATA"
	metadataOnly = "METADATA_ONLY"
)

// describe fills what both describing operations share.
func (s *Service) describe(r request, revision *journal.Revision, includedData *string) (
	*describeStateMachineOutput, error,
) {
	out := &describeStateMachineOutput{
		Definition: revision.Definition, RoleArn: revision.RoleARN, RevisionID: revision.RevisionID,
		LoggingConfiguration: json.RawMessage(revision.Logging), TracingConfiguration: json.RawMessage(revision.Tracing),
		EncryptionConfiguration: json.RawMessage(revision.Encryption),
	}
	if orText(includedData, allData) == metadataOnly {
		out.Definition = "{}"
		return out, nil
	}
	compiled, err := s.engine.Machines.Revision(r.ctx, revision.ID)
	if err != nil {
		return nil, err
	}
	out.VariableReferences = compiled.Machine.VariableReferences()
	return out, nil
}

func (s *Service) describeStateMachine(r request, in *machineInput) (*describeStateMachineOutput, error) {
	var v violations
	v.text("stateMachineArn", in.StateMachineArn, 1, maxARN)
	v.oneOf("includedData", in.IncludedData, allData, metadataOnly)
	if err := v.err(); err != nil {
		return nil, err
	}
	t, err := s.target(r, *in.StateMachineArn, "")
	if err != nil {
		return nil, err
	}
	m := t.machine
	out, err := s.describe(r, &t.revision, in.IncludedData)
	if err != nil {
		return nil, err
	}
	out.StateMachineArn, out.Name, out.Status, out.Type = *in.StateMachineArn, m.Name, m.Status, m.Type
	out.CreationDate = epoch(m.Created)
	if t.version != nil {
		out.CreationDate, out.Description = epoch(t.version.Created), t.version.Description
	}
	return out, nil
}

type empty struct{}

func (s *Service) deleteStateMachine(r request, in *machineInput) (*empty, error) {
	if err := requiredARN("stateMachineArn", in.StateMachineArn, maxARN); err != nil {
		return nil, err
	}
	m, err := s.machine(r, *in.StateMachineArn)
	var known *server.Error
	if errors.As(err, &known) && known.Code == "StateMachineDoesNotExist" {
		return &empty{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &empty{}, s.engine.DeleteMachine(r.ctx, m)
}

type pageInput struct {
	MaxResults *int64  `json:"maxResults"`
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

func (s *Service) listStateMachines(r request, in *pageInput) (*listStateMachinesOutput, error) {
	var v violations
	size := in.check(&v, maxShortToken)
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

func versionARN(machine string, number int64) string { return fmt.Sprintf("%s:%d", machine, number) }
