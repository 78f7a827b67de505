package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// httpTaskTimeout is the longest time AWS gives an HTTP task.
const httpTaskTimeout = 60 * time.Second

// Errors of HTTP tasks.
const (
	errHTTPSocket = "States.Http.Socket"
	errHTTPStatus = "States.Http.StatusCode."
)

// errNotLoopback is why the dialer refuses an address.
var errNotLoopback = errors.New("it is not an address of this machine")

// loopbackClient sends HTTP tasks. It reaches nothing but this machine, whatever a name resolves to, and follows no
// redirect: AWS reports one as a failure.
var loopbackClient = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport: &http.Transport{
		Proxy: nil, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return err
			}
			if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
				return errNotLoopback
			}
			return nil
		}}).DialContext,
	},
}

// httpTask serves arn:aws:states:::http:invoke to endpoints of this machine. The connection that AWS takes the
// credentials from is not looked at: credentials go into Headers.
func httpTask(ctx context.Context, r Request) (Outcome, error) {
	in, err := jsonvalue.Parse(r.Input)
	if err != nil {
		return Outcome{}, &TaskError{Name: asl.ErrRuntime, Cause: err.Error()}
	}
	limited, cancel := context.WithTimeout(ctx, httpTaskTimeout)
	defer cancel()
	req, body, err := httpRequest(limited, in, r.Region)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Sent: &HTTPRequest{Protocol: req.URL.Scheme, Method: req.Method, URL: req.URL.String(), Headers: headerText(req.Header), Body: body}}
	err = send(req, &out)
	var known *TaskError
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &known):
		return out, known
	case ctx.Err() != nil:
		return Outcome{}, ctx.Err()
	case errors.Is(err, errNotLoopback):
		return Outcome{}, &TaskError{Name: asl.ErrTaskFailed, Cause: fmt.Sprintf("The local Step Functions service sends HTTP tasks only to "+
			"this machine, and %s is elsewhere. %s", req.URL.Host, howTo("arn:aws:states:::http:invoke"))}
	case limited.Err() != nil:
		return out, &TaskError{Name: errHTTPSocket, Cause: "The HTTP task timed out after 60 seconds."}
	default:
		return out, &TaskError{Name: errHTTPSocket, Cause: err.Error()}
	}
}

// headerText lists headers as TestState does.
func headerText(h http.Header) string {
	var all []string
	for _, name := range sortedKeys(h) {
		for _, v := range h[name] {
			all = append(all, name+": "+v)
		}
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// httpRequest builds the request of an HTTP task and tells its body.
func httpRequest(ctx context.Context, in jsonvalue.Value, region string) (req *http.Request, body string, err error) {
	invalid := func(format string, args ...any) error {
		return &TaskError{Name: asl.ErrRuntime, Cause: fmt.Sprintf(format, args...)}
	}
	endpoint, _ := in.Get("ApiEndpoint")
	method, _ := in.Get("Method")
	target, err := url.Parse(endpoint.Text())
	if err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
		return nil, "", invalid("The parameter ApiEndpoint must be the URL of an HTTP endpoint, got: %s", endpoint)
	}
	if method.Text() == "" {
		return nil, "", invalid("The parameter Method must be an HTTP method, got: %s", method)
	}
	query := target.Query()
	if parameters, ok := in.Get("QueryParameters"); ok {
		for i, v := range parameters.Items() {
			for _, text := range texts(v) {
				query.Add(parameters.Key(i), text)
			}
		}
		target.RawQuery = query.Encode()
	}
	body, contentType := httpBody(in)
	req, err = http.NewRequestWithContext(ctx, method.Text(), target.String(), strings.NewReader(body))
	if err != nil {
		return nil, "", invalid("The HTTP task cannot be sent: %v", err)
	}
	// What AWS sends besides the headers of the task.
	req.Header.Set("User-Agent", "Amazon|StepFunctions|HttpInvoke|"+region)
	req.Header.Set("Range", "bytes=0-262144")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if headers, ok := in.Get("Headers"); ok {
		for i, v := range headers.Items() {
			req.Header[http.CanonicalHeaderKey(headers.Key(i))] = texts(v)
		}
	}
	return req, body, nil
}

// texts are a value as texts: one for each item of an array.
func texts(v jsonvalue.Value) []string {
	if v.Kind() != jsonvalue.Array {
		return []string{plain(v)}
	}
	var all []string
	for _, item := range v.Items() {
		all = append(all, plain(item))
	}
	return all
}

// plain is a text without quotes, or the JSON text of any other value.
func plain(v jsonvalue.Value) string {
	if v.Kind() == jsonvalue.String {
		return v.Text()
	}
	return v.String()
}

// httpBody is the body of the request: JSON, a text, or a form when Transform asks for one.
func httpBody(in jsonvalue.Value) (body, contentType string) {
	content, ok := in.Get("RequestBody")
	if !ok {
		return "", ""
	}
	transform, _ := in.Get("Transform")
	encoding, _ := transform.Get("RequestBodyEncoding")
	if encoding.Text() != "URL_ENCODED" {
		return plain(content), "application/json"
	}
	options, _ := transform.Get("RequestEncodingOptions")
	format, _ := options.Get("ArrayFormat")
	var pairs []string
	form(content, "", format.Text(), func(name, text string) {
		pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(text))
	})
	return strings.Join(pairs, "&"), "application/x-www-form-urlencoded"
}

// form lists the fields of a form: the fields of objects as a[b], the items of arrays as the format says.
func form(v jsonvalue.Value, name, format string, add func(name, text string)) {
	switch v.Kind() {
	case jsonvalue.Object:
		for i, field := range v.Items() {
			inner := v.Key(i)
			if name != "" {
				inner = name + "[" + inner + "]"
			}
			form(field, inner, format, add)
		}
	case jsonvalue.Array:
		if format == "COMMAS" {
			add(name, strings.Join(texts(v), ","))
			return
		}
		for i, item := range v.Items() {
			inner := name + "[" + strconv.Itoa(i) + "]"
			switch format {
			case "BRACKETS":
				inner = name + "[]"
			case "REPEAT", "NONE":
				inner = name
			}
			form(item, inner, format, add)
		}
	default:
		add(name, plain(v))
	}
}

// send sends the request and fills in what came back and the task's result.
func send(req *http.Request, out *Outcome) (err error) {
	res, err := loopbackClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxOutputBytes+1))
	if err != nil {
		return err
	}
	if len(body) > maxOutputBytes {
		return &TaskError{Name: asl.ErrDataLimitExceeded, Cause: fmt.Sprintf("The response of the HTTP task is larger than %d bytes.", maxOutputBytes)}
	}
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	status := http.StatusText(res.StatusCode)
	out.Received = &HTTPResponse{Protocol: req.URL.Scheme, StatusCode: strconv.Itoa(res.StatusCode), StatusMessage: status,
		Headers: headerText(res.Header), Body: text}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return &TaskError{Name: errHTTPStatus + strconv.Itoa(res.StatusCode), Cause: status}
	}
	headers := jsonvalue.NewObjectBuilder(len(res.Header))
	for _, name := range sortedKeys(res.Header) {
		var values []jsonvalue.Value
		for _, v := range res.Header[name] {
			values = append(values, jsonvalue.NewString(v))
		}
		headers.Set(strings.ToLower(name), jsonvalue.NewArray(values))
	}
	content := jsonvalue.NewString(text)
	if parsed, err := jsonvalue.Parse(text); err == nil {
		content = parsed
	}
	out.Output = jsonvalue.NewObjectBuilder(4).Set("Headers", headers.Value()).Set("ResponseBody", content).
		Set("StatusCode", jsonvalue.NewInt(int64(res.StatusCode))).Set("StatusText", jsonvalue.NewString(status)).
		Value().String()
	return nil
}
