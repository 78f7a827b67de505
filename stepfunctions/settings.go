package stepfunctions

import (
	"encoding/json"
	"fmt"
	"strings"

	"gust/stepfunctions/server"
)

// orJSON is the text of a JSON field, or the fallback when it is missing.
func orJSON(raw json.RawMessage, fallback string) string {
	if len(raw) == 0 || string(raw) == "null" {
		return fallback
	}
	return string(raw)
}

type loggingConfiguration struct {
	Level        *string `json:"level"`
	Destinations []struct {
		CloudWatchLogsLogGroup *struct {
			LogGroupArn *string `json:"logGroupArn"`
		} `json:"cloudWatchLogsLogGroup"`
	} `json:"destinations"`
}

type encryptionConfiguration struct {
	Type                      *string `json:"type"`
	KmsKeyID                  *string `json:"kmsKeyId"`
	KmsDataKeyReusePeriodSecs *int64  `json:"kmsDataKeyReusePeriodSeconds"`
}

const (
	awsOwnedKey = "AWS_OWNED_KEY"
	customerKey = "CUSTOMER_MANAGED_KMS_KEY"
	// defaultEncryption is what AWS shows for an activity without encryption settings.
	defaultEncryption = `{"type":"AWS_OWNED_KEY"}`
)

// checkSettings checks logging and encryption. Broken constraints go to v; what is wrong otherwise is returned.
func checkSettings(v *violations, logging, encryption json.RawMessage) error {
	var failed error
	var log loggingConfiguration
	if len(logging) > 0 {
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
	if len(raw) == 0 || string(raw) == "null" {
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
