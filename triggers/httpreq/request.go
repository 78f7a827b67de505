// Package httpreq makes HTTP requests by Airflow's rules for http connections, and is the trigger that waits for a
// response that meets a condition.
package httpreq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gust/connections"
	"gust/internal/param"
)

// DefaultConnID is the connection that HTTP operators use unless told otherwise. It may be undefined when the endpoint
// is a complete URL.
const DefaultConnID = "http_default"

// maxBody is the longest response that is read, in bytes.
const maxBody = 32 << 20

// Request is one request as a task describes it. It marshals to JSON for a trigger's arguments; secrets stay in the
// connection it names.
type Request struct {
	ConnID   string `json:"http_conn_id,omitempty"`
	Method   string `json:"method"`
	Endpoint string `json:"endpoint,omitempty"`
	// Data is the query of a GET (mapping or text); otherwise the body: a text as it is, a mapping as a form, or as JSON
	// when the Content-Type header says so.
	Data    any               `json:"data,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// Options are Airflow's extra_options: timeout, verify, cert, proxies, allow_redirects, max_redirects,
	// check_response.
	Options map[string]any `json:"extra_options,omitempty"`
}

// Response is what came back.
type Response struct {
	Status int
	Reason string
	Header http.Header
	Body   []byte
}

// Text is the body as text.
func (r *Response) Text() string { return strings.ToValidUTF8(string(r.Body), "\uFFFD") }

// StatusError is a response with a status from 400 on.
type StatusError struct {
	Status int
	Reason string
	// Body is the beginning of the response.
	Body string
}

func (e *StatusError) Error() string {
	if e.Body == "" {
		return fmt.Sprintf("%d:%s", e.Status, e.Reason)
	}
	return fmt.Sprintf("%d:%s: %s", e.Status, e.Reason, e.Body)
}

// Methods are the HTTP methods a task may name.
var Methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// Validate checks what does not need the connection.
func (r *Request) Validate() error {
	if !slices.Contains(Methods, strings.ToUpper(r.Method)) {
		return &param.Error{Path: []string{"method"}, Problem: fmt.Sprintf("%q is not an HTTP method", r.Method),
			Expected: "one of " + strings.Join(Methods, ", "), Nearest: param.Nearest(r.Method, Methods)}
	}
	_, err := readOptions(r.Options)
	return err
}

// Do makes the request. A status from 400 on is a *StatusError, unless check_response is false.
func (c *Client) Do(ctx context.Context, resolver connections.Resolver, r *Request) (*Response, error) {
	conn, err := connection(ctx, resolver, r)
	if err != nil {
		return nil, err
	}
	all, headers, err := merge(conn, r)
	if err != nil {
		return nil, err
	}
	opts, err := readOptions(all)
	if err != nil {
		return nil, err
	}
	req, err := r.build(ctx, conn, headers)
	if err != nil {
		return nil, err
	}
	client, err := c.client(opts)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), unwrapURL(err))
	}
	defer func() { _ = res.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: reading the response: %w", req.Method, req.URL.Redacted(), err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%s %s: the response is longer than %d bytes", req.Method, req.URL.Redacted(), maxBody)
	}
	out := &Response{Status: res.StatusCode, Reason: http.StatusText(res.StatusCode), Header: res.Header, Body: body}
	if opts.check && out.Status >= http.StatusBadRequest {
		return out, &StatusError{Status: out.Status, Reason: out.Reason, Body: beginning(out.Text())}
	}
	return out, nil
}

// unwrapURL drops net/http's own "Get "URL":", whose URL may hold a password in its query.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func beginning(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 500 {
		return strings.ToValidUTF8(text[:500], "") + "..."
	}
	return text
}

func absolute(endpoint string) bool {
	return strings.HasPrefix(endpoint, "http://") || strings.HasPrefix(endpoint, "https://")
}

func connection(ctx context.Context, resolver connections.Resolver, r *Request) (*connections.Connection, error) {
	if r.ConnID == "" {
		return &connections.Connection{}, nil
	}
	conn, err := resolver.Connection(ctx, r.ConnID)
	if connections.IsNotFound(err) && r.ConnID == DefaultConnID && absolute(r.Endpoint) {
		return &connections.Connection{}, nil
	}
	return conn, err
}

// target joins the connection's base and the endpoint as Airflow does.
func target(conn *connections.Connection, endpoint string) (string, error) {
	if absolute(endpoint) {
		return endpoint, nil
	}
	base := conn.HostOr("")
	if base == "" {
		return "", errors.New("the connection has no host, and the endpoint is no complete URL")
	}
	if !strings.Contains(base, "://") {
		scheme := conn.SchemaOr("")
		if scheme == "" {
			scheme = "http"
		}
		base = scheme + "://" + base
	}
	if conn.Port != 0 {
		base += fmt.Sprintf(":%d", conn.Port)
	}
	if endpoint != "" && !strings.HasSuffix(base, "/") && !strings.HasPrefix(endpoint, "/") {
		base += "/"
	}
	return base + endpoint, nil
}

func (r *Request) build(
	ctx context.Context, conn *connections.Connection, headers map[string]string,
) (*http.Request, error) {
	address, err := target(conn, r.Endpoint)
	if err != nil {
		return nil, err
	}
	method := strings.ToUpper(r.Method)
	var body io.Reader
	contentType := ""
	if r.Data != nil {
		if method == http.MethodGet {
			if address, err = withQuery(address, r.Data); err != nil {
				return nil, err
			}
		} else if method != http.MethodHead {
			text, kind, err := r.body(headers)
			if err != nil {
				return nil, err
			}
			body, contentType = bytes.NewReader(text), kind
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("the URL of the request: %w", unwrapURL(err))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for name, value := range headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	if login := conn.LoginOr(""); login != "" {
		req.SetBasicAuth(login, conn.PasswordOr(""))
	}
	return req, nil
}

func isJSON(headers map[string]string) bool {
	for name, value := range headers {
		if strings.EqualFold(name, "Content-Type") {
			return strings.Contains(strings.ToLower(value), "application/json")
		}
	}
	return false
}

// body writes Data; the second result is the Content-Type that follows from it.
func (r *Request) body(headers map[string]string) ([]byte, string, error) {
	asJSON := isJSON(headers)
	switch data := r.Data.(type) {
	case string:
		if asJSON && !json.Valid([]byte(data)) {
			return nil, "", errors.New("data is not JSON, but the Content-Type header says so; " +
				"write a mapping, or render it with the tojson filter")
		}
		return []byte(data), "", nil
	case map[string]any:
		if !asJSON {
			return []byte(form(data).Encode()), "application/x-www-form-urlencoded", nil
		}
	default:
		if !asJSON {
			return nil, "", fmt.Errorf(
				"data is a %T; expected a mapping or a text, or a Content-Type header of application/json", data)
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.Data); err != nil {
		return nil, "", fmt.Errorf("data cannot be written as JSON: %w", err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), "", nil
}

func form(data map[string]any) url.Values {
	values := url.Values{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		items, ok := data[key].([]any)
		if !ok {
			items = []any{data[key]}
		}
		for _, item := range items {
			if item != nil {
				values.Add(key, plain(item))
			}
		}
	}
	return values
}

func plain(item any) string {
	switch v := item.(type) {
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64, int, int64, json.Number:
		return fmt.Sprint(v)
	}
	raw, err := json.Marshal(item)
	if err != nil {
		return fmt.Sprint(item)
	}
	return string(raw)
}

func withQuery(address string, data any) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("the URL of the request: %w", unwrapURL(err))
	}
	var more string
	switch d := data.(type) {
	case string:
		more = d
	case map[string]any:
		more = form(d).Encode()
	default:
		return "", fmt.Errorf("the query is a %T; expected a mapping or a text", data)
	}
	if u.RawQuery != "" && more != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += more
	return u.String(), nil
}
