package quota

import (
	"context"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go/middleware"
)

// Client is who calls: what decides about the quota where a call names no ARN.
type Client struct {
	// Endpoint is "" for AWS itself.
	Endpoint, Region string
	// Caller names the credentials, such as a connection's id.
	Caller string
}

// Middleware makes a client of Step Functions take a token for every attempt, and see every refusal: it stands behind
// the SDK's retries.
func (q *Quotas) Middleware(c Client) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("GustQuotaScope", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			return q.initialize(ctx, c, in, next)
		}), middleware.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("GustQuota", func(
			ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
		) (out middleware.FinalizeOutput, meta middleware.Metadata, err error) {
			of, ok := ctx.Value(callKey{}).(bucketKey)
			if !ok {
				return next.HandleFinalize(ctx, in)
			}
			err = q.Do(ctx, of.Scope, of.operation, func() error {
				out, meta, err = next.HandleFinalize(ctx, in)
				return err
			})
			return out, meta, err
		}), "Retry", middleware.After)
	}
}

type callKey struct{}

// initialize finds out whose quota a call counts against, while its input is at hand.
func (q *Quotas) initialize(
	ctx context.Context, c Client, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	of := bucketKey{c.scope(arnIn(in.Parameters)), awsmiddleware.GetOperationName(ctx)}
	start, starts := in.Parameters.(*sfn.StartExecutionInput)
	if starts {
		of.operation = q.startOf(aws.ToString(start.StateMachineArn))
	}
	out, meta, err := next.HandleInitialize(context.WithValue(ctx, callKey{}, of), in)
	if started, ok := out.Result.(*sfn.StartExecutionOutput); ok && starts && err == nil {
		q.started(aws.ToString(start.StateMachineArn), aws.ToString(started.ExecutionArn))
	}
	return out, meta, err
}

func (c Client) scope(arn string) Scope {
	if s, ok := ScopeOf(c.Endpoint, arn); ok {
		return s
	}
	return Scope{Endpoint: c.Endpoint, Region: c.Region, Account: c.Caller}
}

// ScopeOf is the scope of calls about what an ARN names.
func ScopeOf(endpoint, arn string) (Scope, bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[3] == "" || parts[4] == "" {
		return Scope{}, false
	}
	return Scope{Endpoint: endpoint, Region: parts[3], Account: parts[4]}, true
}

// named are the members that name what a call is about.
var named = []string{
	"ExecutionArn", "StateMachineArn", "MapRunArn", "ActivityArn", "StateMachineVersionArn", "StateMachineAliasArn", "ResourceArn",
}

func arnIn(input any) string {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct {
		return ""
	}
	for _, name := range named {
		if p, ok := field(v, name).(*string); ok && p != nil {
			return *p
		}
	}
	return ""
}

func field(v reflect.Value, name string) any {
	if f := v.FieldByName(name); f.IsValid() {
		return f.Interface()
	}
	return nil
}
