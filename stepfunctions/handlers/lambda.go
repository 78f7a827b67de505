package handlers

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// function finds the handler of a function given by name, partial ARN or full ARN, with or without a qualifier.
func (s *Set) function(name string) (Handler, bool) {
	if h, ok := s.byName[name]; ok {
		return h, true
	}
	short := functionName(name)
	if i := strings.Index(name, ":function:"+short); i >= 0 {
		if h, ok := s.byName[name[:i]+":function:"+short]; ok {
			return h, true
		}
	}
	h, ok := s.byName[short]
	return h, ok
}

// functionName cuts a function's ARN or qualified name down to the name.
func functionName(name string) string {
	if _, after, ok := strings.Cut(name, ":function:"); ok {
		name = after
	}
	short, _, _ := strings.Cut(name, ":")
	return short
}

// invoke serves arn:aws:states:::lambda:invoke: the function's answer wrapped as the Lambda API returns it.
func (s *Set) invoke(ctx context.Context, r Request) (string, error) {
	in, err := jsonvalue.Parse(r.Input)
	if err != nil {
		return "", &TaskError{Name: asl.ErrRuntime, Cause: err.Error()}
	}
	nameValue, _ := in.Get("FunctionName")
	name := nameValue.Text()
	if name == "" {
		return "", &TaskError{Name: "Lambda.ValidationException", Cause: "The parameter FunctionName is required."}
	}
	h, ok := s.function(name)
	if !ok {
		h, ok = s.find(r.Resource)
	}
	if !ok {
		return "", s.unknown(r.Resource, name)
	}
	payload := "{}"
	if p, ok := in.Get("Payload"); ok {
		payload = p.String()
	}
	switch invocation, _ := in.Get("InvocationType"); invocation.Text() {
	case "DryRun":
		return lambdaResponse(jsonvalue.NewString(""), http.StatusNoContent).String(), nil
	case "Event":
		// An asynchronous invocation is accepted whatever becomes of it.
		if _, err := s.call(ctx, h, functionName(name), r, payload); ctx.Err() != nil {
			return "", err
		}
		return lambdaResponse(jsonvalue.NewString(""), http.StatusAccepted).String(), nil
	}
	out, err := s.call(ctx, h, functionName(name), r, payload)
	if err != nil {
		return "", err
	}
	result, err := jsonvalue.Parse(out)
	if err != nil {
		return "", &TaskError{Name: asl.ErrRuntime, Cause: err.Error()}
	}
	return lambdaResponse(result, http.StatusOK).String(), nil
}

func lambdaResponse(payload jsonvalue.Value, status int) jsonvalue.Value {
	id := uuid.NewString()
	size := len(payload.String())
	if status != http.StatusOK {
		size = 0
	}
	b := jsonvalue.NewObjectBuilder(5).Set("ExecutedVersion", jsonvalue.NewString("$LATEST")).Set("Payload", payload)
	return metadata(b, id, status, []header{
		{"X-Amz-Executed-Version", "$LATEST"}, {"x-amzn-Remapped-Content-Length", "0"}, {"Connection", "keep-alive"},
		{"x-amzn-RequestId", id}, {"Content-Length", strconv.Itoa(size)}, {"Date", httpDate()},
		{"X-Amzn-Trace-Id", "root=1-" + strings.ReplaceAll(id, "-", "")[:8] + "-" + strings.ReplaceAll(id, "-", "")[8:] + ";sampled=0"},
		{"Content-Type", "application/json"},
	}).Set("StatusCode", jsonvalue.NewInt(int64(status))).Value()
}

// header is a header of an answer.
type header struct{ name, value string }

func httpDate() string { return time.Now().UTC().Format(http.TimeFormat) }

// metadata adds what the AWS SDK for Java, with which Step Functions calls the optimized integrations, tells of an
// answer. all are the headers in the order of the SDK's map; the second list of them is sorted.
func metadata(b *jsonvalue.ObjectBuilder, requestID string, status int, all []header) *jsonvalue.ObjectBuilder {
	lists, single := jsonvalue.NewObjectBuilder(len(all)), jsonvalue.NewObjectBuilder(len(all))
	for _, h := range all {
		lists.Set(h.name, jsonvalue.NewArray([]jsonvalue.Value{jsonvalue.NewString(h.value)}))
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b header) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	for _, h := range sorted {
		single.Set(h.name, jsonvalue.NewString(h.value))
	}
	return b.Set("SdkHttpMetadata", jsonvalue.NewObjectBuilder(3).Set("AllHttpHeaders", lists.Value()).
		Set("HttpHeaders", single.Value()).Set("HttpStatusCode", jsonvalue.NewInt(int64(status))).Value()).
		Set("SdkResponseMetadata", jsonvalue.NewObjectBuilder(1).Set("RequestId", jsonvalue.NewString(requestID)).Value())
}
