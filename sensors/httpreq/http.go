// Package httpreq holds the sensor that waits for an HTTP response.
package httpreq

import (
	"context"
	"errors"
	"fmt"

	"gust/internal/param"
	"gust/operators"
	"gust/sensors"
	"gust/triggers"
	"gust/triggers/httpreq"
)

// Deps is what the sensor needs from the process.
type Deps struct {
	Client   *httpreq.Client
	Defaults sensors.Defaults
	// Holds calls a Python function with a response, as the function's first argument, and reports whether what it returns
	// is true; nil: there is no Python.
	Holds func(ctx context.Context, t operators.Task, f httpreq.Function, r *httpreq.Response) (bool, error)
}

// Register adds the sensor to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Client == nil {
		return errors.New("sensors/httpreq: Deps needs a Client")
	}
	return r.Register(operators.Spec{
		Name: "HttpSensor",
		Aliases: []string{
			"airflow.sensors.http_sensor.HttpSensor", "airflow.providers.http.sensors.http.HttpSensor",
		},
		Doc: "Waits until an HTTP request succeeds and its response meets the conditions. A status of 404, or another one " +
			"of response_error_codes_allowlist, means not yet; any other status from 400 on fails the task.",
		New: func() operators.Operator {
			return sensors.New(&HTTP{client: deps.Client, holds: deps.Holds}, deps.Defaults)
		},
		Sensor: true,
	})
}

// HTTP waits for a response (Airflow: HttpSensor).
type HTTP struct {
	HTTPConnID    string            `param:"http_conn_id" default:"http_default" template:"true" doc:"The connection, as for HttpOperator. http_default may be undefined when endpoint is a complete URL."`
	Endpoint      string            `param:"endpoint" template:"true" required:"true" doc:"Path that is added to the connection's host, or a complete URL."`
	Method        string            `param:"method" default:"GET" doc:"GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS."`
	RequestParams any               `param:"request_params" template:"true" doc:"The query of a GET, the body of any other request."`
	Headers       map[string]string `param:"headers" template:"true" doc:"Headers, over those of the connection."`
	Allowlist     Codes             `param:"response_error_codes_allowlist" doc:"Statuses, or beginnings of statuses, that mean not yet. Default: 404. An empty list: none."`
	ExtraOptions  map[string]any    `param:"extra_options" doc:"timeout (seconds, at most 60 for one look), verify, cert, proxies, allow_redirects, max_redirects, check_response."`
	TCPKeepAlive  *bool             `param:"tcp_keep_alive" doc:"Accepted for Airflow's sake, without effect: connections are kept alive."`
	httpreq.Check
	sensors.Base

	client *httpreq.Client
	holds  func(ctx context.Context, t operators.Task, f httpreq.Function, r *httpreq.Response) (bool, error)
}

// NeedsWorker reports whether a look calls Python.
func (s *HTTP) NeedsWorker() bool { return s.Check.Function() != nil }

// Codes is a list of HTTP statuses, as texts or numbers. nil means the default.
type Codes []string

// ParamType names the notation.
func (Codes) ParamType() string { return "list" }

// UnmarshalParam reads the list.
func (c *Codes) UnmarshalParam(value any) error {
	items, ok := value.([]any)
	if !ok {
		return &param.Error{Problem: fmt.Sprintf("wrong type: %T", value), Expected: "a list of HTTP statuses"}
	}
	codes := Codes{}
	for _, item := range items {
		text, isText := item.(string)
		number, isNumber := param.Int(item)
		switch {
		case isNumber:
			codes = append(codes, fmt.Sprint(number))
		case isText && text != "":
			codes = append(codes, text)
		default:
			return &param.Error{Problem: fmt.Sprintf("%v is not an HTTP status", item), Expected: "for example \"404\""}
		}
	}
	*c = codes
	return nil
}

// Validate checks what does not depend on templates.
func (s *HTTP) Validate() error {
	request := s.args(triggers.Pace{}).Request
	return errors.Join(request.Validate(), s.Check.ValidateFunction(), s.Base.Validate())
}

func (s *HTTP) args(pace triggers.Pace) *httpreq.Args {
	again := []string(s.Allowlist)
	if s.Allowlist == nil {
		again = []string{"404"}
	}
	return &httpreq.Args{
		Request: httpreq.Request{
			ConnID: s.HTTPConnID, Method: s.Method, Endpoint: s.Endpoint, Data: s.RequestParams, Headers: s.Headers,
			Options: s.ExtraOptions,
		},
		Check: s.Check, Again: again, Pace: pace,
	}
}

// Poke asks once.
func (s *HTTP) Poke(ctx context.Context, t operators.Task) (sensors.Verdict, error) {
	if err := s.Check.ValidateFunction(); err != nil {
		return sensors.Verdict{}, operators.Fail(err)
	}
	t.Log().Info("Poking: " + s.Endpoint)
	args := s.args(triggers.Pace{})
	if f := s.Check.Function(); f != nil {
		args.Confirm = func(ctx context.Context, r *httpreq.Response) (string, error) { return s.confirm(ctx, t, f, r) }
	}
	unmet, err := s.client.Look(ctx, t, args)
	switch {
	case err != nil:
		return sensors.Verdict{}, err
	case unmet != "":
		t.Log().Info("Not yet: " + unmet)
		return sensors.Waiting(), nil
	}
	return sensors.Done(nil), nil
}

func (s *HTTP) confirm(ctx context.Context, t operators.Task, f *httpreq.Function, r *httpreq.Response) (string, error) {
	if s.holds == nil {
		return "", operators.Failf("response_check: there is no Python here")
	}
	switch holds, err := s.holds(ctx, t, *f, r); {
	case err != nil:
		return "", fmt.Errorf("response_check: %w", err)
	case holds:
		return "", nil
	}
	return "response_check returned something false", nil
}

// Trigger describes the wait.
func (s *HTTP) Trigger(_ context.Context, _ operators.Task, pace triggers.Pace) (triggers.Trigger, error) {
	if err := s.Check.Validate(); err != nil { // also reads response_check_lambda
		return triggers.Trigger{}, operators.Fail(err)
	}
	return s.args(pace).Trigger()
}

// Fired ends the wait.
func (s *HTTP) Fired(context.Context, operators.Task, triggers.Event) (sensors.Verdict, error) {
	return sensors.Done(nil), nil
}
