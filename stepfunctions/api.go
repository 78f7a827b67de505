package stepfunctions

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/history"
	"gust/stepfunctions/server"
)

// request is what an operation knows about its call.
type request struct {
	ctx    context.Context //nolint:containedctx // lives as long as the request
	region string
}

type operation func(r request, body []byte) ([]byte, error)

// typed turns a function over structs into an operation.
func typed[In, Out any](f func(request, *In) (*Out, error)) operation {
	return func(r request, body []byte) ([]byte, error) {
		in := new(In)
		if len(bytes.TrimSpace(body)) == 0 {
			body = []byte("{}")
		}
		if err := json.Unmarshal(body, in); err != nil {
			return nil, serializationError(err)
		}
		out, err := f(r, in)
		if err != nil {
			return nil, err
		}
		return encode(out)
	}
}

func serializationError(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return server.Errorf("SerializationException", "The field '%s' has the wrong type: %s", typ.Field, typ.Value)
	}
	return server.Errorf("SerializationException", "The request is not valid JSON: %v", err)
}

// encode writes JSON without escaping HTML characters, like AWS.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// epoch is an instant on the wire; the zero time is left out with omitzero.
type epoch time.Time

// MarshalJSON writes seconds since 1970 with milliseconds.
func (e epoch) MarshalJSON() ([]byte, error) { return history.AppendEpoch(nil, time.Time(e)), nil }

// IsZero tells omitzero when to leave the field out.
func (e epoch) IsZero() bool { return time.Time(e).IsZero() }

func (s *Service) routes() map[string]operation {
	return map[string]operation{
		"CreateStateMachine":               typed(s.createStateMachine),
		"UpdateStateMachine":               typed(s.updateStateMachine),
		"DescribeStateMachine":             typed(s.describeStateMachine),
		"DeleteStateMachine":               typed(s.deleteStateMachine),
		"ListStateMachines":                typed(s.listStateMachines),
		"ValidateStateMachineDefinition":   typed(s.validateDefinition),
		"PublishStateMachineVersion":       typed(s.publishVersion),
		"ListStateMachineVersions":         typed(s.listVersions),
		"DeleteStateMachineVersion":        typed(s.deleteVersion),
		"CreateStateMachineAlias":          typed(s.createAlias),
		"UpdateStateMachineAlias":          typed(s.updateAlias),
		"DescribeStateMachineAlias":        typed(s.describeAlias),
		"DeleteStateMachineAlias":          typed(s.deleteAlias),
		"ListStateMachineAliases":          typed(s.listAliases),
		"StartExecution":                   typed(s.startExecution),
		"StartSyncExecution":               typed(s.startSyncExecution),
		"DescribeExecution":                typed(s.describeExecution),
		"DescribeStateMachineForExecution": typed(s.describeStateMachineForExecution),
		"StopExecution":                    typed(s.stopExecution),
		"RedriveExecution":                 typed(s.redriveExecution),
		"ListExecutions":                   typed(s.listExecutions),
		"GetExecutionHistory":              s.getExecutionHistory,
		"CreateActivity":                   typed(s.createActivity),
		"DescribeActivity":                 typed(s.describeActivity),
		"DeleteActivity":                   typed(s.deleteActivity),
		"ListActivities":                   typed(s.listActivities),
		"GetActivityTask":                  typed(s.getActivityTask),
		"SendTaskSuccess":                  typed(s.sendTaskSuccess),
		"SendTaskFailure":                  typed(s.sendTaskFailure),
		"SendTaskHeartbeat":                typed(s.sendTaskHeartbeat),
		"DescribeMapRun":                   typed(s.describeMapRun),
		"UpdateMapRun":                     typed(s.updateMapRun),
		"ListMapRuns":                      typed(s.listMapRuns),
		"TestState":                        typed(s.testState),
		"TagResource":                      typed(s.tagResource),
		"UntagResource":                    typed(s.untagResource),
		"ListTagsForResource":              typed(s.listTags),
	}
}

// Invoke carries out an API call. It makes the service usable without HTTP and implements the server's Invoker.
func (s *Service) Invoke(ctx context.Context, c server.Call) ([]byte, error) {
	op, ok := s.operations[c.Operation]
	if !ok {
		return nil, server.Errorf("UnknownOperationException", "The operation %s is not supported by the "+
			"local Step Functions service", c.Operation)
	}
	region := c.Region
	if region == "" {
		region = s.config.Region
	}
	out, err := op(request{ctx: ctx, region: region}, c.Body)
	if errors.Is(err, engine.ErrStopped) {
		err = errStopping
	}
	return out, err
}

// Page sizes of the listing operations, and the longest page tokens: that of ListExecutions and that of all others.
const (
	defaultPage   = 100
	maxPage       = 1000
	maxToken      = 3096
	maxShortToken = 1024
)

// check checks the paging parameters and returns the number of rows of a page.
func (in *pageInput) check(v *violations, longest int) int {
	v.between("maxResults", in.MaxResults, 0, maxPage)
	v.length("nextToken", in.NextToken, 1, longest)
	if in.MaxResults == nil || *in.MaxResults == 0 {
		return defaultPage
	}
	return int(*in.MaxResults)
}

// tokenLife is how long a page token is valid.
const tokenLife = 24 * time.Hour

// pageToken points behind the last row of a page.
type pageToken struct {
	// Of is a hash of the listing's other parameters.
	Of uint64 `json:"of"`
	// Number or Name is the key of the last row.
	Number  int64  `json:"n,omitempty"`
	Name    string `json:"k,omitempty"`
	Expires int64  `json:"x"`
}

// listing identifies a listing by its operation and parameters.
func listing(parts ...any) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q", parts) // a hash never fails to write
	return h.Sum64()
}

func (s *Service) token(t pageToken) string {
	t.Expires = s.config.Clock().Add(tokenLife).Unix()
	data, err := json.Marshal(t)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func (s *Service) parseToken(text *string, of uint64) (pageToken, error) {
	var t pageToken
	if text == nil {
		return t, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(*text)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil || t.Of != of || t.Expires < s.config.Clock().Unix() {
		return t, server.Errorf("InvalidToken", "Invalid Token: 'Invalid token'")
	}
	return t, nil
}
