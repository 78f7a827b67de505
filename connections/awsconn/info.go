package awsconn

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
)

// Info describes a client.
type Info struct {
	Region string
	// Partition is "aws", "aws-cn", "aws-us-gov", ...
	Partition string
	// Domain is the domain of the partition's console ("aws.amazon.com"), or "" when it is not known.
	Domain string
	// Endpoint is the endpoint_url of the connection, or "".
	Endpoint string
	// Warnings are settings without effect, each naming its key. They have been logged once.
	Warnings []string
}

// Console returns the address of a console page, for example "/batch/home?region=eu-west-1#jobs/detail/1". It is ""
// when there is none: an endpoint that is not AWS, or a partition whose console is not known.
func (info Info) Console(page string) string {
	if info.Domain == "" || info.Region == "" || info.Elsewhere() {
		return ""
	}
	return "https://console." + info.Domain + page
}

// Foreign is the endpoint if it is not AWS's, else "".
func (info Info) Foreign() string {
	if info.Elsewhere() {
		return info.Endpoint
	}
	return ""
}

// Elsewhere reports whether the endpoint is not AWS's: the embedded service, an imitation. It has no quotas to respect,
// unless the settings say so, and no console.
func (info Info) Elsewhere() bool {
	if info.Endpoint == "" {
		return false
	}
	u, err := url.Parse(info.Endpoint)
	if err != nil {
		return true
	}
	host := u.Hostname()
	for _, domain := range [...]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu"} {
		if strings.HasSuffix(host, domain) {
			return false
		}
	}
	return true
}

// Explained adds to the error of an endpoint that does not have the service at all which endpoint that is: aws_default may
// mean the embedded service, which is Step Functions alone.
func (info Info) Explained(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "UnknownOperationException" || !info.Elsewhere() {
		return err
	}
	return fmt.Errorf("the endpoint %s does not have this service; while `gust standalone` runs and nobody defines "+
		"aws_default, that is the embedded Step Functions service: define aws_default for AWS, or give the task another "+
		"aws_conn_id (%w)", info.Endpoint, err)
}
