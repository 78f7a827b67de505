package asl

import (
	"math"
	"slices"
	"time"
)

// The error names the language predefines.
const (
	ErrAll                      = "States.ALL"
	ErrTaskFailed               = "States.TaskFailed"
	ErrTimeout                  = "States.Timeout"
	ErrHeartbeatTimeout         = "States.HeartbeatTimeout"
	ErrPermissions              = "States.Permissions"
	ErrResultPathMatchFailure   = "States.ResultPathMatchFailure"
	ErrParameterPathFailure     = "States.ParameterPathFailure"
	ErrQueryEvaluation          = "States.QueryEvaluationError"
	ErrBranchFailed             = "States.BranchFailed"
	ErrNoChoiceMatched          = "States.NoChoiceMatched"
	ErrIntrinsicFailure         = "States.IntrinsicFailure"
	ErrExceedToleratedThreshold = "States.ExceedToleratedFailureThreshold"
	ErrItemReaderFailed         = "States.ItemReaderFailed"
	ErrResultWriterFailed       = "States.ResultWriterFailed"
	ErrDataLimitExceeded        = "States.DataLimitExceeded"
	ErrRuntime                  = "States.Runtime"
)

// maxDelaySeconds is the largest MaxDelaySeconds, 366 days.
const maxDelaySeconds = 31_622_400

var (
	retrierFields = &fieldSet{both: []string{"Comment", "ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate",
		"MaxDelaySeconds", "JitterStrategy"}}
	catcherFields = &fieldSet{both: []string{"Comment", "ErrorEquals", "Next", "Assign"}, jsonPath: []string{"ResultPath"},
		jsonata: []string{"Output"}}
)

// errorHandling reads Retry and Catch.
func (p *parser) errorHandling(s *State, o *object) {
	retriers := o.entries("Retry")
	for i, r := range retriers {
		r.allow(retrierFields)
		s.Retry = append(s.Retry, p.retrier(r, r.errorEquals(i == len(retriers)-1)))
	}
	catchers := o.with(statesScope{errorOutput: true}).entries("Catch")
	for i, c := range catchers {
		c.allow(catcherFields)
		catcher := &Catcher{Errors: c.errorEquals(i == len(catchers)-1), location: c.location}
		c.required("Next")
		catcher.Next, catcher.ResultPath = c.str("Next"), c.resultPath()
		catcher.Assign, catcher.Output = c.assign(), c.output()
		s.Catch = append(s.Catch, catcher)
	}
}

// errorEquals reads the error names of an entry of Retry or Catch.
func (o *object) errorEquals(last bool) []string {
	o.str("Comment")
	o.required("ErrorEquals")
	o.notEmpty("ErrorEquals")
	names := o.strings("ErrorEquals")
	if slices.Contains(names, ErrAll) && (len(names) > 1 || !last) {
		o.p.errorf(CodeSchema, o.field("ErrorEquals"), "States.ALL must appear alone and at end of list")
	}
	return names
}

func (p *parser) retrier(o *object, names []string) *Retrier {
	r := &Retrier{Errors: names, Interval: time.Second, MaxAttempts: 3, BackoffRate: 2}
	if n, ok := o.whole("IntervalSeconds", 0, maxSeconds); ok {
		r.Interval = time.Duration(n) * time.Second
	}
	if n, ok := o.whole("MaxAttempts", 0, maxSeconds); ok {
		r.MaxAttempts = n
	}
	if v, ok := o.v.Get("BackoffRate"); ok {
		f, number := v.Float()
		switch {
		case !number:
			o.wrongType("BackoffRate", "Number")
		case f < 1:
			p.errorf(CodeSchema, o.field("BackoffRate"), "Minimum value is 1.0")
		case math.IsInf(f, 0):
			p.errorf(CodeSchema, o.field("BackoffRate"), "Maximum value is %v", math.MaxFloat64)
		default:
			r.BackoffRate = f
		}
	}
	if n, ok := o.whole("MaxDelaySeconds", 1, maxDelaySeconds); ok {
		r.MaxDelay = time.Duration(n) * time.Second
	}
	r.FullJitter = o.enum("JitterStrategy", "NONE", "FULL") == "FULL"
	return r
}

// Matches reports whether an ErrorEquals list covers an error name.
func Matches(errorEquals []string, name string) bool {
	for _, want := range errorEquals {
		switch {
		case want == name:
			return true
		case want == ErrAll:
			return name != ErrRuntime && name != ErrDataLimitExceeded
		case want == ErrTaskFailed:
			// The developer guide excepts States.DataLimitExceeded from States.ALL only.
			if name != ErrTimeout && name != ErrHeartbeatTimeout && name != ErrRuntime {
				return true
			}
		case want == ErrTimeout && name == ErrHeartbeatTimeout:
			return true
		}
	}
	return false
}

// Delay returns the time before the given retry, counted from 1. random yields a number in [0,1) and is only called for
// JitterStrategy FULL.
func (r *Retrier) Delay(retry int64, random func() float64) time.Duration {
	const longest = 366 * 24 * time.Hour
	seconds := r.Interval.Seconds() * math.Pow(r.BackoffRate, float64(retry-1))
	d := longest
	if seconds < longest.Seconds() {
		d = time.Duration(seconds * float64(time.Second))
	}
	if r.MaxDelay > 0 {
		d = min(d, r.MaxDelay)
	}
	if r.FullJitter {
		d = time.Duration(float64(d) * random())
	}
	return d
}
