package awsconn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"gust/connections"
)

// Test asks STS who the connection is (GetCallerIdentity) and returns Airflow's message. It uses the connection's
// config_kwargs and service_config.sts.endpoint_url, not its endpoint_url or verify. A success does not prove access to
// any service, and a failure against an imitation of AWS does not prove that the keys are wrong.
func (p *Pool) Test(ctx context.Context, conn *connections.Connection) (ok bool, message string) {
	message, err := p.identity(ctx, conn)
	if err != nil {
		return false, fmt.Sprintf("'%s' error occurred while testing connection: %s", errorName(err), err)
	}
	return true, message
}

func (p *Pool) identity(ctx context.Context, conn *connections.Connection) (string, error) {
	s, err := resolve(conn, Params{}, serviceSTS)
	if err != nil {
		return "", err
	}
	s.endpoint, s.verify = s.stsEndpoint, Verify{}
	cfg, err := p.loader(s).forService(ctx)
	if err != nil {
		return "", err
	}
	method := "None"
	if cfg.Credentials != nil {
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return "", err
		}
		method = credentialsMethod(creds)
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("UserId='%s', Account='%s', Arn='%s', credentials_method='%s', region_name='%s'",
		aws.ToString(out.UserId), aws.ToString(out.Account), aws.ToString(out.Arn), method, cfg.Region), nil
}

// credentialsMethod names where credentials come from in boto3's words.
func credentialsMethod(c aws.Credentials) string {
	for _, m := range [...]struct{ source, method string }{
		{"StaticCredentials", "explicit"}, {"EnvConfigCredentials", "env"},
		{"SharedConfigCredentials", "shared-credentials-file"}, {"AssumeRoleProvider", "assume-role"},
		{"WebIdentityCredentials", "assume-role-with-web-identity"}, {"EC2RoleProvider", "iam-role"},
		{"CredentialsEndpointProvider", "container-role"}, {"ProcessProvider", "custom-process"}, {"SSOProvider", "sso"},
	} {
		if strings.HasPrefix(c.Source, m.source) {
			return m.method
		}
	}
	return c.Source
}

// errorName is the service's error code, or the kind of the error.
func errorName(err error) string {
	var api smithy.APIError
	var setting *SettingError
	switch {
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.As(err, &setting):
		return "SettingError"
	case errors.Is(err, context.DeadlineExceeded):
		return "Timeout"
	}
	return "ConnectionError"
}
