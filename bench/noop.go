package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"gust/operators"
)

const noOpOperator = "BenchNoOpOperator"

// noOp is a task that does nothing, but on a worker: unlike Airflow's EmptyOperator, which the scheduler ends itself.
type noOp struct{ watch *stopwatch }

func registerNoOp(r *operators.Registry, watch *stopwatch) error {
	return errors.Join(
		r.Register(operators.Spec{Name: noOpOperator, New: func() operators.Operator { return &noOp{watch} }}),
		r.Register(operators.Spec{Name: listOperator, New: func() operators.Operator { return &list{} }}),
		r.Register(operators.Spec{Name: itemOperator, New: func() operators.Operator { return &item{} }}),
		r.Register(operators.Spec{Name: listenOperator, New: func() operators.Operator { return &listen{} }}),
	)
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

// listOperator returns a list of numbers, itemOperator takes one of them and does nothing: a source and a mapped task.
const (
	listOperator = "BenchListOperator"
	itemOperator = "BenchItemOperator"
)

type list struct {
	Length int `param:"length" required:"true"`
}

// Execute returns the list.
func (l *list) Execute(context.Context, operators.Task) (operators.Result, error) {
	items := make([]int, l.Length)
	for i := range items {
		items[i] = i
	}
	return operators.Done(items), nil
}

type item struct {
	Item int `param:"item" required:"true"`
}

// Execute does nothing.
func (i *item) Execute(context.Context, operators.Task) (operators.Result, error) {
	return operators.Done(nil), nil
}
