package stepfunctions

import (
	"encoding/json"
	"fmt"
	"strings"

	"gust/stepfunctions/server"
)

// given reports whether a JSON field was sent.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// orJSON is the text of a JSON field, or the fallback when it is missing. A field is written anew from what is known of
// it, with AWS's defaults, so that equal settings are equal texts.
func orJSON[T any](raw json.RawMessage, fallback string) (string, error) {
	if !given(raw) {
		return fallback, nil
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", serializationError(err)
	}
	text, err := encode(v)
	return string(text), err
}

type loggingConfiguration struct {
	Level                *string          `json:"level"`
	IncludeExecutionData bool             `json:"includeExecutionData"`
	Destinations         []logDestination `json:"destinations,omitempty"`
}

type logDestination struct {
	CloudWatchLogsLogGroup *logGroup `json:"cloudWatchLogsLogGroup,omitempty"`
}

type logGroup struct {
	LogGroupArn *string `json:"logGroupArn,omitempty"`
}

// MarshalJSON writes the default level when none is given.
func (c loggingConfiguration) MarshalJSON() ([]byte, error) {
	type plain loggingConfiguration
	if c.Level == nil {
		off := "OFF"
		c.Level = &off
	}
	return json.Marshal(plain(c))
}

type tracingConfiguration struct {
	Enabled bool `json:"enabled"`
}

type encryptionConfiguration struct {
	KmsKeyID                  *string `json:"kmsKeyId,omitempty"`
	KmsDataKeyReusePeriodSecs *int64  `json:"kmsDataKeyReusePeriodSeconds,omitempty"`
	Type                      *string `json:"type"`
}

const (
	awsOwnedKey = "AWS_OWNED_KEY"
	customerKey = "CUSTOMER_MANAGED_KMS_KEY"
	// defaultLogging and defaultTracing are what AWS shows for a machine that sets neither.
	defaultLogging = `{"level":"OFF","includeExecutionData":false}`
	defaultTracing = `{"enabled":false}`
	// defaultEncryption is what AWS shows for an activity without encryption settings.
	defaultEncryption = `{"type":"AWS_OWNED_KEY"}`
)

// checkSettings checks logging and encryption. Broken constraints go to v; what is wrong otherwise is returned.
func checkSettings(v *violations, logging, encryption json.RawMessage) error {
	var failed error
	var log loggingConfiguration
	if given(logging) {
		if err := json.Unmarshal(logging, &log); err != nil {
			return serializationError(err)
		}
		v.oneOf("loggingConfiguration.level", log.Level, "ALL", "ERROR", "FATAL", "OFF")
		failed = log.check()
	}
	if err := checkEncryption(v, encryption); err != nil && failed == nil {
		failed = err
	}
	return failed
}

func (c *loggingConfiguration) check() error {
	invalid := func(format string, args ...any) error {
		return server.Errorf("InvalidLoggingConfiguration", "Invalid Logging Configuration: %s", fmt.Sprintf(format, args...))
	}
	if len(c.Destinations) > 1 {
		return invalid("Must specify exactly one Log Destination.")
	}
	if level := orText(c.Level, "OFF"); level != "OFF" && len(c.Destinations) == 0 {
		return invalid("Must specify exactly one Log Destination.")
	}
	for _, d := range c.Destinations {
		if d.CloudWatchLogsLogGroup == nil || !strings.HasPrefix(orText(d.CloudWatchLogsLogGroup.LogGroupArn, ""), "arn:") {
			return invalid("Invalid Log Destination.")
		}
	}
	return nil
}

func checkEncryption(v *violations, raw json.RawMessage) error {
	if !given(raw) {
		return nil
	}
	var c encryptionConfiguration
	if err := json.Unmarshal(raw, &c); err != nil {
		return serializationError(err)
	}
	v.required("encryptionConfiguration.type", c.Type != nil)
	v.oneOf("encryptionConfiguration.type", c.Type, awsOwnedKey, customerKey)
	v.length("encryptionConfiguration.kmsKeyId", c.KmsKeyID, 1, 2048)
	v.between("encryptionConfiguration.kmsDataKeyReusePeriodSeconds", c.KmsDataKeyReusePeriodSecs, 60, 900)
	if orText(c.Type, "") == customerKey && c.KmsKeyID == nil {
		return server.Errorf("InvalidEncryptionConfiguration", "Invalid Encryption Configuration: kmsKeyId must be specified "+
			"for the encryption type %s", customerKey)
	}
	return nil
}

// settings are the configurations that create and update a machine, as they are stored.
type settings struct{ logging, tracing, encryption string }

// readSettings turns the configurations of a request into what is stored, keeping what is not given.
func readSettings(logging, tracing, encryption json.RawMessage, old settings) (s settings, err error) {
	if s.logging, err = orJSON[loggingConfiguration](logging, old.logging); err != nil {
		return s, err
	}
	if s.tracing, err = orJSON[tracingConfiguration](tracing, old.tracing); err != nil {
		return s, err
	}
	s.encryption, err = orJSON[encryptionConfiguration](encryption, old.encryption)
	return s, err
}
