package awsconn

import (
	"errors"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Trouble says what an error of a call means for somebody who waits.
type Trouble int

// Kinds of trouble.
const (
	// Final: the next call would meet it too (access denied, a malformed ARN).
	Final Trouble = iota
	// Passing: throttling, a fault of the service, a lost connection. It costs no attempt.
	Passing
	// Unclear: it may pass, such as credentials that have expired or cannot be fetched just now, or not, such as a missing
	// region. It is borne a few times.
	Unclear
)

// passing are codes of client-side faults (HTTP 4xx) that pass: Airflow's list and the ones it lacks.
var passing = map[string]bool{
	"ThrottlingException": true, "Throttling": true, "ThrottledException": true, "RequestLimitExceeded": true,
	"ProvisionedThroughputExceededException": true, "LimitExceededException": true, "RequestThrottled": true,
	"RequestThrottledException": true, "TooManyRequestsException": true, "ServerException": true,
	"InternalServerError": true, "InternalFailure": true, "ServiceUnavailable": true, "BadGateway": true,
	"GatewayTimeout": true, "RequestTimeout": true, "RequestTimeoutException": true, "KmsThrottlingException": true,
	"ServiceUnavailableException": true, "InternalServerException": true, "SlowDown": true, "EC2ThrottledException": true,
	"PriorRequestNotComplete": true, "TransactionInProgressException": true, "BandwidthLimitExceeded": true,
}

// expired are codes of credentials whose time is over. New ones may come at any moment, in the connection or from where
// the SDK gets them.
var expired = map[string]bool{"ExpiredTokenException": true, "ExpiredToken": true, "RequestExpired": true}

// CredentialsExpired reports whether a call was refused because its credentials have expired.
func CredentialsExpired(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && expired[api.ErrorCode()]
}

// TroubleOf classifies the error of a call.
func TroubleOf(err error) Trouble {
	var status *smithyhttp.ResponseError
	if errors.As(err, &status) {
		if code := status.HTTPStatusCode(); code >= http.StatusInternalServerError || code == http.StatusTooManyRequests {
			return Passing
		}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch code := api.ErrorCode(); {
		case passing[code] || api.ErrorFault() == smithy.FaultServer:
			return Passing
		case expired[code]:
			return Unclear
		}
		return Final
	}
	var invalid smithy.InvalidParamsError
	if errors.As(err, &invalid) {
		return Final
	}
	var (
		network net.Error
		sent    *smithyhttp.RequestSendError
		garbled *smithy.DeserializationError
	)
	if errors.As(err, &network) || errors.As(err, &sent) || errors.As(err, &garbled) ||
		(retry.RetryableConnectionError{}).IsErrorRetryable(err).Bool() {
		return Passing
	}
	return Unclear
}
