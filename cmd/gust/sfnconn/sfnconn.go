// Package sfnconn makes the Step Functions client that a command line asks for: one of Gust's connections, changed by the
// flags of the AWS command line.
package sfnconn

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/cmd/gust/sfnapi"
	"gust/connections"
	"gust/connections/awsconn"
)

// Settings are the flags that choose a service.
type Settings struct {
	// ConnID is the connection; Explicit says that it was named on the command line.
	ConnID   string
	Explicit bool
	Region   string
	Endpoint string
	Profile  string
	CABundle string
	NoVerify bool
	Unsigned bool
	// ReadTimeout and ConnectTimeout are seconds; 0 is none and -1 the connection's.
	ReadTimeout, ConnectTimeout int
	// DefaultRegion is used for a service on loopback when nothing else names a region.
	DefaultRegion string
	// AccessKeys are the secret keys by id that a local service of this configuration asks for, if it does.
	AccessKeys map[string]string
}

// LocalKeys are credentials for a local service: one of its keys, or anything.
func LocalKeys(keys map[string]string) (id, secret string) {
	if len(keys) == 0 {
		return "local", "local"
	}
	id = slices.Min(slices.Collect(maps.Keys(keys)))
	return id, keys[id]
}

// Error is a combination of flags, or a connection, that leads to no client.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

// ExitCode is that of wrong usage.
func (*Error) ExitCode() int { return 2 }

// Client returns the client. An answer may take as long as patience, unless ReadTimeout says otherwise.
func (s *Settings) Client(ctx context.Context, pool *awsconn.Pool, all connections.Resolver, patience time.Duration) (*sfn.Client, error) {
	conn, err := s.connection(ctx, all)
	if err != nil {
		return nil, err
	}
	params := awsconn.Params{RegionName: s.Region, Patience: patience}
	if s.ReadTimeout >= 0 {
		params.Patience = 0
	}
	switch {
	case s.CABundle != "":
		params.Verify = awsconn.VerifyPath(s.CABundle)
	case s.NoVerify:
		params.Verify = awsconn.VerifyBool(false)
	}
	if conn != nil {
		params.AWSConnID = awsconn.ConnID(conn.ID)
	}
	client, _, err := pool.SFN(ctx, one{conn}, params)
	if err != nil {
		return nil, sfnapi.SetupError(fmt.Errorf("%w%s", err, s.advice(conn)))
	}
	return client, nil
}

// advice helps who meant the local service.
func (s *Settings) advice(conn *connections.Connection) string {
	if conn != nil || s.Endpoint != "" || s.Explicit {
		return ""
	}
	return "\nno connection aws_default is defined and no local service runs here; start one with `gust sfn local`, or define the " +
		"connection, see `gust connections add --help`"
}

// one resolves the one connection that was put together here.
type one struct{ conn *connections.Connection }

func (o one) Connection(_ context.Context, id string) (*connections.Connection, error) {
	if o.conn == nil || o.conn.ID != id {
		return nil, &connections.NotFoundError{ID: id}
	}
	return o.conn, nil
}

// connection is the connection with the flags laid over it; nil is the default credential chain alone.
func (s *Settings) connection(ctx context.Context, all connections.Resolver) (*connections.Connection, error) {
	if s.Profile != "" && s.Explicit && s.ConnID != "" {
		return nil, &Error{"--profile and --aws-conn-id cannot be used together; give one of them"}
	}
	if s.CABundle != "" && s.NoVerify {
		return nil, &Error{"--ca-bundle and --no-verify-ssl cannot be used together; give one of them"}
	}
	var base *connections.Connection
	if s.ConnID != "" && s.Profile == "" {
		var err error
		base, err = all.Connection(ctx, s.ConnID)
		switch {
		case err == nil:
		case s.Explicit || !connections.IsNotFound(err):
			return nil, err
		default:
			base = nil
		}
	}
	over, err := s.extra()
	if err != nil {
		return nil, err
	}
	local := base == nil && s.ConnID != "" && s.Profile == "" && loopback(s.endpoint()) && noCredentials()
	if len(over) == 0 && !local {
		return base, nil
	}
	conn := &connections.Connection{ID: awsconn.DefaultConnID, Type: "aws"}
	extra := map[string]any{}
	if base != nil {
		copied := *base
		conn = &copied
		if extra, err = base.ExtraMap(); err != nil {
			return nil, err
		}
		extra = maps.Clone(extra)
	} else if local {
		login, secret := LocalKeys(s.AccessKeys)
		conn.Login, conn.Password = &login, &secret
		if s.Region == "" && os.Getenv("AWS_DEFAULT_REGION") == "" && os.Getenv("AWS_REGION") == "" {
			over["region_name"] = s.DefaultRegion
		}
	}
	return conn, merge(conn, extra, over)
}

// endpoint is the endpoint that is given, on the command line or by the environment.
func (s *Settings) endpoint() string {
	return cmp.Or(s.Endpoint, os.Getenv("AWS_ENDPOINT_URL_SFN"), os.Getenv("AWS_ENDPOINT_URL"))
}

// extra are the flags as a connection's extra.
func (s *Settings) extra() (map[string]any, error) {
	over, boto := map[string]any{}, map[string]any{}
	if s.Endpoint != "" {
		if u, err := url.Parse(s.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, &Error{fmt.Sprintf("--endpoint-url is %q; expected a URL such as http://127.0.0.1:8083", s.Endpoint)}
		}
		over["endpoint_url"] = s.Endpoint
	}
	if s.Profile != "" {
		over["profile_name"] = s.Profile
	}
	if s.Unsigned {
		boto["signature_version"] = "unsigned"
	}
	for key, seconds := range map[string]int{"read_timeout": s.ReadTimeout, "connect_timeout": s.ConnectTimeout} {
		switch {
		case seconds > 0:
			boto[key] = seconds
		case seconds == 0:
			boto[key] = nil
		}
	}
	if len(boto) > 0 {
		over["config_kwargs"] = boto
	}
	return over, nil
}

// merge writes the extra of a connection: over wins, config_kwargs key by key, and the endpoint over that of service_config.
func merge(conn *connections.Connection, extra, over map[string]any) error {
	if boto, ok := over["config_kwargs"].(map[string]any); ok {
		both := map[string]any{}
		if own, ok := extra["config_kwargs"].(map[string]any); ok {
			maps.Copy(both, own)
		}
		maps.Copy(both, boto)
		over["config_kwargs"] = both
	}
	if _, ok := over["endpoint_url"]; ok {
		if services, ok := extra["service_config"].(map[string]any); ok {
			services = maps.Clone(services)
			delete(services, "stepfunctions")
			extra["service_config"] = services
		}
	}
	maps.Copy(extra, over)
	raw, err := json.Marshal(extra)
	if err != nil {
		return fmt.Errorf("connection %s: %w", conn.ID, err)
	}
	conn.Extra = raw
	return nil
}

// loopback reports whether a URL leads to this machine.
func loopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// noCredentials reports whether neither the environment nor the AWS files hold credentials: then the default chain would ask
// the network for some, and a local service takes any.
func noCredentials() bool {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		if os.Getenv(name) != "" {
			return false
		}
	}
	file := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".aws", "credentials")
	}
	_, err := os.Stat(file)
	return err != nil
}
