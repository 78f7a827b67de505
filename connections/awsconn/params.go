// Package awsconn turns an Airflow connection of type aws and the AWS parameters of a task into an aws.Config, and
// keeps one client for each combination.
//
// The connection's login and password are the access key and its secret; everything else is in its extra:
// region_name, profile_name, endpoint_url, service_config, verify, config_kwargs, role_arn, assume_role_method,
// assume_role_kwargs and the assume_role_with_web_identity_* keys, with Airflow's meaning. Differences from Airflow:
//
//   - A connection that is not defined is an error. Only aws_default may be absent: then the default credential chain
//     is used. With aws_conn_id null or "" it is always used.
//   - AWS_REGION is honoured, after AWS_DEFAULT_REGION (boto3 does not read it). The order is: region_name inside
//     botocore_config or config_kwargs, the task's region_name, the connection's, AWS_DEFAULT_REGION, AWS_REGION,
//     the profile's region.
//   - verify: the texts "true" and "false", in any case, are booleans. Airflow takes "False" from a template or a URI
//     as the path of a CA bundle and fails. An empty text is an error; Airflow silently stops verifying.
//   - Unset retries are botocore's: mode legacy, five requests in all. The Go SDK's own default would be three.
//   - signature_version: unsigned works in botocore_config as it does in config_kwargs.
//   - With a custom endpoint, host prefixes such as "sync-" are left out unless inject_host_prefix is true.
//   - A key of botocore's Config that the Go SDK has no counterpart for is a warning, a key that botocore does not know
//     an error.
package awsconn

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gust/internal/param"
)

// DefaultConnID is the connection that AWS operators use unless told otherwise. It alone may be undefined.
const DefaultConnID = "aws_default"

// Params are the parameters that every AWS operator, sensor and trigger has. Embed it.
type Params struct {
	AWSConnID ConnID `json:"aws_conn_id" param:"aws_conn_id" default:"aws_default" template:"true" doc:"The AWS connection. null or an empty text uses the default credential chain (environment, profile, instance role) without a connection."`

	RegionName string `json:"region_name,omitempty" param:"region_name" alias:"region" template:"true" doc:"The AWS region, for example eu-west-1. Default: the connection's region_name, AWS_DEFAULT_REGION, AWS_REGION, the profile's region."`

	Verify Verify `json:"verify,omitzero" param:"verify" template:"true" doc:"Whether TLS certificates are verified: true, false, or the path of a CA bundle. Default: the connection's verify, then AWS_CA_BUNDLE."`

	BotocoreConfig map[string]any `json:"botocore_config,omitzero" param:"botocore_config" doc:"Client settings under their botocore names (retries, connect_timeout, read_timeout, max_pool_connections, proxies, ...). Replaces the connection's config_kwargs as a whole, also when it is empty."`

	// Patience is the least read timeout: an operator whose calls are answered late (a long poll, a synchronous
	// execution) sets it. A shorter read_timeout, also the default of 60 s, is raised to it.
	Patience time.Duration `json:"patience,omitzero"`
}

// Key identifies the parameters: equal keys mean equal clients. It is stable across processes.
func (p Params) Key() string {
	key, err := json.Marshal(p) // maps are written in the order of their keys
	if err != nil {
		return fmt.Sprintf("%+v", p)
	}
	return string(key)
}

// ConnID is a connection id; null and "" mean none.
type ConnID string

// ParamType names the notation.
func (ConnID) ParamType() string { return "string or null" }

// UnmarshalParam reads a text.
func (c *ConnID) UnmarshalParam(value any) error {
	s, ok := value.(string)
	if !ok {
		return &param.Error{Problem: "wrong type: " + typeOf(value), Expected: "a connection id or null"}
	}
	*c = ConnID(s)
	return nil
}

// SetNull means no connection.
func (c *ConnID) SetNull() { *c = "" }

// Verify says how TLS certificates are verified. The zero value is absent: the next place decides.
type Verify struct {
	set  bool
	on   bool
	path string
}

// VerifyBool switches verification on or off.
func VerifyBool(on bool) Verify { return Verify{set: true, on: on} }

// VerifyPath verifies against the CA bundle in a file.
func VerifyPath(path string) Verify { return Verify{set: true, on: true, path: path} }

// IsZero reports whether nothing was said.
func (v Verify) IsZero() bool { return !v.set }

// ParamType names the notation.
func (Verify) ParamType() string { return "bool or path" }

func (v Verify) String() string {
	switch {
	case !v.set:
		return "default"
	case v.path != "":
		return v.path
	}
	return fmt.Sprint(v.on)
}

// UnmarshalParam reads a boolean or a path.
func (v *Verify) UnmarshalParam(value any) error {
	switch x := value.(type) {
	case bool:
		*v = VerifyBool(x)
		return nil
	case string:
		switch strings.ToLower(strings.TrimSpace(x)) {
		case "":
			return &param.Error{
				Problem: "an empty text",
				Expected: "true, false or the path of a CA bundle " +
					"(Airflow does not verify then; write false if that is meant)",
			}
		case "true":
			*v = VerifyBool(true)
		case "false":
			*v = VerifyBool(false)
		default:
			*v = VerifyPath(x)
		}
		return nil
	}
	return &param.Error{Problem: "wrong type: " + typeOf(value), Expected: "true, false or the path of a CA bundle"}
}

// MarshalJSON writes null, a boolean or a path.
func (v Verify) MarshalJSON() ([]byte, error) {
	switch {
	case !v.set:
		return []byte("null"), nil
	case v.path != "":
		return json.Marshal(v.path)
	}
	return json.Marshal(v.on)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Verify) UnmarshalJSON(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	if value == nil {
		*v = Verify{}
		return nil
	}
	return v.UnmarshalParam(value)
}

// typeOf names the type of a JSON-shaped value without showing it: it may be a secret.
func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	if _, ok := param.Float(value); ok {
		return "a number"
	}
	return fmt.Sprintf("%T", value)
}
