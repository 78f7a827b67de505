package awsconn

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"gust/internal/param"
)

// botocore is botocore's Config as far as the Go SDK can do it.
type botocore struct {
	region         string
	unsigned       bool
	userAgent      string
	userAgentExtra string
	appID          string
	connectTimeout time.Duration // 0 = none
	readTimeout    time.Duration // 0 = none
	readSet        bool
	noValidation   bool
	maxPool        int
	proxies        map[string]*url.URL // by scheme; nil = the environment's
	retryMode      string
	maxAttempts    int // in total, 0 = not set
	certFile       string
	keyFile        string
	hostPrefix     *bool
	discovery      *bool
	dualstack      *bool
	fips           *bool
	ignoreURLs     bool
	defaultsMode   string
	keepalive      *bool
	minCompress    *int64
	noCompress     *bool
	requestSum     string
	responseSum    string
	accountID      string
	authSchemes    []string
	noS3Express    *bool

	connectSet bool
	warnings   []string
}

const (
	defaultTimeout = 60 * time.Second // botocore's, for connecting and for reading
	// defaultPool is how many idle connections are kept per host; botocore keeps 10, but a client here serves every task.
	defaultPool = 100
)

// optionFunc reads one key of botocore's Config; value is not nil.
type optionFunc func(b *botocore, value any) error

// options are the keys of botocore's Config.
var options = map[string]optionFunc{
	"region_name":       textOption(func(b *botocore) *string { return &b.region }),
	"signature_version": signatureVersion,

	"user_agent":       textOption(func(b *botocore) *string { return &b.userAgent }),
	"user_agent_extra": textOption(func(b *botocore) *string { return &b.userAgentExtra }),
	"user_agent_appid": appID,

	"connect_timeout":      connectTimeout,
	"read_timeout":         readTimeout,
	"max_pool_connections": maxPool,
	"tcp_keepalive":        boolOption(func(b *botocore) **bool { return &b.keepalive }),
	"proxies":              proxies,
	"proxies_config":       notInGo("proxies_config", "the TLS settings of proxies"),
	"client_cert":          clientCert,

	"retries":       retries,
	"defaults_mode": textEnum(func(b *botocore) *string { return &b.defaultsMode }, defaultsModes...),

	"parameter_validation":            parameterValidation,
	"inject_host_prefix":              boolOption(func(b *botocore) **bool { return &b.hostPrefix }),
	"endpoint_discovery_enabled":      discovery,
	"use_dualstack_endpoint":          boolOption(func(b *botocore) **bool { return &b.dualstack }),
	"use_fips_endpoint":               boolOption(func(b *botocore) **bool { return &b.fips }),
	"ignore_configured_endpoint_urls": ignoreURLs,
	"account_id_endpoint_mode": textEnum(
		func(b *botocore) *string { return &b.accountID }, "preferred", "disabled", "required"),

	"s3":                                 s3Options,
	"s3_disable_express_session_auth":    boolOption(func(b *botocore) **bool { return &b.noS3Express }),
	"request_min_compression_size_bytes": minCompress,
	"disable_request_compression":        boolOption(func(b *botocore) **bool { return &b.noCompress }),
	"request_checksum_calculation":       textEnum(func(b *botocore) *string { return &b.requestSum }, checksums...),
	"response_checksum_validation":       textEnum(func(b *botocore) *string { return &b.responseSum }, checksums...),
	"auth_scheme_preference":             authSchemes,

	"client_context_params":     notInGo("client_context_params", "client context parameters"),
	"sigv4a_signing_region_set": notInGo("sigv4a_signing_region_set", "a SigV4a region set"),
}

var (
	defaultsModes = []string{"legacy", "standard", "in-region", "cross-region", "mobile", "auto"}
	checksums     = []string{"when_supported", "when_required"}
)

// readBotocore reads a botocore_config or config_kwargs. null leaves a key at its default, except that a timeout of
// null is none, as in botocore.
func readBotocore(raw map[string]any) (*botocore, error) {
	b := &botocore{connectTimeout: defaultTimeout, readTimeout: defaultTimeout, maxPool: defaultPool}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		option, known := options[key]
		if !known {
			return nil, &param.Error{
				Path: []string{key}, Problem: "botocore's Config has no such key",
				Nearest: param.Nearest(key, slices.Sorted(maps.Keys(options))),
			}
		}
		value := raw[key]
		if value == nil && !strings.HasSuffix(key, "_timeout") {
			continue
		}
		if err := option(b, value); err != nil {
			return nil, under(key, err)
		}
	}
	if b.defaultsMode != "" && b.defaultsMode != "legacy" && !b.connectSet {
		b.connectTimeout = modeTimeout(b.defaultsMode)
	}
	if b.defaultsMode == "auto" {
		b.warn("defaults_mode", "auto is treated as standard")
	}
	return b, nil
}

// modeTimeout is the connect timeout of a defaults mode.
func modeTimeout(mode string) time.Duration {
	switch mode {
	case "in-region":
		return 1100 * time.Millisecond
	case "mobile":
		return 30 * time.Second
	}
	return 3100 * time.Millisecond
}

func (b *botocore) warn(key, text string) { b.warnings = append(b.warnings, key+": "+text) }

// under puts a key in front of a parameter error's path.
func under(key string, err error) error {
	if pe, ok := err.(*param.Error); ok { //nolint:errorlint // only an unwrapped one is ours to complete
		return &param.Error{
			Path: append([]string{key}, pe.Path...), Problem: pe.Problem, Expected: pe.Expected, Nearest: pe.Nearest,
		}
	}
	return fmt.Errorf("%s: %w", key, err)
}

func wrongType(value any, expected string) error {
	return &param.Error{Problem: "wrong type: " + typeOf(value), Expected: expected}
}

func boolean(value any) (bool, error) {
	on, ok := value.(bool)
	if !ok {
		return false, wrongType(value, "true or false")
	}
	return on, nil
}

// seconds reads a timeout; null is none.
func seconds(value any) (time.Duration, error) {
	if value == nil {
		return 0, nil
	}
	n, ok := param.Float(value)
	if !ok {
		return 0, wrongType(value, "a number of seconds")
	}
	if n <= 0 || n > 1e6 {
		return 0, &param.Error{Problem: fmt.Sprintf("%g is not a timeout", n),
			Expected: "a positive number of seconds, or null for none"}
	}
	return time.Duration(n * float64(time.Second)), nil
}

func textOption(field func(*botocore) *string) optionFunc {
	return func(b *botocore, value any) error {
		s, ok := value.(string)
		if !ok {
			return wrongType(value, "a text")
		}
		*field(b) = s
		return nil
	}
}

func boolOption(field func(*botocore) **bool) optionFunc {
	return func(b *botocore, value any) error {
		on, err := boolean(value)
		if err == nil {
			*field(b) = &on
		}
		return err
	}
}

func textEnum(field func(*botocore) *string, legal ...string) optionFunc {
	return func(b *botocore, value any) error {
		s, ok := value.(string)
		if !ok || !slices.Contains(legal, strings.ToLower(s)) {
			return &param.Error{
				Problem:  fmt.Sprintf("%v is not a legal value", value),
				Expected: "one of " + strings.Join(legal, ", "), Nearest: param.Nearest(s, legal),
			}
		}
		*field(b) = strings.ToLower(s)
		return nil
	}
}

// notInGo is a key that botocore knows and the Go SDK has no counterpart for.
func notInGo(key, what string) optionFunc {
	return func(b *botocore, _ any) error {
		b.warnings = append(b.warnings, key+": "+what+" cannot be set in Gust; the key is ignored")
		return nil
	}
}

func signatureVersion(b *botocore, value any) error {
	s, ok := value.(string)
	if !ok {
		return wrongType(value, "a text such as unsigned")
	}
	switch s {
	case "unsigned":
		b.unsigned = true
	case "v4", "":
	default:
		b.warn("signature_version", fmt.Sprintf("%q cannot be done in Gust; requests are signed with v4", s))
	}
	return nil
}

func appID(b *botocore, value any) error {
	s, ok := value.(string)
	if !ok {
		return wrongType(value, "a text")
	}
	if len(s) > 50 {
		b.warn("user_agent_appid", "longer than the recommended 50 characters")
	}
	b.appID = s
	return nil
}

func connectTimeout(b *botocore, value any) (err error) {
	b.connectSet = true
	b.connectTimeout, err = seconds(value)
	return err
}

func readTimeout(b *botocore, value any) (err error) {
	b.readSet = true
	b.readTimeout, err = seconds(value)
	return err
}

func parameterValidation(b *botocore, value any) error {
	on, err := boolean(value)
	b.noValidation = !on
	return err
}

func ignoreURLs(b *botocore, value any) (err error) {
	b.ignoreURLs, err = boolean(value)
	return err
}

func maxPool(b *botocore, value any) error {
	n, ok := param.Int(value)
	if !ok {
		return wrongType(value, "a whole number")
	}
	if n < 1 || n > 100_000 {
		return &param.Error{Problem: fmt.Sprintf("%d connections", n), Expected: "at least 1 and at most 100000"}
	}
	b.maxPool = int(n)
	return nil
}

func minCompress(b *botocore, value any) error {
	n, ok := param.Int(value)
	if !ok {
		return wrongType(value, "a whole number of bytes")
	}
	if n < 0 || n > 10485760 {
		return &param.Error{Problem: fmt.Sprintf("%d is out of range", n), Expected: "0 to 10485760 bytes"}
	}
	b.minCompress = &n
	return nil
}

func proxies(b *botocore, value any) error {
	raw, ok := value.(map[string]any)
	if !ok {
		return wrongType(value, "an object of proxy URLs by scheme (http, https)")
	}
	b.proxies = map[string]*url.URL{}
	for _, scheme := range slices.Sorted(maps.Keys(raw)) {
		if scheme != "http" && scheme != "https" {
			b.warn("proxies."+scheme, "only http and https are used; the entry is ignored")
			continue
		}
		text, ok := raw[scheme].(string)
		if !ok {
			return under(scheme, wrongType(raw[scheme], "a proxy URL"))
		}
		if text == "" {
			continue
		}
		if !strings.Contains(text, "://") {
			text = "http://" + strings.TrimPrefix(text, "//")
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return under(scheme, &param.Error{Problem: "not a proxy URL", Expected: "http://host:port"})
		}
		b.proxies[scheme] = u
	}
	return nil
}

func s3Options(_ *botocore, value any) error {
	raw, ok := value.(map[string]any)
	if !ok {
		return wrongType(value, "an object")
	}
	if style := raw["addressing_style"]; style != nil && style != "virtual" && style != "auto" && style != "path" {
		return &param.Error{
			Path: []string{"addressing_style"}, Problem: fmt.Sprintf("%v is not a legal value", style),
			Expected: "one of virtual, auto, path",
		}
	}
	return nil // no service that Gust calls reads it
}

func retries(b *botocore, value any) error {
	raw, ok := value.(map[string]any)
	if !ok {
		return wrongType(value, "an object with max_attempts, total_max_attempts, mode")
	}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		v := raw[key]
		var err error
		switch key {
		case "mode":
			err = textEnum(func(b *botocore) *string { return &b.retryMode }, "legacy", "standard", "adaptive")(b, v)
		case "max_attempts": // retries after the first request
			if b.maxAttempts, err = attempts(v, 0); err == nil {
				b.maxAttempts++
			}
		case "total_max_attempts": // wins, and comes last in the order of the keys
			b.maxAttempts, err = attempts(v, 1)
		default:
			names := []string{"mode", "max_attempts", "total_max_attempts"}
			err = &param.Error{Problem: "no such retry setting", Nearest: param.Nearest(key, names)}
		}
		if err != nil {
			return under(key, err)
		}
	}
	return nil
}

func attempts(value any, least int64) (int, error) {
	n, ok := param.Int(value)
	if !ok {
		return 0, wrongType(value, "a whole number")
	}
	if n < least || n > 10_000 {
		return 0, &param.Error{Problem: fmt.Sprintf("%d attempts", n), Expected: fmt.Sprintf("at least %d", least)}
	}
	return int(n), nil
}

func clientCert(b *botocore, value any) error {
	switch v := value.(type) {
	case string:
		b.certFile, b.keyFile = v, v
		return nil
	case []any:
		if len(v) == 2 {
			cert, isText := v[0].(string)
			key, alsoText := v[1].(string)
			if isText && alsoText {
				b.certFile, b.keyFile = cert, key
				return nil
			}
		}
	}
	return wrongType(value, "the path of a certificate with its key, or a list of both paths")
}

func discovery(b *botocore, value any) error {
	if s, ok := value.(string); ok && strings.EqualFold(s, "auto") {
		return nil
	}
	return boolOption(func(b *botocore) **bool { return &b.discovery })(b, value)
}

func authSchemes(b *botocore, value any) error {
	s, ok := value.(string)
	if !ok {
		return wrongType(value, "a comma separated text")
	}
	for scheme := range strings.SplitSeq(s, ",") {
		if scheme = strings.TrimSpace(scheme); scheme != "" {
			b.authSchemes = append(b.authSchemes, scheme)
		}
	}
	return nil
}
