package server

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"gust/stepfunctions/jsonvalue"
)

// staleness makes a server eventually consistent, as AWS says of its describing and listing operations: an answer may
// be repeated for a while, and an execution that has just been started may not be found.
type staleness struct {
	lag  time.Duration
	seed maphash.Seed

	mu      sync.Mutex
	started map[string]time.Time
	answers map[uint64]oldAnswer
	// order are the entries of both maps by age, so that they can be forgotten.
	order []staleEntry
}

type oldAnswer struct {
	at  time.Time
	out []byte
}

type staleEntry struct {
	at     time.Time
	arn    string
	answer uint64
}

// SetLag makes the answers of describing and listing operations up to so old; 0 ends it.
func (f *Faults) SetLag(lag time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = nil
	if lag > 0 {
		f.stale = &staleness{lag: lag, seed: maphash.MakeSeed(), started: map[string]time.Time{}, answers: map[uint64]oldAnswer{}}
	}
}

// eventual are the operations whose documentation says that they are eventually consistent.
var eventual = map[string]bool{
	"DescribeExecution": true, "ListExecutions": true, "DescribeStateMachine": true, "ListStateMachines": true,
	"DescribeStateMachineForExecution": true, "DescribeActivity": true, "ListActivities": true, "DescribeMapRun": true,
	"ListMapRuns": true, "ListStateMachineVersions": true, "ListStateMachineAliases": true,
}

// consistent carries a request out, or gives an old answer to it.
func (f *Faults) consistent(ctx context.Context, c Call, now time.Time, invoker Invoker) ([]byte, error) {
	var s *staleness
	if f != nil {
		f.mu.Lock()
		s = f.stale
		f.mu.Unlock()
	}
	if s == nil {
		return invoker.Invoke(ctx, c)
	}
	key := s.key(c)
	if eventual[c.Operation] {
		if out, err, ok := s.old(c, key, now); ok {
			return out, err
		}
	}
	out, err := invoker.Invoke(ctx, c)
	if err != nil {
		return out, err
	}
	return s.note(c, key, now, out), nil
}

func (s *staleness) key(c Call) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = fmt.Fprintf(&h, "%s\x00%s\x00", c.Region, c.Operation) // a hash never fails to write
	_, _ = h.Write(c.Body)
	return h.Sum64()
}

// old is the answer that a request gets without being carried out.
func (s *staleness) old(c Call, key uint64, now time.Time) (out []byte, err error, ok bool) { //nolint:revive // ok tells whether the others count
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if a, ok := s.answers[key]; ok {
		return a.out, nil, true
	}
	if c.Operation != "DescribeExecution" {
		return nil, nil, false
	}
	arn := field(c.Body, "executionArn")
	if _, new := s.started[arn]; new {
		return nil, Errorf("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", arn), true
	}
	return nil, nil, false
}

// note remembers an answer and returns it without the executions that are too new to be listed.
func (s *staleness) note(c Call, key uint64, now time.Time, out []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	switch {
	case c.Operation == "StartExecution":
		if arn := field(out, "executionArn"); arn != "" {
			if _, known := s.started[arn]; !known {
				s.started[arn] = now
				s.order = append(s.order, staleEntry{at: now, arn: arn})
			}
		}
	case eventual[c.Operation]:
		if c.Operation == "ListExecutions" {
			out = s.withoutNew(out)
		}
		s.answers[key] = oldAnswer{at: now, out: out}
		s.order = append(s.order, staleEntry{at: now, answer: key})
	}
	return out
}

// forget drops what is older than the lag. The mutex is held.
func (s *staleness) forget(now time.Time) {
	n := 0
	for ; n < len(s.order) && now.Sub(s.order[n].at) >= s.lag; n++ {
		if e := s.order[n]; e.arn != "" {
			delete(s.started, e.arn)
		} else {
			delete(s.answers, e.answer)
		}
	}
	s.order = s.order[n:]
}

// withoutNew removes the executions from a page that have been started within the lag.
func (s *staleness) withoutNew(out []byte) []byte {
	page, err := jsonvalue.Parse(string(out))
	if err != nil {
		return out
	}
	all, _ := page.Get("executions")
	kept := make([]jsonvalue.Value, 0, all.Len())
	for _, e := range all.Items() {
		arn, _ := e.Get("executionArn")
		if _, new := s.started[arn.Text()]; !new {
			kept = append(kept, e)
		}
	}
	return page.With("executions", jsonvalue.NewArray(kept)).Append(nil)
}

// field is a text field of a JSON object; empty when there is none.
func field(body []byte, name string) string {
	var fields map[string]json.RawMessage
	var text string
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields[name], &text) != nil {
		return ""
	}
	return text
}
