package awsconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// loader makes an aws.Config of settings.
type loader struct {
	*settings
	logger  logging.Logger
	backoff backoffFunc // nil = the SDK's
}

// backoffFunc is the delay before an attempt is repeated.
type backoffFunc func(attempt int, err error) (time.Duration, error)

// forService loads the configuration for the service that the settings were resolved for. When a role is to be assumed,
// the keys, the profile or the default chain serve only to ask STS for it.
func (l *loader) forService(ctx context.Context) (aws.Config, error) {
	if l.role == nil {
		return l.load(ctx, loadOptions{endpoint: l.endpoint, verify: l.verify})
	}
	base, client, err := l.sts(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	creds, err := l.assumeRole(client)
	if err != nil {
		return aws.Config{}, err
	}
	return l.load(ctx, loadOptions{endpoint: l.endpoint, verify: l.verify, region: base.Region, creds: creds})
}

// sts loads the configuration for calls to STS itself. As in Airflow the botocore settings and service_config.sts hold
// for them, and neither the global endpoint_url nor verify does.
func (l *loader) sts(ctx context.Context) (aws.Config, *sts.Client, error) {
	cfg, err := l.load(ctx, loadOptions{endpoint: l.stsEndpoint})
	if err != nil {
		return cfg, nil, err
	}
	return cfg, sts.NewFromConfig(cfg), nil
}

// loadOptions is what differs between the configuration of a service and that of STS.
type loadOptions struct {
	endpoint string
	verify   Verify
	region   string                  // wins
	creds    aws.CredentialsProvider // of the assumed role; the connection's keys and profile are not looked at
}

func (l *loader) load(ctx context.Context, o loadOptions) (aws.Config, error) {
	client, err := l.httpClient(o.verify)
	if err != nil {
		return aws.Config{}, err
	}
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(client), config.WithLogger(l.logger)}
	opts = append(opts, l.regionOptions(o)...)
	opts = append(opts, l.credentialOptions(o)...)
	opts = append(opts, l.botoOptions()...)
	if o.verify.path != "" {
		bundle, err := os.Open(o.verify.path)
		if err != nil {
			return aws.Config{}, fmt.Errorf("verify: the CA bundle cannot be read: %w", err)
		}
		defer func() { _ = bundle.Close() }() // only read
		opts = append(opts, config.WithCustomCABundle(bundle))
	}
	if o.endpoint != "" {
		opts = append(opts, config.WithBaseEndpoint(o.endpoint))
	}
	profile := l.profile
	if o.creds != nil {
		profile = ""
	}
	cfg, mode, err := loadDefault(ctx, profile, opts)
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, &SettingError{ConnID: l.connID, Key: "region_name", Problem: "no AWS region is set",
			Expected: "region_name on the task or in the connection's extra, AWS_DEFAULT_REGION, or a profile with a region"}
	}
	if err := l.trust(&cfg, o.verify); err != nil {
		return aws.Config{}, err
	}
	l.retryer(&cfg, mode)
	l.finish(&cfg, o.endpoint)
	return cfg, nil
}

func (l *loader) regionOptions(o loadOptions) []func(*config.LoadOptions) error {
	region := o.region
	if region == "" {
		region = l.region
	}
	if region == "" {
		region = os.Getenv("AWS_DEFAULT_REGION") // before AWS_REGION, which the SDK reads first
	}
	if region == "" {
		return nil
	}
	return []func(*config.LoadOptions) error{config.WithRegion(region)}
}

func (l *loader) credentialOptions(o loadOptions) []func(*config.LoadOptions) error {
	switch {
	case l.boto.unsigned:
		return []func(*config.LoadOptions) error{config.WithCredentialsProvider(aws.AnonymousCredentials{})}
	case o.creds != nil:
		return []func(*config.LoadOptions) error{config.WithCredentialsProvider(o.creds)}
	}
	var opts []func(*config.LoadOptions) error
	if l.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(l.profile))
	}
	if l.accessKey != "" {
		opts = append(opts, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(l.accessKey, l.secretKey, l.sessionToken)))
	}
	return opts
}

// botoOptions are the botocore settings that LoadDefaultConfig has options for.
func (l *loader) botoOptions() []func(*config.LoadOptions) error {
	b := l.boto
	var opts []func(*config.LoadOptions) error
	add := func(given bool, option config.LoadOptionsFunc) {
		if given {
			opts = append(opts, option)
		}
	}
	add(b.appID != "", config.WithAppID(b.appID))
	if b.dualstack != nil {
		state := aws.DualStackEndpointStateDisabled
		if *b.dualstack {
			state = aws.DualStackEndpointStateEnabled
		}
		opts = append(opts, config.WithUseDualStackEndpoint(state))
	}
	if b.fips != nil {
		state := aws.FIPSEndpointStateDisabled
		if *b.fips {
			state = aws.FIPSEndpointStateEnabled
		}
		opts = append(opts, config.WithUseFIPSEndpoint(state))
	}
	if b.discovery != nil {
		state := aws.EndpointDiscoveryDisabled
		if *b.discovery {
			state = aws.EndpointDiscoveryEnabled
		}
		opts = append(opts, config.WithEndpointDiscovery(state))
	}
	add(b.noCompress != nil, config.WithDisableRequestCompression(b.noCompress))
	add(b.minCompress != nil, config.WithRequestMinCompressSizeBytes(b.minCompress))
	add(b.noS3Express != nil, config.WithS3DisableExpressAuth(b.noS3Express != nil && *b.noS3Express))
	add(len(b.authSchemes) > 0, config.WithAuthSchemePreference(b.authSchemes...))
	if b.requestSum != "" {
		sum := aws.RequestChecksumCalculationWhenSupported
		if b.requestSum == "when_required" {
			sum = aws.RequestChecksumCalculationWhenRequired
		}
		opts = append(opts, config.WithRequestChecksumCalculation(sum))
	}
	if b.responseSum != "" {
		sum := aws.ResponseChecksumValidationWhenSupported
		if b.responseSum == "when_required" {
			sum = aws.ResponseChecksumValidationWhenRequired
		}
		opts = append(opts, config.WithResponseChecksumValidation(sum))
	}
	if mode := map[string]aws.AccountIDEndpointMode{
		"preferred": aws.AccountIDEndpointModePreferred, "disabled": aws.AccountIDEndpointModeDisabled,
		"required": aws.AccountIDEndpointModeRequired,
	}[b.accountID]; mode != "" {
		opts = append(opts, config.WithAccountIDEndpointMode(mode))
	}
	return opts
}

// httpClient builds the transport. It stays buildable so that LoadDefaultConfig can add AWS_CA_BUNDLE.
func (l *loader) httpClient(verify Verify) (*awshttp.BuildableClient, error) {
	b := l.boto
	var cert []tls.Certificate
	if b.certFile != "" {
		pair, err := tls.LoadX509KeyPair(b.certFile, b.keyFile)
		if err != nil {
			return nil, fmt.Errorf("client_cert: %w", err)
		}
		cert = []tls.Certificate{pair}
	}
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = b.connectTimeout
		if b.keepalive != nil && !*b.keepalive {
			d.KeepAlive = -1
		}
	}).WithTransportOptions(func(tr *http.Transport) {
		tr.MaxIdleConnsPerHost = b.maxPool
		tr.MaxIdleConns = max(b.maxPool, awshttp.DefaultHTTPTransportMaxIdleConns)
		tr.TLSClientConfig.Certificates = cert
		tr.TLSClientConfig.InsecureSkipVerify = verify.set && !verify.on
		if b.proxies != nil {
			tr.Proxy = func(r *http.Request) (*url.URL, error) { return b.proxies[r.URL.Scheme], nil }
		}
	})
	return client.WithReadTimeout(b.readTimeout), nil
}

// trust completes the trusted authorities and freezes the HTTP client, so that clients of one configuration share one
// connection pool. An explicit verify: true means the system's authorities, whatever AWS_CA_BUNDLE says; without verify
// and AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE is used.
func (l *loader) trust(cfg *aws.Config, verify Verify) error {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return fmt.Errorf("AWS configuration: unexpected HTTP client %T", cfg.HTTPClient)
	}
	bundle := client.GetTransport().TLSClientConfig.RootCAs
	switch path := os.Getenv("REQUESTS_CA_BUNDLE"); {
	case verify.set && verify.path == "":
		bundle = nil
	case !verify.set && bundle == nil && path != "":
		pem, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("REQUESTS_CA_BUNDLE: %w", err)
		}
		bundle = x509.NewCertPool()
		if !bundle.AppendCertsFromPEM(pem) {
			return fmt.Errorf("REQUESTS_CA_BUNDLE: %s holds no certificate in PEM form", path)
		}
	}
	frozen := client.WithTransportOptions(func(tr *http.Transport) { tr.TLSClientConfig.RootCAs = bundle }).Freeze()
	cfg.HTTPClient = &plainBodies{frozen}
	return nil
}
