package awsconn

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"gust/internal/param"
)

// assumed is the provider of a role's credentials.
type assumed struct {
	client    *sts.Client
	input     *sts.AssumeRoleInput
	tokenFile string
	provider  string // ProviderId of a web identity
}

// assumeKwargs reads assume_role_kwargs into STS's arguments. RoleArn always is role_arn.
func (s *settings) assumeKwargs() (*sts.AssumeRoleInput, string, error) {
	in := &sts.AssumeRoleInput{RoleSessionName: aws.String(s.sessionName())}
	provider := ""
	for _, key := range slices.Sorted(maps.Keys(s.role.kwargs)) {
		value := s.role.kwargs[key]
		if value == nil {
			continue
		}
		var err error
		switch key {
		case "RoleArn":
		case "RoleSessionName":
			in.RoleSessionName, err = kwargText(value)
		case "DurationSeconds":
			n, ok := param.Int(value)
			if !ok || n < 900 || n > 43200 {
				err = &param.Error{Problem: "not a duration", Expected: "900 to 43200 seconds"}
			}
			in.DurationSeconds = aws.Int32(int32(n)) //nolint:gosec // bounded above
		case "ExternalId":
			in.ExternalId, err = kwargText(value)
		case "Policy":
			in.Policy, err = kwargText(value)
		case "SerialNumber":
			in.SerialNumber, err = kwargText(value)
		case "TokenCode":
			in.TokenCode, err = kwargText(value)
		case "SourceIdentity":
			in.SourceIdentity, err = kwargText(value)
		case "ProviderId":
			var id *string
			id, err = kwargText(value)
			provider = aws.ToString(id)
		default:
			err = s.kwargList(in, key, value)
		}
		if err != nil {
			return nil, "", s.kwargError(key, err)
		}
	}
	in.RoleArn = aws.String(s.role.arn)
	return in, provider, nil
}

var kwargNames = []string{
	"RoleSessionName", "DurationSeconds", "ExternalId", "Policy", "PolicyArns", "SerialNumber", "TokenCode",
	"SourceIdentity", "ProviderId", "Tags", "TransitiveTagKeys", "ProvidedContexts",
}

func (s *settings) kwargError(key string, err error) error {
	e := &SettingError{ConnID: s.connID, Key: "assume_role_kwargs." + key, Problem: err.Error()}
	if pe, ok := err.(*param.Error); ok { //nolint:errorlint // built just above
		e.Problem, e.Expected, e.Nearest = pe.Problem, pe.Expected, pe.Nearest
		e.Key = strings.Join(append([]string{e.Key}, pe.Path...), ".")
	}
	return e
}

func kwargText(value any) (*string, error) {
	text, ok := value.(string)
	if !ok {
		return nil, wrongType(value, "a text")
	}
	return &text, nil
}

func (s *settings) kwargList(in *sts.AssumeRoleInput, key string, value any) error {
	if !slices.Contains(kwargNames, key) {
		return &param.Error{Problem: "STS has no such argument", Nearest: param.Nearest(key, kwargNames)}
	}
	items, ok := value.([]any)
	if !ok {
		return wrongType(value, "a list")
	}
	for i, item := range items {
		if key == "TransitiveTagKeys" {
			text, err := kwargText(item)
			if err != nil {
				return under(fmt.Sprint(i), err)
			}
			in.TransitiveTagKeys = append(in.TransitiveTagKeys, *text)
			continue
		}
		object, ok := item.(map[string]any)
		if !ok {
			return under(fmt.Sprint(i), wrongType(item, "an object"))
		}
		field := func(name string) *string {
			text, isText := object[name].(string)
			if !isText {
				return nil
			}
			return &text
		}
		switch key {
		case "PolicyArns":
			in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: field("arn")})
		case "Tags":
			in.Tags = append(in.Tags, types.Tag{Key: field("Key"), Value: field("Value")})
		case "ProvidedContexts":
			in.ProvidedContexts = append(in.ProvidedContexts, types.ProvidedContext{
				ProviderArn: field("ProviderArn"), ContextAssertion: field("ContextAssertion"),
			})
		}
	}
	return nil
}

// expiryWindow is how long before they expire credentials are fetched again.
const expiryWindow = 5 * time.Minute

// assumeRole returns the credentials of the connection's role; STS is called when they are first needed and before they
// expire.
func (s *settings) assumeRole(client *sts.Client) (aws.CredentialsProvider, error) {
	in, provider, err := s.assumeKwargs()
	if err != nil {
		return nil, err
	}
	return aws.NewCredentialsCache(
		&assumed{client: client, input: in, tokenFile: s.role.tokenFile, provider: provider},
		func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow, o.ExpiryWindowJitterFrac = expiryWindow, 0.5 },
	), nil
}

// Retrieve calls STS.
func (a *assumed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if a.tokenFile != "" {
		return a.webIdentity(ctx)
	}
	out, err := a.client.AssumeRole(ctx, a.input)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("assume role %s: %w", aws.ToString(a.input.RoleArn), err)
	}
	return a.credentials("sts-assume-role", out.Credentials)
}

func (a *assumed) webIdentity(ctx context.Context) (aws.Credentials, error) {
	token, err := os.ReadFile(a.tokenFile)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("web identity token: %w", err)
	}
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: a.input.RoleArn, RoleSessionName: a.input.RoleSessionName, DurationSeconds: a.input.DurationSeconds,
		Policy: a.input.Policy, PolicyArns: a.input.PolicyArns,
		WebIdentityToken: aws.String(strings.TrimSpace(string(token))),
	}
	if a.provider != "" {
		in.ProviderId = &a.provider
	}
	out, err := a.client.AssumeRoleWithWebIdentity(ctx, in, func(o *sts.Options) {
		// A fresh token may not be known everywhere yet.
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, "InvalidIdentityToken", "IDPCommunicationError")
	})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("assume role %s with web identity: %w", aws.ToString(in.RoleArn), err)
	}
	return a.credentials("assume-role-with-web-identity", out.Credentials)
}

func (a *assumed) credentials(source string, c *types.Credentials) (aws.Credentials, error) {
	if c == nil || c.AccessKeyId == nil || c.SecretAccessKey == nil {
		return aws.Credentials{}, fmt.Errorf("assume role %s: STS returned no credentials", aws.ToString(a.input.RoleArn))
	}
	return aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken),
		Source: source, CanExpire: c.Expiration != nil, Expires: aws.ToTime(c.Expiration),
	}, nil
}
