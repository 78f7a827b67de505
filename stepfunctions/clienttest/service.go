// Package clienttest runs the embedded service for tests of its clients. Its own tests are that clients people use, the
// AWS CLI, boto3, the Go SDK as Terraform's provider calls it, run against the service unchanged.
package clienttest

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"gust/stepfunctions"
)

// Role is any role: the service takes every one.
const Role = "arn:aws:iam::123456789012:role/any"

// Prefix begins the ARNs of the service's default account and region.
const Prefix = "arn:aws:states:us-east-1:123456789012:"

// Start runs a service for the length of a test and returns its endpoint.
func Start(tb testing.TB, c stepfunctions.Config) string {
	tb.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := stepfunctions.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			tb.Errorf("stop the service: %v", err)
		}
	})
	return s.Endpoint()
}

// Client returns the Go SDK's client of an endpoint, with connections of its own that end with the test.
func Client(tb testing.TB, endpoint string) *sfn.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
		APIOptions:  []func(*middleware.Stack) error{withoutHostPrefix},
	})
}

// withoutHostPrefix does for the Go SDK what AWS_DISABLE_HOST_PREFIX_INJECTION does for botocore.
func withoutHostPrefix(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("WithoutHostPrefix", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
	}), middleware.Before)
}
