package stepfunctions

import (
	"encoding/json"

	"github.com/google/uuid"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/engine"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

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
	UpdateDate             epoch  `json:"updateDate"`
	RevisionID             string `json:"revisionId,omitempty"`
	StateMachineVersionArn string `json:"stateMachineVersionArn,omitempty"`
}

func (in *updateStateMachineInput) check() error {
	var v violations
	v.text("stateMachineArn", in.StateMachineArn, 1, maxARN)
	v.secret("definition", in.Definition, 1, asl.MaxDefinitionBytes)
	v.length("roleArn", in.RoleArn, 1, maxARN)
	v.secret("versionDescription", in.VersionDescription, 0, maxDescription)
	settings := checkSettings(&v, in.LoggingConfiguration, in.EncryptionConfiguration)
	if err := v.err(); err != nil {
		return err
	}
	if settings != nil {
		return settings
	}
	if in.VersionDescription != nil && !in.Publish {
		return server.Errorf("ValidationException", "Version description can only be set when publish is true")
	}
	return nil
}

func (s *Service) updateStateMachine(r request, in *updateStateMachineInput) (*updateStateMachineOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m, err := s.machine(r, *in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if in.Definition == nil && in.RoleArn == nil && !given(in.LoggingConfiguration) && !given(in.TracingConfiguration) &&
		!given(in.EncryptionConfiguration) {
		return nil, server.Errorf("MissingRequiredParameter", "Either the definition, the role ARN, the "+
			"LoggingConfiguration, or the TracingConfiguration must be specified")
	}
	if m.Status == engine.Deleting {
		return nil, machineDeleting(m.ARN)
	}
	next := m.Revision
	if in.Definition != nil {
		if _, err := checkDefinition(*in.Definition, m.Type); err != nil {
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
	set, err := readSettings(in.LoggingConfiguration, in.TracingConfiguration, in.EncryptionConfiguration,
		settings{next.Logging, next.Tracing, next.Encryption})
	if err != nil {
		return nil, err
	}
	next.Logging, next.Tracing, next.Encryption = set.logging, set.tracing, set.encryption
	return s.updated(m, next, in)
}

// updated stores the new revision and publishes it when asked to.
func (s *Service) updated(m *journal.Machine, next journal.Revision, in *updateStateMachineInput) (
	*updateStateMachineOutput, error,
) {
	changed, err := s.revise(m, next)
	if err != nil {
		return nil, err
	}
	out := &updateStateMachineOutput{UpdateDate: epoch(s.now()), RevisionID: changed.Revision.RevisionID}
	if in.Publish {
		version, err := s.publish(changed, in.VersionDescription)
		if err != nil {
			return nil, err
		}
		out.StateMachineVersionArn = versionARN(m.ARN, version.Number)
	}
	return out, nil
}

// revise makes a new revision of a machine unless nothing changes, and returns the machine as it is then.
func (s *Service) revise(m *journal.Machine, next journal.Revision) (*journal.Machine, error) {
	if next == m.Revision {
		return m, nil
	}
	next.RevisionID, next.Updated = uuid.NewString(), s.now()
	if err := s.journal.MachineRevise(m.ID, &next); err != nil {
		return nil, err
	}
	s.engine.Machines.Forget(m.ARN)
	changed := *m
	changed.Revision = next
	return &changed, nil
}
