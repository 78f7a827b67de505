package stepfunctions

import (
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

type listExecutionsInput struct {
	StateMachineArn *string `json:"stateMachineArn"`
	MapRunArn       *string `json:"mapRunArn"`
	StatusFilter    *string `json:"statusFilter"`
	RedriveFilter   *string `json:"redriveFilter"`
	pageInput
}

type executionItem struct {
	ExecutionArn           string  `json:"executionArn"`
	StateMachineArn        string  `json:"stateMachineArn"`
	Name                   string  `json:"name"`
	Status                 string  `json:"status"`
	StartDate              epoch   `json:"startDate"`
	StopDate               epoch   `json:"stopDate,omitzero"`
	MapRunArn              string  `json:"mapRunArn,omitempty"`
	ItemCount              *int64  `json:"itemCount,omitempty"`
	StateMachineVersionArn *string `json:"stateMachineVersionArn,omitempty"`
	StateMachineAliasArn   *string `json:"stateMachineAliasArn,omitempty"`
	RedriveCount           int     `json:"redriveCount"`
	RedriveDate            epoch   `json:"redriveDate,omitzero"`
}

type listExecutionsOutput struct {
	Executions []executionItem `json:"executions"`
	NextToken  string          `json:"nextToken,omitempty"`
}

// check checks the parameters and returns the page size.
func (in *listExecutionsInput) check() (int, error) {
	var v violations
	v.length("stateMachineArn", in.StateMachineArn, 1, maxARN)
	size := in.pageInput.check(&v, maxToken)
	v.length("mapRunArn", in.MapRunArn, 1, maxLongARN)
	v.oneOf("statusFilter", in.StatusFilter, "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", statusPendingRedrive)
	v.oneOf("redriveFilter", in.RedriveFilter, "REDRIVEN", "NOT_REDRIVEN")
	if err := v.err(); err != nil {
		return 0, err
	}
	switch {
	case (in.StateMachineArn == nil) == (in.MapRunArn == nil):
		return 0, server.Errorf("ValidationException", "Must specify exactly one of: [stateMachineArn, mapRunArn]")
	case in.RedriveFilter != nil && in.MapRunArn == nil:
		return 0, server.Errorf("ValidationException", "redriveFilter can only be used with mapRunArn")
	case orText(in.StatusFilter, "") == statusPendingRedrive && in.MapRunArn == nil:
		return 0, server.Errorf("ValidationException", "The status PENDING_REDRIVE can only be used with mapRunArn")
	}
	return size, nil
}

// filter turns the parameters into what the journal lists. mapRun is the ARN of the map run, or empty.
func (in *listExecutionsInput) filter(r request, s *Service) (f journal.ExecutionFilter, mapRun string, err error) {
	f = journal.ExecutionFilter{Status: orText(in.StatusFilter, "")}
	if in.RedriveFilter != nil {
		redriven := *in.RedriveFilter == "REDRIVEN"
		f.Redriven = &redriven
	}
	if in.MapRunArn != nil {
		run, err := s.findMapRun(r, *in.MapRunArn)
		if err != nil {
			return f, "", err
		}
		f.MapRun = run.ID
		return f, run.ARN, nil
	}
	t, err := s.target(r, *in.StateMachineArn, "")
	if err != nil {
		return f, "", err
	}
	if t.machine.Type == typeExpress {
		return f, "", server.Errorf("StateMachineTypeNotSupported",
			"This operation is not supported by this type of state machine")
	}
	f.Machine = t.machine.ID
	switch {
	case t.alias != nil:
		f.AliasARN = *in.StateMachineArn
	case t.version != nil:
		f.VersionARN = *in.StateMachineArn
	}
	return f, "", nil
}

func (s *Service) listExecutions(r request, in *listExecutionsInput) (*listExecutionsOutput, error) {
	size, err := in.check()
	if err != nil {
		return nil, err
	}
	f, mapRun, err := in.filter(r, s)
	if err != nil {
		return nil, err
	}
	of := listing("executions", orText(in.StateMachineArn, ""), mapRun, f.Status, orText(in.RedriveFilter, ""))
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	f.Before = t.Number
	list, err := s.journal.ExecutionList(r.ctx, f, size+1)
	if err != nil {
		return nil, err
	}
	out := &listExecutionsOutput{Executions: []executionItem{}}
	for i, e := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Number: list[i-1].ID})
			break
		}
		shown := executionItem{
			ExecutionArn: e.ARN, StateMachineArn: e.MachineARN, Name: e.Name, Status: shownStatus(e), StartDate: epoch(e.Started),
			StopDate: epoch(e.Stopped), MapRunArn: mapRun, StateMachineVersionArn: e.VersionARN, StateMachineAliasArn: e.AliasARN,
			RedriveCount: e.Redrives, RedriveDate: epoch(e.Redriven),
		}
		if mapRun != "" {
			shown.ItemCount = &e.ItemCount
		}
		out.Executions = append(out.Executions, shown)
	}
	return out, nil
}
