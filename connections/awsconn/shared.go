package awsconn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// environment guards the process environment while AWS_RETRY_MODE is set to another value.
var environment sync.Mutex

const retryModeVar = "AWS_RETRY_MODE"

// loadDefault calls config.LoadDefaultConfig and also returns the retry mode of the shared configuration. The SDK
// refuses the mode legacy, botocore's default, wherever it is written. In the environment the variable therefore reads
// "standard" while the SDK looks; a shared file that says legacy is replaced by a copy that says standard, readable by
// this user only, for the time of the call.
func loadDefault(
	ctx context.Context, profile string, opts []func(*config.LoadOptions) error,
) (cfg aws.Config, mode string, err error) {
	if profile == "" {
		profile = activeProfile()
	}
	files, err := legacyFree(profile)
	if err != nil {
		return aws.Config{}, "", err
	}
	defer files.remove()
	if files.config != "" {
		opts = append(opts, config.WithSharedConfigFiles([]string{files.config}))
	}
	if files.credentials != "" {
		opts = append(opts, config.WithSharedCredentialsFiles([]string{files.credentials}))
	}
	environment.Lock()
	defer environment.Unlock()
	value := os.Getenv(retryModeVar)
	if strings.EqualFold(value, modeLegacy) {
		if err := os.Setenv(retryModeVar, modeStandard); err != nil {
			return aws.Config{}, "", err
		}
		defer func() { err = errors.Join(err, os.Setenv(retryModeVar, value)) }()
	}
	cfg, err = config.LoadDefaultConfig(ctx, opts...)
	mode = string(cfg.RetryMode)
	if files.legacy {
		mode = modeLegacy
	}
	return cfg, mode, err
}

func activeProfile() string {
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return "default"
}

// sharedFiles returns the paths of the shared configuration and credentials file.
func sharedFiles() (configFile, credentialsFile string) {
	configFile, credentialsFile = os.Getenv("AWS_CONFIG_FILE"), os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if configFile == "" {
		configFile = config.DefaultSharedConfigFilename()
	}
	if credentialsFile == "" {
		credentialsFile = config.DefaultSharedCredentialsFilename()
	}
	return configFile, credentialsFile
}

// replaced are the copies of shared files without the mode legacy; "" where the original serves.
type replaced struct {
	config, credentials string
	legacy              bool // the profile asks for legacy
	folder              string
}

func (r *replaced) remove() {
	if r.folder != "" {
		_ = os.RemoveAll(r.folder) // a temporary folder of this user; nothing is lost if it stays
	}
}

func legacyFree(profile string) (*replaced, error) {
	r := &replaced{}
	configFile, credentialsFile := sharedFiles()
	for _, f := range []struct {
		path, name string
		copy       *string
	}{{configFile, "config", &r.config}, {credentialsFile, "credentials", &r.credentials}} {
		data, err := os.ReadFile(f.path)
		if err != nil {
			continue // the SDK says what is wrong with it, if that matters
		}
		text, changed, mine := withoutLegacy(string(data), profile)
		if !changed {
			continue
		}
		r.legacy = r.legacy || mine
		if r.folder == "" {
			if r.folder, err = os.MkdirTemp("", "gust-aws-*"); err != nil {
				return nil, fmt.Errorf("copy %s: %w", f.path, err)
			}
		}
		*f.copy = filepath.Join(r.folder, f.name)
		if err := os.WriteFile(*f.copy, []byte(text), 0o600); err != nil {
			r.remove()
			return nil, fmt.Errorf("copy %s: %w", f.path, err)
		}
	}
	return r, nil
}

// withoutLegacy replaces retry_mode = legacy in an INI text and tells whether the profile's own section says it.
func withoutLegacy(text, profile string) (out string, changed, mine bool) {
	lines := strings.Split(text, "\n")
	section := ""
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(trimmed, "["); ok {
			name, _, _ = strings.Cut(name, "]")
			section = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "profile "))
			continue
		}
		key, value, ok := strings.Cut(trimmed, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(key), "retry_mode") {
			continue
		}
		value, _, _ = strings.Cut(value, " #")
		if strings.EqualFold(strings.TrimSpace(value), modeLegacy) {
			lines[i] = "retry_mode = " + modeStandard
			changed = true
			mine = mine || section == profile
		}
	}
	return strings.Join(lines, "\n"), changed, mine
}
