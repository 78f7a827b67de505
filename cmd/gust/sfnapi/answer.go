package sfnapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gust/stepfunctions/jsonvalue"
)

// Invoke calls the operation and returns the answer as JSON: the members of the API's model in its order, numbers as the
// service wrote them, times as ISO 8601 in local time. in is a pointer to the operation's input.
func (o *Operation) Invoke(ctx context.Context, client *sfn.Client, in any) (jsonvalue.Value, error) {
	var body []byte
	_, err := o.call(ctx, client, in, func(options *sfn.Options) {
		options.APIOptions = append(options.APIOptions, capture(&body))
	})
	if err != nil {
		return jsonvalue.Value{}, describe(o.Name(), err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return jsonvalue.EmptyObject(), nil
	}
	v, err := jsonvalue.Parse(string(body))
	if err != nil {
		return v, fmt.Errorf("the answer to %s: %w", o.Name(), err)
	}
	return shape(v, o.out), nil
}

// capture keeps the body of the last response: the SDK's structures have lost what was left out and how numbers were written.
func capture(body *[]byte) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("GustCapture", func(
			ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
		) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			response, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !ok {
				return out, metadata, err
			}
			*body, err = io.ReadAll(response.Body)
			if closeErr := response.Body.Close(); err == nil {
				err = closeErr
			}
			response.Body = io.NopCloser(bytes.NewReader(*body))
			return out, metadata, err
		}), middleware.After)
	}
}

// shape orders the members of a value and turns its times into texts. What the API's model does not know is left out.
func shape(v jsonvalue.Value, t reflect.Type) jsonvalue.Value {
	switch {
	case t.Kind() == reflect.Pointer:
		return shape(v, t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return instant(v)
	case t.Kind() == reflect.Slice && v.Kind() == jsonvalue.Array:
		items := make([]jsonvalue.Value, v.Len())
		for i, item := range v.Items() {
			items[i] = shape(item, t.Elem())
		}
		return jsonvalue.NewArray(items)
	case t.Kind() == reflect.Struct && v.Kind() == jsonvalue.Object:
		b := jsonvalue.NewObjectBuilder(v.Len())
		for _, m := range members(t) {
			item, ok := v.Get(m.name)
			if !ok || item.IsNull() {
				continue
			}
			if f, ok := t.FieldByName(m.field()); ok {
				b.Set(m.name, shape(item, f.Type))
			}
		}
		return b.Value()
	}
	return v
}

// instant is a time on the wire, seconds since 1970, as Python's isoformat writes it.
func instant(v jsonvalue.Value) jsonvalue.Value {
	seconds, ok := v.Float()
	if !ok {
		return v
	}
	at := time.UnixMicro(int64(math.RoundToEven(seconds * 1e6))).In(time.Local)
	layout := "2006-01-02T15:04:05-07:00"
	if at.Nanosecond() != 0 {
		layout = "2006-01-02T15:04:05.000000-07:00"
	}
	return jsonvalue.NewString(at.Format(layout))
}
