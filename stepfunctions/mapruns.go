package stepfunctions

import (
	"context"
	"errors"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// findMapRun finds a map run by its ARN.
func (s *Service) findMapRun(r request, text string) (*journal.MapRun, error) {
	if _, err := parseARN(text, "mapRun"); err != nil {
		return nil, err
	}
	run, err := s.journal.MapRunGet(r.ctx, text)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, &server.Error{Code: "ResourceNotFound", Message: "Resource not found: '" + text + "'",
			Fields: map[string]string{"resourceName": text}}
	}
	return run, err
}

type mapRunInput struct {
	MapRunArn                  *string  `json:"mapRunArn"`
	MaxConcurrency             *int64   `json:"maxConcurrency"`
	ToleratedFailurePercentage *float64 `json:"toleratedFailurePercentage"`
	ToleratedFailureCount      *int64   `json:"toleratedFailureCount"`
}

// mapRunCounts are the counts of items or child executions.
type mapRunCounts struct {
	Pending               int64 `json:"pending"`
	Running               int64 `json:"running"`
	Succeeded             int64 `json:"succeeded"`
	Failed                int64 `json:"failed"`
	TimedOut              int64 `json:"timedOut"`
	Aborted               int64 `json:"aborted"`
	Total                 int64 `json:"total"`
	ResultsWritten        int64 `json:"resultsWritten"`
	FailuresNotRedrivable int64 `json:"failuresNotRedrivable"`
	PendingRedrive        int64 `json:"pendingRedrive"`
}

// add counts n of a status.
func (c *mapRunCounts) add(status string, n int64) {
	switch status {
	case string(interp.Running):
		c.Running += n
	case string(interp.Succeeded):
		c.Succeeded += n
	case string(interp.Failed):
		c.Failed += n
	case string(interp.TimedOut):
		c.TimedOut += n
	case string(interp.Aborted):
		c.Aborted += n
	case statusPendingRedrive:
		c.PendingRedrive += n
	}
	c.Pending -= n
}

type describeMapRunOutput struct {
	MapRunArn                  string       `json:"mapRunArn"`
	ExecutionArn               string       `json:"executionArn"`
	Status                     string       `json:"status"`
	StartDate                  epoch        `json:"startDate"`
	StopDate                   epoch        `json:"stopDate,omitzero"`
	MaxConcurrency             int64        `json:"maxConcurrency"`
	ToleratedFailurePercentage float64      `json:"toleratedFailurePercentage"`
	ToleratedFailureCount      int64        `json:"toleratedFailureCount"`
	ItemCounts                 mapRunCounts `json:"itemCounts"`
	ExecutionCounts            mapRunCounts `json:"executionCounts"`
	RedriveCount               int          `json:"redriveCount"`
	RedriveDate                epoch        `json:"redriveDate,omitzero"`
}

func (s *Service) describeMapRun(r request, in *mapRunInput) (*describeMapRunOutput, error) {
	if err := requiredARN("mapRunArn", in.MapRunArn, maxLongARN); err != nil {
		return nil, err
	}
	run, err := s.findMapRun(r, *in.MapRunArn)
	if err != nil {
		return nil, err
	}
	parent, err := s.journal.ExecutionByID(r.ctx, run.Execution)
	if err != nil {
		return nil, err
	}
	out := &describeMapRunOutput{
		MapRunArn: run.ARN, ExecutionArn: parent.ARN, Status: run.Status, StartDate: epoch(run.Started),
		StopDate: epoch(run.Stopped), MaxConcurrency: run.MaxConcurrency, ToleratedFailurePercentage: run.ToleratedPercentage,
		ToleratedFailureCount: run.ToleratedCount, RedriveCount: run.Redrives, RedriveDate: epoch(run.Redriven),
	}
	return out, s.countChildren(r.ctx, run, out)
}

func (s *Service) countChildren(ctx context.Context, run *journal.MapRun, out *describeMapRunOutput) error {
	tallies, err := s.journal.MapRunTally(ctx, run.ID, history.MaxEvents-1)
	if err != nil {
		return err
	}
	items, children := &out.ItemCounts, &out.ExecutionCounts
	items.Total, items.Pending, items.ResultsWritten = run.Items, run.Items, run.Written
	children.Total, children.Pending, children.ResultsWritten = run.Children, run.Children, run.Written
	for _, t := range tallies {
		items.add(t.Status, t.Items)
		children.add(t.Status, t.Executions)
		children.FailuresNotRedrivable += t.Unredrivable
		items.FailuresNotRedrivable += t.Unredrivable
	}
	activeChildren, activeItems := s.engine.MapRunActive(run.ID)
	items.add(string(interp.Running), activeItems)
	children.add(string(interp.Running), activeChildren)
	items.Pending, children.Pending = max(0, items.Pending), max(0, children.Pending)
	return nil
}

func (s *Service) updateMapRun(r request, in *mapRunInput) (*empty, error) {
	var v violations
	v.text("mapRunArn", in.MapRunArn, 1, maxLongARN)
	v.between("maxConcurrency", in.MaxConcurrency, 0, 1<<31-1)
	if p := in.ToleratedFailurePercentage; p != nil && !(*p >= 0 && *p <= 100) {
		v.percentage("toleratedFailurePercentage", *p)
	}
	v.between("toleratedFailureCount", in.ToleratedFailureCount, 0, 1<<53)
	if err := v.err(); err != nil {
		return nil, err
	}
	run, err := s.findMapRun(r, *in.MapRunArn)
	if err != nil {
		return nil, err
	}
	changed, err := s.engine.UpdateMapRun(run.ID, engine.MapRunBounds{
		MaxConcurrency: in.MaxConcurrency, ToleratedFailurePercentage: in.ToleratedFailurePercentage,
		ToleratedFailureCount: in.ToleratedFailureCount,
	})
	if err != nil {
		return nil, err
	}
	if !changed {
		return nil, &server.Error{Code: "ValidationException", Message: "Map Run has already completed and cannot be updated: '" + run.ARN + "'",
			Fields: map[string]string{"reason": "CANNOT_UPDATE_COMPLETED_MAP_RUN"}}
	}
	return &empty{}, nil
}

type listMapRunsInput struct {
	ExecutionArn *string `json:"executionArn"`
	pageInput
}

type mapRunItem struct {
	ExecutionArn    string `json:"executionArn"`
	MapRunArn       string `json:"mapRunArn"`
	StateMachineArn string `json:"stateMachineArn"`
	StartDate       epoch  `json:"startDate"`
	StopDate        epoch  `json:"stopDate,omitzero"`
}

type listMapRunsOutput struct {
	MapRuns   []mapRunItem `json:"mapRuns"`
	NextToken string       `json:"nextToken,omitempty"`
}

func (s *Service) listMapRuns(r request, in *listMapRunsInput) (*listMapRunsOutput, error) {
	var v violations
	v.text("executionArn", in.ExecutionArn, 1, maxARN)
	size := in.check(&v, maxShortToken)
	if err := v.err(); err != nil {
		return nil, err
	}
	e, err := s.execution(r, *in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	of := listing("map runs", e.ARN)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	list, err := s.journal.MapRunList(r.ctx, e.ID, t.Number, size+1)
	if err != nil {
		return nil, err
	}
	out := &listMapRunsOutput{MapRuns: []mapRunItem{}}
	for i, run := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Number: list[i-1].ID})
			break
		}
		out.MapRuns = append(out.MapRuns, mapRunItem{e.ARN, run.ARN, e.MachineARN, epoch(run.Started), epoch(run.Stopped)})
	}
	return out, nil
}
