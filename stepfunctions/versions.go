package stepfunctions

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// maxVersions is how many versions a machine may have.
const maxVersions = 1000

// target is a state machine as an ARN names it: as it is now, one of its versions, or what an alias leads to.
type target struct {
	machine  *journal.Machine
	revision journal.Revision
	// version is nil for an unqualified ARN, alias unless the ARN names one.
	version *journal.Version
	alias   *journal.Alias
}

// target finds what an ARN names. An alias with two versions leads to the one that the draw, a text, decides.
func (s *Service) target(r request, text, draw string) (*target, error) {
	a, err := machineARN(text)
	if err != nil {
		return nil, err
	}
	arn, qualifier := a.qualified()
	m, err := s.engine.Machines.Get(r.ctx, arn)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, machineMissing(text)
	}
	if err != nil {
		return nil, err
	}
	t := &target{machine: m, revision: m.Revision}
	number := versionNumber(qualifier)
	if qualifier != "" && number == 0 {
		if t.alias, err = s.journal.AliasGet(r.ctx, m.ID, qualifier); err == nil {
			number, err = route(t.alias, draw)
		}
	}
	if err == nil && qualifier != "" {
		t.version, err = s.journal.VersionGet(r.ctx, m.ID, number)
	}
	if errors.Is(err, journal.ErrNotFound) {
		return nil, machineMissing(text)
	}
	if err != nil || t.version == nil || t.version.Revision == m.Revision.ID {
		return t, err
	}
	revision, err := s.journal.RevisionGet(r.ctx, t.version.Revision)
	if err != nil {
		return nil, err
	}
	t.revision = *revision
	return t, nil
}

// route draws one of an alias's versions, by their weights. The same draw always gives the same version.
func route(a *journal.Alias, draw string) (int64, error) {
	routing, err := readRouting(a)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(draw)) // a hash never fails to write
	// The upper bits of FNV are mixed well only after another multiplication.
	at := int64(h.Sum64() * 0x9E3779B97F4A7C15 >> 32 % 100)
	for _, item := range routing {
		if at -= item.weight(); at < 0 {
			return item.number(), nil
		}
	}
	return routing[len(routing)-1].number(), nil
}

// versionOf cuts a version's ARN into the machine's ARN and the number.
func versionOf(text string) (machine string, number int64, err error) {
	a, err := machineARN(text)
	if err != nil {
		return "", 0, err
	}
	machine, qualifier := a.qualified()
	number = versionNumber(qualifier)
	if number == 0 {
		return "", 0, server.Errorf("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: %s'", a.kind)
	}
	return machine, number, nil
}

// publish makes the machine's current revision a version, unless it is one.
func (s *Service) publish(m *journal.Machine, description *string) (*journal.Version, error) {
	v, err := s.journal.VersionPublish(journal.Version{
		Machine: m.ID, Revision: m.Revision.ID, Description: description, Created: s.now(),
	}, maxVersions)
	if errors.Is(err, journal.ErrTooMany) {
		return nil, overQuota("The state machine has the maximum number of %d versions: "+
			"delete some that are not needed", maxVersions)
	}
	return v, err
}

type publishInput struct {
	StateMachineArn *string `json:"stateMachineArn"`
	RevisionID      *string `json:"revisionId"`
	Description     *string `json:"description"`
}

type versionItem struct {
	StateMachineVersionArn string `json:"stateMachineVersionArn"`
	CreationDate           epoch  `json:"creationDate"`
}

// initialRevision names the first revision, which has no id.
const initialRevision = "INITIAL"

func (s *Service) publishVersion(r request, in *publishInput) (*versionItem, error) {
	var v violations
	v.text("stateMachineArn", in.StateMachineArn, 1, maxARN)
	v.secret("description", in.Description, 0, maxDescription)
	if err := v.err(); err != nil {
		return nil, err
	}
	m, err := s.machine(r, *in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if m.Status == engine.Deleting {
		return nil, machineDeleting(m.ARN)
	}
	current := m.Revision.RevisionID
	if current == "" {
		current = initialRevision
	}
	if in.RevisionID != nil && *in.RevisionID != current {
		return nil, conflict("Failed to publish the State Machine version for revision %s. "+
			"The current State Machine revision is %s.", *in.RevisionID, current)
	}
	version, err := s.publish(m, in.Description)
	if err != nil {
		return nil, err
	}
	return &versionItem{versionARN(m.ARN, version.Number), epoch(version.Created)}, nil
}

func conflict(format string, args ...any) error {
	return &server.Error{Code: "ConflictException", Message: fmt.Sprintf(format, args...), Status: http.StatusConflict}
}

// overQuota is the error of a request for more than there may be.
func overQuota(format string, args ...any) error {
	return &server.Error{Code: "ServiceQuotaExceededException", Message: fmt.Sprintf(format, args...),
		Status: http.StatusPaymentRequired}
}

type listVersionsInput struct {
	StateMachineArn *string `json:"stateMachineArn"`
	pageInput
}

type listVersionsOutput struct {
	StateMachineVersions []versionItem `json:"stateMachineVersions"`
	NextToken            string        `json:"nextToken,omitempty"`
}

func (s *Service) listVersions(r request, in *listVersionsInput) (*listVersionsOutput, error) {
	var v violations
	v.text("stateMachineArn", in.StateMachineArn, 1, maxARN)
	size := in.check(&v, maxShortToken)
	if err := v.err(); err != nil {
		return nil, err
	}
	m, err := s.machine(r, *in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	of := listing("versions", m.ARN)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	list, err := s.journal.VersionList(r.ctx, m.ID, t.Number, size+1)
	if err != nil {
		return nil, err
	}
	out := &listVersionsOutput{StateMachineVersions: []versionItem{}}
	for i, version := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Number: list[i-1].Number})
			break
		}
		out.StateMachineVersions = append(out.StateMachineVersions,
			versionItem{versionARN(m.ARN, version.Number), epoch(version.Created)})
	}
	return out, nil
}

type versionInput struct {
	StateMachineVersionArn *string `json:"stateMachineVersionArn"`
}

func (s *Service) deleteVersion(r request, in *versionInput) (*empty, error) {
	if err := requiredARN("stateMachineVersionArn", in.StateMachineVersionArn, maxLongARN); err != nil {
		return nil, err
	}
	arn, number, err := versionOf(*in.StateMachineVersionArn)
	if err != nil {
		return nil, err
	}
	m, err := s.engine.Machines.Get(r.ctx, arn)
	if errors.Is(err, journal.ErrNotFound) {
		return &empty{}, nil
	}
	if err != nil {
		return nil, err
	}
	aliases, err := s.journal.AliasList(r.ctx, m.ID, 0, maxAliases)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range aliases {
		routing, err := readRouting(a)
		if err != nil {
			return nil, err
		}
		for _, item := range routing {
			if item.number() == number {
				names = append(names, a.Name)
			}
		}
	}
	if len(names) > 0 {
		return nil, conflict("Version to be deleted must not be referenced by an alias. "+
			"Current list of aliases referencing this version: [%s]", strings.Join(names, ", "))
	}
	return &empty{}, s.journal.VersionDelete(m.ID, number)
}
