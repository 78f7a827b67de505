package awsconn

import (
	"net/url"
	"strings"
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

// Elsewhere reports whether the endpoint is not AWS's: the embedded service, an imitation. It has no quotas to respect
// and no console.
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
