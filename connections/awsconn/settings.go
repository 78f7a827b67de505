package awsconn

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"gust/connections"
	"gust/internal/param"
)

// The names of services in service_config are those of boto3's clients.
const (
	serviceSFN    = "stepfunctions"
	serviceSTS    = "sts"
	serviceLambda = "lambda"
	serviceBatch  = "batch"
	serviceLogs   = "logs"
)

// lambdaTimeout is the read timeout of Lambda: nothing comes back while a function runs, which it may for 15 minutes.
const lambdaTimeout = 16 * time.Minute

// settings is what a connection and a task's parameters come to, before anything is loaded.
type settings struct {
	service string
	connID  string // "" = no connection
	region  string // "" = the environment's or the profile's
	verify  Verify
	boto    *botocore
	profile string
	// endpoint and stsEndpoint are "" for the SDK's own choice (AWS_ENDPOINT_URL..., profile, the public endpoint).
	endpoint    string
	stsEndpoint string

	accessKey, secretKey, sessionToken string

	role     *role
	warnings []string
}

// role is what is assumed.
type role struct {
	arn       string
	kwargs    map[string]any
	tokenFile string // set for web identity
}

// extra reads the keys of a connection's extra.
type extra struct {
	connID string
	values map[string]any
	err    error // the first problem
}

// knownExtras are the keys that are read, or known to be ignored.
var knownExtras = []string{
	"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "session_kwargs", "region_name", "profile_name",
	"profile", "s3_config_file", "s3_config_format", "verify", "config_kwargs", "endpoint_url", "service_config",
	"role_arn", "assume_role_method", "assume_role_kwargs", "assume_role_with_web_identity_federation",
	"assume_role_with_web_identity_token_file", "assume_role_with_web_identity_federation_audience",
	"assume_role_with_saml",
}

func (e *extra) fail(key, problem, expected string) {
	if e.err == nil {
		e.err = &SettingError{ConnID: e.connID, Key: key, Problem: problem, Expected: expected}
	}
}

// text reads a text; null and absent are "".
func (e *extra) text(key string) string {
	switch v := e.values[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		e.fail(key, "wrong type: "+typeOf(v), "a text")
		return ""
	}
}

// object reads an object; null and absent are nil.
func (e *extra) object(key string) map[string]any {
	switch v := e.values[key].(type) {
	case nil:
		return nil
	case map[string]any:
		return v
	case string:
		e.fail(key, "wrong type: a text",
			"an object; in a URI a nested value needs __extra__=<percent-encoded JSON of the whole extra>")
	default:
		e.fail(key, "wrong type: "+typeOf(v), "an object")
	}
	return nil
}

// SettingError is a connection or parameter that cannot be used for AWS.
type SettingError struct {
	// ConnID is the connection, or "" when a parameter of the task is meant.
	ConnID string
	// Key is the extra key or parameter, dotted.
	Key                        string
	Problem, Expected, Nearest string
}

func (e *SettingError) Error() string {
	var b strings.Builder
	if e.ConnID != "" {
		fmt.Fprintf(&b, "AWS connection %q: ", e.ConnID)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	if e.Expected != "" {
		b.WriteString("; expected " + e.Expected)
	}
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	return b.String()
}

// resolve merges a connection, nil for none, and the task's parameters for one service. It does no I/O but to read
// AWS_WEB_IDENTITY_TOKEN_FILE.
func resolve(conn *connections.Connection, p Params, service string) (*settings, error) {
	s := &settings{service: service, region: p.RegionName, verify: p.Verify}
	e := &extra{values: map[string]any{}}
	if conn != nil {
		s.connID, e.connID = conn.ID, conn.ID
		values, err := conn.ExtraMap()
		if err != nil {
			return nil, err
		}
		e.values = values
		if conn.Type != "aws" && conn.Type != "" {
			s.warn("expected connection type 'aws', got '%s'; it is used all the same", conn.Type)
		}
		s.warnExtras(e)
		s.credentials(conn, e)
	}
	if s.region == "" {
		s.region = e.text("region_name")
	}
	if !s.verify.set {
		if v := e.values["verify"]; v != nil {
			if err := s.verify.UnmarshalParam(v); err != nil {
				e.fail("verify", err.Error(), "")
			}
		}
	}
	s.profile = e.text("profile_name")
	s.endpoints(e, service)
	s.assume(e)
	if e.err != nil {
		return nil, e.err
	}
	return s, s.config(e, p)
}

func (s *settings) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.connID != "" {
		text = fmt.Sprintf("AWS connection %q: %s", s.connID, text)
	}
	s.warnings = append(s.warnings, text)
}

// warnExtras names the keys of the extra that look as if they should have an effect but have none.
func (s *settings) warnExtras(e *extra) {
	for _, key := range slices.Sorted(maps.Keys(e.values)) {
		switch key {
		case "profile":
			if _, old := e.values["s3_config_file"]; !old && e.values["profile_name"] == nil {
				s.warn("Found 'profile' without specifying 's3_config_file'; it has no effect, use profile_name")
			}
		case "external_id":
			s.warn("external_id has no effect; put ExternalId into assume_role_kwargs")
		case "aws_account_id", "aws_iam_role":
			s.warn("%s has no effect; use role_arn", key)
		default:
			if near := param.Nearest(key, knownExtras); near != "" && !slices.Contains(knownExtras, key) {
				s.warn("the extra key %q has no effect; did you mean %q?", key, near)
			}
		}
	}
	for key := range e.object("session_kwargs") {
		if key != "aws_access_key_id" && key != "aws_secret_access_key" && key != "aws_session_token" {
			s.warn("session_kwargs.%s has no effect; put %s at the top of the extra", key, key)
		}
	}
}

// credentials takes the key pair from login and password, else from the extra, else from session_kwargs.
func (s *settings) credentials(conn *connections.Connection, e *extra) {
	session := &extra{connID: e.connID, values: e.object("session_kwargs")}
	switch login, password := conn.LoginOr(""), conn.PasswordOr(""); {
	case login != "" && password != "":
		s.accessKey, s.secretKey = login, password
	default:
		if login != "" || password != "" {
			s.warn("login and password are used only when both are set; they are ignored")
		}
		s.accessKey, s.secretKey = e.text("aws_access_key_id"), e.text("aws_secret_access_key")
		if s.accessKey == "" && s.secretKey == "" {
			key, secret := session.text("aws_access_key_id"), session.text("aws_secret_access_key")
			if key != "" && secret != "" {
				s.accessKey, s.secretKey = key, secret
			}
		}
	}
	if (s.accessKey == "") != (s.secretKey == "") {
		given, missing := "aws_access_key_id", "aws_secret_access_key"
		if s.accessKey == "" {
			given, missing = missing, given
		}
		e.fail(given, "partial credentials: "+missing+" is missing", "both, or neither for the default chain")
	}
	if s.sessionToken = e.text("aws_session_token"); s.sessionToken == "" {
		s.sessionToken = session.text("aws_session_token")
	}
	if e.err == nil && session.err != nil {
		e.err = session.err
	}
}

// endpoints reads endpoint_url and service_config. The global endpoint does not hold for the STS calls that assume the
// role and test the connection.
func (s *settings) endpoints(e *extra, service string) {
	services := e.object("service_config")
	own := func(name string) (string, bool) {
		raw, present := services[name]
		if !present {
			return "", false
		}
		config, ok := raw.(map[string]any)
		if !ok {
			e.fail("service_config."+name, "wrong type: "+typeOf(raw),
				`an object such as {"endpoint_url": "http://localhost:8083"}`)
			return "", false
		}
		value, present := config["endpoint_url"]
		return s.endpointText(e, "service_config."+name+".endpoint_url", value), present
	}
	var present bool
	if s.endpoint, present = own(service); !present {
		s.endpoint = s.endpointText(e, "endpoint_url", e.values["endpoint_url"])
	}
	s.stsEndpoint, _ = own(serviceSTS)
	for _, name := range []string{"sfn", "states", "step_functions"} {
		if _, wrong := services[name]; wrong {
			s.warn("service_config.%s has no effect; the service is called %s", name, serviceSFN)
		}
	}
}

func (s *settings) endpointText(e *extra, key string, value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		if v == "" {
			return ""
		}
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			e.fail(key, "Invalid endpoint", "a URL that begins with http:// or https://, such as http://localhost:8083")
		}
		return v
	}
	e.fail(key, "wrong type: "+typeOf(value), "a URL or null")
	return ""
}

var assumeMethods = []string{"assume_role", "assume_role_with_saml", "assume_role_with_web_identity"}

func (s *settings) assume(e *extra) {
	method := e.text("assume_role_method")
	arn := e.text("role_arn")
	if arn == "" {
		return // then the other keys have no meaning
	}
	s.role = &role{arn: arn, kwargs: e.object("assume_role_kwargs")}
	switch method {
	case "", "assume_role":
	case "assume_role_with_saml":
		e.fail("assume_role_method", "assume_role_with_saml is not supported by Gust",
			"assume_role or assume_role_with_web_identity; or log in outside and use a profile with profile_name")
	case "assume_role_with_web_identity":
		s.webIdentity(e)
	default:
		e.fail("assume_role_method", fmt.Sprintf("Found assume_role_method='%s'", method),
			"one of "+strings.Join(assumeMethods, ", ")+` (leave the key out for "assume_role")`)
	}
}

func (s *settings) webIdentity(e *extra) {
	const key = "assume_role_with_web_identity_federation"
	switch federation := e.text(key); federation {
	case "file":
		s.role.tokenFile = e.text("assume_role_with_web_identity_token_file")
		if s.role.tokenFile == "" {
			s.role.tokenFile = os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
		}
		if s.role.tokenFile == "" {
			e.fail("assume_role_with_web_identity_token_file", "no token file is given",
				"a path, here or in AWS_WEB_IDENTITY_TOKEN_FILE")
		}
	case "google":
		e.fail(key, "google is not supported by Gust", "file, with assume_role_with_web_identity_token_file")
	case "":
		e.fail(key, "Unsupported federation: None", "file, with assume_role_with_web_identity_token_file")
	default:
		e.fail(key, "Unsupported federation: "+federation, "file, with assume_role_with_web_identity_token_file")
	}
}

// config reads the botocore settings: the task's if it gives any, an empty object too, else the connection's.
func (s *settings) config(e *extra, p Params) (err error) {
	raw, connID, key := p.BotocoreConfig, "", "botocore_config"
	if raw == nil {
		raw, connID, key = e.object("config_kwargs"), s.connID, "config_kwargs"
		if e.err != nil {
			return e.err
		}
	}
	s.boto, err = readBotocore(raw)
	if err != nil {
		pe, ok := err.(*param.Error) //nolint:errorlint // readBotocore returns nothing else with a path
		if !ok {
			return fmt.Errorf("%s: %w", key, err)
		}
		return &SettingError{
			ConnID: connID, Key: strings.Join(append([]string{key}, pe.Path...), "."), Problem: pe.Problem,
			Expected: pe.Expected, Nearest: pe.Nearest,
		}
	}
	if s.service == serviceLambda && !s.boto.readSet {
		s.boto.readTimeout = lambdaTimeout
	}
	if own := s.boto.readTimeout; own > 0 { // 0 is none
		s.boto.readTimeout = max(own, p.Patience)
	}
	for _, w := range s.boto.warnings {
		s.warn("%s.%s", key, w)
	}
	if s.boto.region != "" {
		s.region = s.boto.region
	}
	return nil
}

var notInSession = regexp.MustCompile(`[^\w+=,.@-]+`)

// sessionName is Airflow's default RoleSessionName: Airflow_<conn_id> in lower case, at most STS's 64 characters.
func (s *settings) sessionName() string {
	name := strings.ToLower("Airflow_" + s.connID)
	name = strings.Trim(notInSession.ReplaceAllString(name, "-"), "-")
	return name[:min(len(name), 64)]
}
