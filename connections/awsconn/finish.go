package awsconn

import (
	"context"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Retry modes, botocore's names.
const (
	modeLegacy   = "legacy"
	modeStandard = "standard"
	modeAdaptive = "adaptive"
)

// retryer sets how requests are repeated. fromProfile is the mode of the shared configuration, "legacy" included.
// Without any setting the mode is botocore's default, legacy: five requests in all, and no quota on retries.
func (l *loader) retryer(cfg *aws.Config, fromProfile string) {
	mode := l.boto.retryMode
	if mode == "" {
		mode = strings.ToLower(os.Getenv("AWS_RETRY_MODE"))
	}
	if mode == "" {
		mode = fromProfile
	}
	if mode == "" && (l.boto.defaultsMode != "" && l.boto.defaultsMode != modeLegacy ||
		os.Getenv("AWS_NEW_RETRIES_2026") == "true") {
		mode = modeStandard
	}
	if mode == "" {
		mode = modeLegacy
	}
	total := l.boto.maxAttempts
	if total == 0 {
		total = cfg.RetryMaxAttempts // AWS_MAX_ATTEMPTS or the profile's max_attempts, which count all requests
	}
	if total == 0 && mode == modeLegacy {
		total = 5
	}
	backoff := l.backoff
	standard := func(o *retry.StandardOptions) {
		if total > 0 {
			o.MaxAttempts = total
		}
		if backoff != nil {
			o.Backoff = retry.BackoffDelayerFunc(backoff)
		}
		if mode == modeLegacy {
			o.RateLimiter = ratelimit.None
			o.Retryables = append(o.Retryables, retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{429: {}, 509: {}}})
		}
	}
	cfg.RetryMaxAttempts, cfg.RetryMode = 0, ""
	cfg.Retryer = func() aws.Retryer {
		if mode == modeAdaptive {
			return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
				o.StandardOptions = append(o.StandardOptions, standard)
			})
		}
		return retry.NewStandard(standard)
	}
}

// finish adds what is not an option of LoadDefaultConfig.
func (l *loader) finish(cfg *aws.Config, endpoint string) {
	b := l.boto
	if endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint) // also when AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set
	} else if b.ignoreURLs {
		cfg.BaseEndpoint = nil
		cfg.ConfigSources = append([]any{ignoreEndpoints{}}, cfg.ConfigSources...)
	}
	cfg.APIOptions = append(cfg.APIOptions, userAgent(b.userAgent, b.userAgentExtra))
	if b.noValidation {
		cfg.APIOptions = append(cfg.APIOptions, dropValidation)
	}
	custom := endpoint != "" || configuredEndpoint(cfg, l.service)
	if b.hostPrefix != nil && !*b.hostPrefix || b.hostPrefix == nil && custom {
		cfg.APIOptions = append(cfg.APIOptions, dropHostPrefix)
	}
}

// sdkIDs are the names of services in AWS_ENDPOINT_URL_<NAME> and in the profile.
var sdkIDs = map[string]string{
	serviceSFN: "SFN", serviceSTS: "STS", serviceLambda: "Lambda", serviceBatch: "Batch", serviceLogs: "CloudWatch Logs",
}

// configuredEndpoint reports whether environment or profile give the service an endpoint.
func configuredEndpoint(cfg *aws.Config, service string) bool {
	for _, source := range cfg.ConfigSources {
		if s, ok := source.(interface {
			GetIgnoreConfiguredEndpoints(context.Context) (bool, bool, error)
		}); ok {
			if ignore, found, err := s.GetIgnoreConfiguredEndpoints(context.Background()); err == nil && found && ignore {
				return false
			}
		}
	}
	if cfg.BaseEndpoint != nil {
		return true
	}
	for _, source := range cfg.ConfigSources {
		if s, ok := source.(interface {
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		}); ok {
			if _, found, err := s.GetServiceBaseEndpoint(context.Background(), sdkIDs[service]); err == nil && found {
				return true
			}
		}
	}
	return false
}

// ignoreEndpoints is a configuration source that switches the endpoints of environment and profile off.
type ignoreEndpoints struct{}

// GetIgnoreConfiguredEndpoints is asked by the SDK.
func (ignoreEndpoints) GetIgnoreConfiguredEndpoints(context.Context) (value, found bool, err error) {
	return true, true, nil
}

// userAgent adds Gust to the user agent, or replaces it as a whole, and appends the extra text as it is.
func userAgent(whole, more string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		if whole == "" {
			if err := awsmiddleware.AddUserAgentKey("gust")(stack); err != nil {
				return err
			}
		}
		if whole == "" && more == "" {
			return nil
		}
		return stack.Build.Add(middleware.BuildMiddlewareFunc("GustUserAgent", func(
			ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler,
		) (middleware.BuildOutput, middleware.Metadata, error) {
			if req, ok := in.Request.(*smithyhttp.Request); ok {
				agent := req.Header.Get("User-Agent")
				if whole != "" {
					agent = whole
				}
				req.Header.Set("User-Agent", strings.TrimSpace(agent+" "+more))
			}
			return next.HandleBuild(ctx, in)
		}), middleware.After)
	}
}

// dropValidation sends requests without the check that required members are set.
func dropValidation(stack *middleware.Stack) error {
	const id = "OperationInputValidation"
	if _, ok := stack.Initialize.Get(id); !ok {
		return nil
	}
	_, err := stack.Initialize.Remove(id)
	return err
}

// dropHostPrefix keeps an operation from putting a word before the endpoint's host ("sync-" for StartSyncExecution).
func dropHostPrefix(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("GustHostPrefix", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
	}), middleware.Before)
}
