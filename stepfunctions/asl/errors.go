package asl

import (
	"fmt"
	"math"
	"strings"
	"time"

	"gust/stepfunctions/jsonvalue"
)

// The error names the language predefines.
const (
	ErrAll               = "States.ALL"
	ErrTaskFailed        = "States.TaskFailed"
	ErrTimeout           = "States.Timeout"
	ErrHeartbeatTimeout  = "States.HeartbeatTimeout"
	ErrPermissions       = "States.Permissions"
	ErrBranchFailed      = "States.BranchFailed"
	ErrNoChoiceMatched   = "States.NoChoiceMatched"
	ErrIntrinsicFailure  = "States.IntrinsicFailure"
	ErrDataLimitExceeded = "States.DataLimitExceeded"
	ErrRuntime           = "States.Runtime"
)

// maxDelaySeconds is the largest MaxDelaySeconds, 366 days.
const maxDelaySeconds = 31_622_400

// errorHandling reads Retry and Catch.
func (p *parser) errorHandling(s *State, o *object) {
	retriers, _ := o.list("Retry")
	for i, v := range retriers {
		location := fmt.Sprintf("%s/Retry/%d", s.Location, i)
		if r, names := p.handler(v, location, i == len(retriers)-1); r != nil {
			s.Retry = append(s.Retry, p.retrier(r, names))
		}
	}
	catchers, _ := o.list("Catch")
	for i, v := range catchers {
		location := fmt.Sprintf("%s/Catch/%d", s.Location, i)
		if c, names := p.handler(v, location, i == len(catchers)-1); c != nil {
			s.Catch = append(s.Catch, p.catcher(c, names))
		}
	}
}

// handler opens an entry of Retry or Catch and checks its ErrorEquals.
func (p *parser) handler(v jsonvalue.Value, location string, last bool) (o *object, names []string) {
	if v.Kind() != jsonvalue.Object {
		p.errorf(CodeSchema, location, "Expected value of type Object")
		return nil, nil
	}
	o = p.open(v, location)
	o.str("Comment")
	o.required("ErrorEquals")
	names = o.strings("ErrorEquals")
	if o.has("ErrorEquals") && len(names) == 0 {
		p.errorf(CodeSchema, o.field("ErrorEquals"), "The field 'ErrorEquals' must not be empty")
	}
	for _, name := range names {
		if name != ErrAll {
			continue
		}
		if len(names) > 1 {
			p.errorf(CodeSchema, o.field("ErrorEquals"), "States.ALL must be the only element")
		}
		if !last {
			p.errorf(CodeSchema, o.field("ErrorEquals"), "States.ALL must be in the last entry")
		}
	}
	return o, names
}

func (p *parser) retrier(o *object, names []string) *Retrier {
	r := &Retrier{Errors: names, Interval: time.Second, MaxAttempts: 3, BackoffRate: 2}
	if n, ok := o.integer("IntervalSeconds", 1, maxSeconds); ok {
		r.Interval = time.Duration(n) * time.Second
	}
	if n, ok := o.integer("MaxAttempts", 0, maxSeconds); ok {
		r.MaxAttempts = n
	}
	if v, ok := o.get("BackoffRate"); ok {
		f, number := v.Float()
		switch {
		case !number:
			o.wrongType("BackoffRate", "Number")
		case f < 1 || math.IsInf(f, 0):
			p.errorf(CodeSchema, o.field("BackoffRate"), "The value must be at least 1.0 but was: %s", v)
		default:
			r.BackoffRate = f
		}
	}
	if n, ok := o.integer("MaxDelaySeconds", 1, maxDelaySeconds); ok {
		r.MaxDelay = time.Duration(n) * time.Second
		if r.MaxDelay <= r.Interval && o.has("IntervalSeconds") {
			p.errorf(CodeSchema, o.field("MaxDelaySeconds"), "MaxDelaySeconds must be greater than IntervalSeconds")
		}
	}
	jitter := o.str("JitterStrategy")
	o.oneOf("JitterStrategy", jitter, "NONE", "FULL")
	r.FullJitter = jitter == "FULL"
	o.done()
	return r
}

func (p *parser) catcher(o *object, names []string) *Catcher {
	o.required("Next")
	c := &Catcher{Errors: names, Next: o.str("Next"), ResultPath: o.resultPath(), Assign: o.assign()}
	o.done()
	return c
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
			if name != ErrTimeout && name != ErrHeartbeatTimeout && name != ErrRuntime && name != ErrDataLimitExceeded {
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

// ResourceKind says which kind of worker a Task's Resource names.
type ResourceKind string

// The kinds of resources.
const (
	LambdaFunction ResourceKind = "lambda"
	Activity       ResourceKind = "activity"
	Service        ResourceKind = "service"
)

// Pattern is how a service integration waits.
type Pattern string

// The service integration patterns.
const (
	RequestResponse  Pattern = ""
	Sync             Pattern = ".sync"
	Sync2            Pattern = ".sync:2"
	WaitForTaskToken Pattern = ".waitForTaskToken"
)

// Resource is a parsed Resource ARN.
type Resource struct {
	// ARN is the text as written.
	ARN string
	// Kind says what it names.
	Kind ResourceKind
	// Service and API are the parts of a service integration: "lambda" and "invoke", or "aws-sdk:sfn" and
	// "startExecution".
	Service, API string
	// SDK tells an integration with any AWS API ("aws-sdk:...") from an optimized one.
	SDK bool
	// Pattern is the suffix of a service integration.
	Pattern Pattern
}

// Name is the resource as history events show it: the API with its pattern.
func (r Resource) Name() string { return r.API + string(r.Pattern) }

func (p *parser) resource(text, location string) Resource {
	r := Resource{ARN: text}
	parts := strings.SplitN(text, ":", 7)
	if len(parts) < 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") {
		p.errorf(CodeSchema, location, "Value is not a valid resource ARN")
		return r
	}
	switch {
	case parts[2] == "lambda" && len(parts) == 7 && parts[5] == "function":
		r.Kind = LambdaFunction
	case parts[2] == "states" && parts[5] == "activity" && len(parts) == 7:
		r.Kind = Activity
	case parts[2] == "states" && len(parts) == 7 && parts[3] == "" && parts[4] == "":
		p.serviceResource(&r, parts[5], parts[6], location)
	default:
		p.unknownResource(text, location)
	}
	return r
}

func (p *parser) unknownResource(text, location string) {
	p.errorf(CodeSchema, location, "The resource provided %s is not recognized. The value is not a valid resource ARN, "+
		"or the resource is not available in this region.", text)
}

func (p *parser) serviceResource(r *Resource, service, api, location string) {
	r.Kind = Service
	for _, pattern := range []Pattern{Sync2, Sync, WaitForTaskToken} {
		if cut, ok := strings.CutSuffix(api, string(pattern)); ok {
			api, r.Pattern = cut, pattern
			break
		}
	}
	if i := strings.LastIndexByte(api, ':'); i >= 0 {
		service, api = service+":"+api[:i], api[i+1:]
	}
	if api == "" || strings.ContainsAny(api, ".:") {
		p.unknownResource(r.ARN, location)
	}
	r.Service, r.API = service, api
	r.SDK = strings.HasPrefix(service, "aws-sdk:")
}
