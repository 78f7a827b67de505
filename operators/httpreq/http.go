// Package httpreq makes HTTP requests as tasks.
package httpreq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gust/operators"
	"gust/triggers/httpreq"
)

// Register adds the family to the registry. The client makes the requests; the assembler closes it at the end.
func Register(r *operators.Registry, client *httpreq.Client) error {
	if client == nil {
		return errors.New("operators/httpreq: a Client is needed")
	}
	return errors.Join(r.Register(slackSpec(client)), r.Register(operators.Spec{
		Name: "HttpOperator",
		Aliases: []string{
			"SimpleHttpOperator", "http",
			"airflow.operators.http_operator.SimpleHttpOperator",
			"airflow.providers.http.operators.http.SimpleHttpOperator",
			"airflow.providers.http.operators.http.HttpOperator",
		},
		Doc: "Makes an HTTP request and returns the response. A status from 400 on fails the task.",
		New: func() operators.Operator { return &HTTP{client: client} },
	}))
}

// HTTP makes one request (Airflow: HttpOperator).
type HTTP struct {
	HTTPConnID     string            `param:"http_conn_id" default:"http_default" template:"true" doc:"The connection: host (with or without scheme), schema (http or https), port, login and password for basic authentication, and in extra headers and the options of extra_options. http_default may be undefined when endpoint is a complete URL."`
	Method         string            `param:"method" default:"POST" doc:"GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS."`
	Endpoint       string            `param:"endpoint" template:"true" doc:"Path that is added to the connection's host, or a complete URL."`
	Data           any               `param:"data" template:"true" doc:"The query of a GET, the body of any other request: a text as it is, a mapping as a form, or as JSON when the header Content-Type is application/json."`
	Headers        map[string]string `param:"headers" template:"true" doc:"Headers, over those of the connection."`
	ExtraOptions   map[string]any    `param:"extra_options" doc:"timeout (seconds), verify (true, false, CA bundle), cert, proxies, allow_redirects, max_redirects, check_response (false: any status is fine)."`
	LogResponse    bool              `param:"log_response" default:"false" doc:"Write the response to the log."`
	ResponsePath   *string           `param:"response_path" doc:"Return this part of the response, as JSON, instead of its text: names and indexes joined by dots (data.items.0); . is the whole."`
	ResponseFilter any               `param:"response_filter" doc:"Not supported: a Python callable in Airflow. Use response_path."`
	Pagination     any               `param:"pagination_function" doc:"Not supported: a Python callable in Airflow."`
	AuthType       any               `param:"auth_type" doc:"Not supported: a Python class in Airflow. Login and password of the connection are used for basic authentication."`
	Deferrable     *bool             `param:"deferrable" doc:"Accepted for Airflow's sake, without effect: a request that is sent once is made on a worker."`
	TCPKeepAlive   *bool             `param:"tcp_keep_alive" doc:"Accepted for Airflow's sake, without effect: connections are kept alive."`
	httpreq.Check

	client *httpreq.Client
}

// Validate checks what does not depend on templates.
func (h *HTTP) Validate() error {
	switch {
	case h.ResponseFilter != nil:
		return errors.New("response_filter is a Python callable and is not supported; use response_path, " +
			"or a template in the task that uses the response")
	case h.Pagination != nil:
		return errors.New("pagination_function is a Python callable and is not supported")
	case h.AuthType != nil:
		return errors.New("auth_type is a Python class and is not supported; " +
			"the connection's login and password are used for basic authentication")
	}
	return errors.Join(h.request().Validate(), h.Check.Validate())
}

func (h *HTTP) request() *httpreq.Request {
	return &httpreq.Request{
		ConnID: h.HTTPConnID, Method: strings.ToUpper(h.Method), Endpoint: h.Endpoint, Data: h.Data, Headers: h.Headers,
		Options: h.ExtraOptions,
	}
}

// Execute makes the request.
func (h *HTTP) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	t.Log().Info("Calling HTTP method", "method", h.Method)
	r, err := h.client.Do(ctx, t, h.request())
	if r != nil && h.LogResponse {
		t.Log().Info(r.Text())
	}
	if err != nil {
		if ctx.Err() != nil {
			return operators.Result{}, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return operators.Result{}, err
	}
	unmet, err := h.Unmet(r)
	if err != nil {
		return operators.Result{}, err
	}
	if unmet != "" {
		return operators.Result{}, errors.New("response check: " + unmet)
	}
	if h.ResponsePath == nil {
		return operators.Done(r.Text()), nil
	}
	value, err := httpreq.At(r.Body, *h.ResponsePath)
	if err != nil {
		return operators.Result{}, fmt.Errorf("response_path %q: %w", *h.ResponsePath, err)
	}
	return operators.Done(value), nil
}
