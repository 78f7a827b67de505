package sfnapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Exit codes of the AWS CLI; wrong usage has Gust's.
const (
	codeUsage   = 2
	codeSetup   = 253 // no region, no credentials
	codeService = 254 // the service refused
	codeGeneral = 255 // no answer
)

// CallError is a call that failed, worded as the AWS CLI words it.
type CallError struct {
	text string
	code int
	err  error
}

func (e *CallError) Error() string { return e.text }
func (e *CallError) Unwrap() error { return e.err }

// ExitCode is the AWS CLI's.
func (e *CallError) ExitCode() int { return e.code }

// SetupError says that an error is one of the connection's settings, for which the AWS CLI has an exit code of its own.
func SetupError(err error) error { return &CallError{err.Error(), codeSetup, err} }

// Describe words an error of a call as the commands of this package do.
func Describe(operation string, err error) error { return describe(operation, err) }

func describe(operation string, err error) error {
	var (
		api     smithy.APIError
		invalid smithy.InvalidParamsError
		tries   *retry.MaxAttemptsError
	)
	switch {
	case errors.As(err, &api):
		again := ""
		if errors.As(err, &tries) {
			again = fmt.Sprintf(" (reached max retries: %d)", tries.Attempt-1)
		}
		return &CallError{fmt.Sprintf("An error occurred (%s) when calling the %s operation%s: %s",
			api.ErrorCode(), operation, again, api.ErrorMessage()), codeService, err}
	case errors.As(err, &invalid):
		var problems []string
		for _, p := range invalid.Errs() {
			var param interface{ Field() string }
			if !errors.As(p, &param) {
				problems = append(problems, p.Error())
				continue
			}
			_, place, _ := strings.Cut(param.Field(), ".")
			problems = append(problems, "missing "+lowerFields(place))
		}
		return &CallError{"Parameter validation failed:\n" + strings.Join(problems, "\n"), codeUsage, err}
	case strings.Contains(err.Error(), "get credentials"), strings.Contains(err.Error(), "failed to retrieve credentials"):
		return &CallError{fmt.Sprintf("%s: unable to locate credentials: %v", operation, err), codeSetup, err}
	}
	return &CallError{fmt.Sprintf("%s: %v", operation, err), codeGeneral, err}
}

// lowerFields writes the SDK's Tags[0].Key as the API's tags[0].key.
func lowerFields(path string) string {
	parts := strings.Split(path, ".")
	for i, part := range parts {
		if part != "" {
			parts[i] = strings.ToLower(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, ".")
}
