package main

import (
	"context"
	"sync"
	"time"

	"gust/operators"
)

const noOpOperator = "BenchNoOpOperator"

// noOp is a task that does nothing, but on a worker: unlike Airflow's EmptyOperator, which the scheduler ends itself.
type noOp struct{ watch *stopwatch }

func registerNoOp(r *operators.Registry, watch *stopwatch) error {
	return r.Register(operators.Spec{Name: noOpOperator, New: func() operators.Operator { return &noOp{watch} }})
}

// Execute does nothing.
func (o *noOp) Execute(context.Context, operators.Task) (operators.Result, error) {
	if o.watch != nil {
		o.watch.begin()
		defer o.watch.end()
	}
	return operators.Done(nil), nil
}

// stopwatch notes when the tasks of a chain begin and end.
type stopwatch struct {
	mu       sync.Mutex
	lastEnd  time.Time
	handOver []time.Duration
}

// reset begins a new chain: what lies between two is no hand-over.
func (s *stopwatch) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastEnd, s.handOver = time.Time{}, nil
}

func (s *stopwatch) begin() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lastEnd.IsZero() {
		s.handOver = append(s.handOver, now.Sub(s.lastEnd))
	}
}

func (s *stopwatch) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastEnd = time.Now()
}

// handOvers are the times from the end of a task to the start of the next.
func (s *stopwatch) handOvers() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handOver
}
