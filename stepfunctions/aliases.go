package stepfunctions

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// maxAliases is how many aliases a machine may have.
const maxAliases = 100

// aliasPattern is AWS's pattern of an alias name in a form that Go's expressions know; aliasConstraint is how AWS shows it.
var aliasPattern = regexp.MustCompile(`^[a-zA-Z0-9_\-.]*[a-zA-Z_\-.][a-zA-Z0-9_\-.]*$`)

const aliasConstraint = `satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$`

// routingItem is one entry of an alias's routing.
type routingItem struct {
	StateMachineVersionArn *string `json:"stateMachineVersionArn"`
	Weight                 *int64  `json:"weight"`
}

func (i routingItem) weight() int64 {
	if i.Weight == nil {
		return 0
	}
	return *i.Weight
}

func (i routingItem) number() int64 {
	arn := orText(i.StateMachineVersionArn, "")
	return versionNumber(arn[strings.LastIndexByte(arn, ':')+1:])
}

func readRouting(a *journal.Alias) (routing []routingItem, err error) {
	err = json.Unmarshal([]byte(a.Routing), &routing)
	if err == nil && len(routing) == 0 {
		err = fmt.Errorf("the alias %s leads nowhere", a.Name)
	}
	return routing, err
}

// checkRoutingForm checks the constraints of a routing configuration.
func checkRoutingForm(v *violations, routing []routingItem) {
	if len(routing) < 1 || len(routing) > 2 {
		items := make([]string, len(routing))
		for i, item := range routing {
			items[i] = fmt.Sprintf("RoutingConfigurationListItem(stateMachineVersionArn=%s, weight=%d)",
				orText(item.StateMachineVersionArn, "null"), item.weight())
		}
		v.size("'["+strings.Join(items, ", ")+"]' ", "routingConfiguration", len(routing), 1, 2)
	}
	for i, item := range routing {
		field := fmt.Sprintf("routingConfiguration.%d.member.", i+1)
		v.text(field+"stateMachineVersionArn", item.StateMachineVersionArn, 1, maxLongARN)
		v.required(field+"weight", item.Weight != nil)
		v.between(field+"weight", item.Weight, 0, 100)
	}
}

func invalidRouting(format string, args ...any) error {
	e := server.Errorf("ValidationException", format, args...)
	e.Fields = map[string]string{"reason": "INVALID_ROUTING_CONFIGURATION"}
	return e
}

// checkRouting checks what a routing configuration says and returns the machine whose versions it names.
func (s *Service) checkRouting(r request, routing []routingItem) (*journal.Machine, error) {
	arns, weights := make([]string, len(routing)), make([]int64, len(routing))
	var sum int64
	for i, item := range routing {
		arns[i], weights[i] = *item.StateMachineVersionArn, *item.Weight
		sum += *item.Weight
	}
	received := "[" + strings.Join(arns, ", ") + "]"
	machine := ""
	for i, arn := range arns {
		m, _, err := versionOf(arn)
		if err != nil || i > 0 && m != machine {
			return nil, invalidRouting("Routing configuration must contain state machine version ARNs. Received: %s", received)
		}
		machine = m
	}
	if len(arns) == 2 && arns[0] == arns[1] {
		return nil, invalidRouting("Routing configuration must contain distinct state machine version ARNs. Received: %s", received)
	}
	if sum != 100 {
		return nil, invalidRouting("Sum of routing configuration weights must equal 100. Received: [%s]",
			strings.Trim(strings.Join(strings.Fields(fmt.Sprint(weights)), ", "), "[]"))
	}
	m, err := s.engine.Machines.Get(r.ctx, machine)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, resourceMissing(arns[0])
	}
	if err != nil {
		return nil, err
	}
	for i, item := range routing {
		if _, err := s.journal.VersionGet(r.ctx, m.ID, item.number()); errors.Is(err, journal.ErrNotFound) {
			return nil, resourceMissing(arns[i])
		} else if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// resourceMissing is the error about a resource that a request names and that does not exist.
func resourceMissing(name string) error {
	return &server.Error{Code: "ResourceNotFound", Message: "Request references a resource that does not exist.",
		Fields: map[string]string{"resourceName": name}}
}

type createAliasInput struct {
	Name                 *string       `json:"name"`
	Description          *string       `json:"description"`
	RoutingConfiguration []routingItem `json:"routingConfiguration"`
}

type createAliasOutput struct {
	StateMachineAliasArn string `json:"stateMachineAliasArn"`
	CreationDate         epoch  `json:"creationDate"`
}

func (s *Service) createAlias(r request, in *createAliasInput) (*createAliasOutput, error) {
	var v violations
	v.text("name", in.Name, 1, maxName)
	if in.Name != nil && *in.Name != "" && !aliasPattern.MatchString(*in.Name) {
		v.add(shown(*in.Name), "name", aliasConstraint)
	}
	v.secret("description", in.Description, 0, maxDescription)
	v.required("routingConfiguration", in.RoutingConfiguration != nil)
	if in.RoutingConfiguration != nil {
		checkRoutingForm(&v, in.RoutingConfiguration)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	m, err := s.checkRouting(r, in.RoutingConfiguration)
	if err != nil {
		return nil, err
	}
	if m.Status == engine.Deleting {
		return nil, machineDeleting(m.ARN)
	}
	routing, err := encode(in.RoutingConfiguration)
	if err != nil {
		return nil, err
	}
	now := s.now()
	a := &journal.Alias{Machine: m.ID, Name: *in.Name, Description: in.Description, Routing: string(routing), Created: now, Updated: now}
	return s.storeAlias(r, m, a)
}

// storeAlias stores a new alias, or finds an equal one that exists.
func (s *Service) storeAlias(r request, m *journal.Machine, a *journal.Alias) (*createAliasOutput, error) {
	created, err := s.journal.AliasCreate(a, maxAliases)
	switch {
	case errors.Is(err, journal.ErrTooMany):
		return nil, overQuota("The state machine has the maximum number of %d aliases: "+
			"delete some that are not needed", maxAliases)
	case err != nil:
		return nil, err
	case !created:
		old, err := s.journal.AliasGet(r.ctx, m.ID, a.Name)
		if err != nil {
			return nil, err
		}
		if old.Routing != a.Routing || orText(old.Description, "") != orText(a.Description, "") {
			return nil, conflict("Failed to create alias because an alias with the same name and a different routing " +
				"configuration already exists.")
		}
		a = old
	}
	return &createAliasOutput{StateMachineAliasArn: m.ARN + ":" + a.Name, CreationDate: epoch(a.Created)}, nil
}

type aliasInput struct {
	StateMachineAliasArn *string       `json:"stateMachineAliasArn"`
	Description          *string       `json:"description"`
	RoutingConfiguration []routingItem `json:"routingConfiguration"`
}

// alias finds an alias by its ARN.
func (s *Service) alias(r request, text string) (*journal.Machine, *journal.Alias, error) {
	a, err := machineARN(text)
	if err != nil {
		return nil, nil, err
	}
	arn, name := a.qualified()
	m, err := s.engine.Machines.Get(r.ctx, arn)
	if err == nil {
		var found *journal.Alias
		if found, err = s.journal.AliasGet(r.ctx, m.ID, name); err == nil {
			return m, found, nil
		}
	}
	if errors.Is(err, journal.ErrNotFound) {
		err = resourceMissing(text)
	}
	return nil, nil, err
}

type updateAliasOutput struct {
	UpdateDate epoch `json:"updateDate"`
}

func (s *Service) updateAlias(r request, in *aliasInput) (*updateAliasOutput, error) {
	var v violations
	v.text("stateMachineAliasArn", in.StateMachineAliasArn, 1, maxARN)
	v.secret("description", in.Description, 0, maxDescription)
	if in.RoutingConfiguration != nil {
		checkRoutingForm(&v, in.RoutingConfiguration)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if in.Description == nil && in.RoutingConfiguration == nil {
		return nil, &server.Error{Code: "ValidationException", Message: "Either the description or the RoutingConfiguration must be specified",
			Fields: map[string]string{"reason": "MISSING_REQUIRED_PARAMETER"}}
	}
	m, a, err := s.alias(r, *in.StateMachineAliasArn)
	if err != nil {
		return nil, err
	}
	if m.Status == engine.Deleting {
		return nil, machineDeleting(m.ARN)
	}
	if in.RoutingConfiguration != nil {
		of, err := s.checkRouting(r, in.RoutingConfiguration)
		if err != nil {
			return nil, err
		}
		routing, err := encode(in.RoutingConfiguration)
		if err != nil {
			return nil, err
		}
		if of.ID != m.ID {
			return nil, invalidRouting("Routing configuration must contain state machine version ARNs. Received: [%s]",
				*in.RoutingConfiguration[0].StateMachineVersionArn)
		}
		a.Routing = string(routing)
	}
	if in.Description != nil {
		a.Description = in.Description
	}
	a.Updated = s.now()
	return &updateAliasOutput{UpdateDate: epoch(a.Updated)}, s.journal.AliasUpdate(a)
}

type describeAliasOutput struct {
	StateMachineAliasArn string          `json:"stateMachineAliasArn"`
	Name                 string          `json:"name"`
	Description          *string         `json:"description,omitempty"`
	RoutingConfiguration json.RawMessage `json:"routingConfiguration"`
	CreationDate         epoch           `json:"creationDate"`
	UpdateDate           epoch           `json:"updateDate"`
}

func (s *Service) describeAlias(r request, in *aliasInput) (*describeAliasOutput, error) {
	if err := requiredARN("stateMachineAliasArn", in.StateMachineAliasArn, maxARN); err != nil {
		return nil, err
	}
	m, a, err := s.alias(r, *in.StateMachineAliasArn)
	if err != nil {
		return nil, err
	}
	return &describeAliasOutput{m.ARN + ":" + a.Name, a.Name, a.Description, json.RawMessage(a.Routing), epoch(a.Created),
		epoch(a.Updated)}, nil
}

func (s *Service) deleteAlias(r request, in *aliasInput) (*empty, error) {
	if err := requiredARN("stateMachineAliasArn", in.StateMachineAliasArn, maxARN); err != nil {
		return nil, err
	}
	_, a, err := s.alias(r, *in.StateMachineAliasArn)
	var known *server.Error
	if errors.As(err, &known) && known.Code == "ResourceNotFound" {
		return &empty{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &empty{}, s.journal.AliasDelete(a.ID)
}

type aliasItem struct {
	StateMachineAliasArn string `json:"stateMachineAliasArn"`
	CreationDate         epoch  `json:"creationDate"`
}

type listAliasesOutput struct {
	StateMachineAliases []aliasItem `json:"stateMachineAliases"`
	NextToken           string      `json:"nextToken,omitempty"`
}

// listAliases lists the aliases of a machine or, given a version's ARN, those that lead to the version.
func (s *Service) listAliases(r request, in *listVersionsInput) (*listAliasesOutput, error) {
	var v violations
	v.text("stateMachineArn", in.StateMachineArn, 1, maxARN)
	size := in.check(&v, maxShortToken)
	if err := v.err(); err != nil {
		return nil, err
	}
	target, err := s.target(r, *in.StateMachineArn, "")
	if err != nil {
		return nil, err
	}
	if target.alias != nil {
		return nil, server.Errorf("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: stateMachineAlias'")
	}
	of := listing("aliases", *in.StateMachineArn)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	list, err := s.journal.AliasList(r.ctx, target.machine.ID, t.Number, maxAliases)
	if err != nil {
		return nil, err
	}
	if target.version != nil {
		list = slices.DeleteFunc(list, func(a *journal.Alias) bool {
			routing, err := readRouting(a)
			return err != nil || !slices.ContainsFunc(routing, func(i routingItem) bool { return i.number() == target.version.Number })
		})
	}
	out := &listAliasesOutput{StateMachineAliases: []aliasItem{}}
	for i, a := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Number: list[i-1].ID})
			break
		}
		out.StateMachineAliases = append(out.StateMachineAliases, aliasItem{target.machine.ARN + ":" + a.Name, epoch(a.Created)})
	}
	return out, nil
}
