package handlers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

// sdk serves arn:aws:states:::aws-sdk:sfn:<operation>: the API in the words of the AWS SDK for Java.
func (s *Set) sdk(ctx context.Context, r Request) (string, error) {
	operation := pascal(r.Resource.API)
	in, failed := wireInput(r, operation)
	if failed != nil {
		return "", failed
	}
	id := uuid.NewString()
	body, err := s.api.Invoke(ctx, server.Call{Operation: operation, Region: r.Region, RequestID: id, Body: in.Append(nil)})
	var refused *server.Error
	switch {
	case errors.As(err, &refused):
		return "", &TaskError{Name: "Sfn." + exception(refused.Code), Cause: fmt.Sprintf("%s (Service: Sfn, Status Code: %d, "+
			"Request ID: %s)", refused.Message, status(refused), id)}
	case err != nil && ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", &TaskError{Name: "Sfn.SfnException", Cause: fmt.Sprintf("%v (Service: Sfn, Status Code: 500, Request ID: %s)", err, id)}
	}
	answer, err := jsonvalue.Parse(string(body))
	if err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", operation, err)
	}
	return pascalFields(answer).String(), nil
}

// exception is the name of an error's class in the SDK.
func exception(code string) string { return strings.TrimSuffix(code, "Exception") + "Exception" }

// documents are the members of the API's requests that hold JSON as a text. A task may give any value for them.
var documents = map[string]bool{"input": true, "output": true, "definition": true, "context": true, "variables": true}

// wireInput turns a task's input into the body of a request: members in lower camel case, documents as texts, nulls
// left out.
func wireInput(r Request, operation string) (jsonvalue.Value, error) {
	in, err := jsonvalue.Parse(r.Input)
	if err != nil {
		return jsonvalue.Value{}, &TaskError{Name: asl.ErrRuntime, Cause: err.Error()}
	}
	if in.Kind() != jsonvalue.Object {
		return jsonvalue.Value{}, &TaskError{Name: asl.ErrRuntime,
			Cause: fmt.Sprintf("The parameters of %s must be an object, got: %s", operation, in.Kind())}
	}
	return camelFields(in, true), nil
}

// camelFields renames the members of a request, at every depth.
func camelFields(v jsonvalue.Value, top bool) jsonvalue.Value {
	switch v.Kind() {
	case jsonvalue.Array:
		items := make([]jsonvalue.Value, v.Len())
		for i, item := range v.Items() {
			items[i] = camelFields(item, false)
		}
		return jsonvalue.NewArray(items)
	case jsonvalue.Object:
		b := jsonvalue.NewObjectBuilder(v.Len())
		for i, field := range v.Items() {
			name := camel(v.Key(i))
			switch {
			case field.IsNull():
			case top && documents[name]:
				b.Set(name, jsonvalue.NewString(document(field)))
			default:
				b.Set(name, camelFields(field, false))
			}
		}
		return b.Value()
	default:
		return v
	}
}

// document is the JSON text of a member: a text that is JSON already stays as it is.
func document(v jsonvalue.Value) string {
	if v.Kind() == jsonvalue.String {
		if _, err := jsonvalue.Parse(v.Text()); err == nil {
			return v.Text()
		}
	}
	return v.String()
}

// pascalFields renames the members of an answer, at every depth, and writes its instants as the SDK does.
func pascalFields(v jsonvalue.Value) jsonvalue.Value {
	switch v.Kind() {
	case jsonvalue.Array:
		items := make([]jsonvalue.Value, v.Len())
		for i, item := range v.Items() {
			items[i] = pascalFields(item)
		}
		return jsonvalue.NewArray(items)
	case jsonvalue.Object:
		b := jsonvalue.NewObjectBuilder(v.Len())
		for i, field := range v.Items() {
			name := v.Key(i)
			switch {
			case name == "variableReferences" || name == "assignedVariables":
				// The keys of these maps are names of states and variables.
			case isInstant(name) && field.Kind() == jsonvalue.Number:
				field = jsonvalue.NewString(instant(field))
			default:
				field = pascalFields(field)
			}
			b.Set(pascal(name), field)
		}
		return b.Value()
	default:
		return v
	}
}

func isInstant(name string) bool { return name == "timestamp" || strings.HasSuffix(name, "Date") }

// instant writes seconds since 1970 in the form of java.time.Instant: the fraction has no digits, or three.
func instant(seconds jsonvalue.Value) string {
	f, _ := seconds.Float()
	t := time.UnixMilli(int64(math.Round(f * 1000))).UTC()
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// camel lowers the first letter of a member's name, pascal raises it.
func camel(name string) string  { return first(name, unicode.ToLower) }
func pascal(name string) string { return first(name, unicode.ToUpper) }

func first(name string, change func(rune) rune) string {
	r, size := utf8.DecodeRuneInString(name)
	if size == 0 {
		return name
	}
	return string(change(r)) + name[size:]
}
