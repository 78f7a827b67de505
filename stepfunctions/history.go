package stepfunctions

import (
	"bytes"
	"encoding/json"
	"strconv"

	"gust/stepfunctions/history"
)

type historyInput struct {
	ExecutionArn *string `json:"executionArn"`
	ReverseOrder bool    `json:"reverseOrder"`
	pageInput
	IncludeExecutionData *bool `json:"includeExecutionData"`
}

// getExecutionHistory writes its output itself: the events are stored in the form in which they are sent.
func (s *Service) getExecutionHistory(r request, body []byte) ([]byte, error) {
	var in historyInput
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, serializationError(err)
	}
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
	of := listing("history", e.ARN, in.ReverseOrder)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	first := t.Number
	if first == 0 {
		first = 1
		if in.ReverseOrder {
			first = e.LastEvent
		}
	}
	events, err := s.journal.History(r.ctx, e.ID, first, in.ReverseOrder, size+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(events) > size {
		events = events[:size]
		at := first + int64(size)
		if in.ReverseOrder {
			at = first - int64(size)
		}
		next = s.token(pageToken{Of: of, Number: at})
	}
	if in.IncludeExecutionData != nil && !*in.IncludeExecutionData {
		for i := range events {
			if events[i], err = history.WithoutData(events[i]); err != nil {
				return nil, err
			}
		}
	}
	out := append([]byte(`{"events":[`), bytes.Join(events, []byte(","))...)
	out = append(out, ']')
	if next != "" {
		out = strconv.AppendQuote(append(out, `,"nextToken":`...), next)
	}
	return append(out, '}'), nil
}
