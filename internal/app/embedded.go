package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gust/connections"
	"gust/internal/childprocess"
	"gust/internal/config"
	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

// endpointFile, in the home folder, holds the URL of the embedded service while a daemon serves it, so that commands in
// other processes mean the same aws_default.
const endpointFile = "stepfunctions.endpoint"

// announced is the URL of the embedded service of a running daemon, "" when none is served. A file that a killed daemon
// left behind does not count: nobody listens there.
func announced(home string) string {
	raw, err := os.ReadFile(filepath.Join(home, endpointFile))
	if err != nil {
		return ""
	}
	endpoint := strings.TrimSpace(string(raw))
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(endpoint, "http://"), time.Second)
	if err != nil {
		return ""
	}
	_ = conn.Close() // it was only to see who listens
	return endpoint
}

// embeddedConnection is aws_default while nobody defines it: the embedded service, which accepts any credentials.
func embeddedConnection(cfg *config.Config, endpoint string) *connections.Connection {
	// Any password will do; a random one keeps the log masker from hiding ordinary words.
	login, password := "embedded", rand.Text()
	extra, err := json.Marshal(map[string]any{"region_name": cfg.StepFunctions.Region, "endpoint_url": endpoint})
	if err != nil {
		panic(err) // two texts always marshal
	}
	return &connections.Connection{
		ID: "aws_default", Type: "aws", Description: "the embedded Step Functions service", Login: &login, Password: &password, Extra: extra,
	}
}

// EmbeddedOptions say how the embedded service runs.
type EmbeddedOptions struct {
	// Ephemeral keeps its state in memory and takes any free port: for a test run beside a daemon.
	Ephemeral bool
	Log       *slog.Logger
	// OnStart is called once for each execution that is really started.
	OnStart func(executionARN string)
}

// Embedded starts the embedded Step Functions service of a configuration. Stop it.
func Embedded(ctx context.Context, cfg *config.Config, opts EmbeddedOptions) (*stepfunctions.Service, error) {
	set, err := lambdaHandlers(cfg)
	if err != nil {
		return nil, err
	}
	c := stepfunctions.Config{
		AccountID: cfg.StepFunctions.AccountID, Region: cfg.StepFunctions.Region,
		Addr:     net.JoinHostPort(cfg.StepFunctions.Host, strconv.Itoa(cfg.StepFunctions.Port)),
		DataPath: cfg.StepFunctions.Database, StateMachinesDir: existing(cfg.StepFunctions.StateMachinesFolder),
		Handlers: set, WaitScale: cfg.StepFunctions.WaitTimeScale, Logger: opts.Log, OnStart: opts.OnStart,
	}
	if opts.Ephemeral {
		c.DataPath, c.Addr = "", "127.0.0.1:0"
	}
	service, err := stepfunctions.New(c)
	if err != nil {
		return nil, fmt.Errorf("embedded Step Functions service: %w", err)
	}
	if err := service.Start(ctx); err != nil {
		var listen *net.OpError
		if errors.As(err, &listen) {
			return nil, fmt.Errorf("embedded Step Functions service: %w; choose another port with stepfunctions.port, or 0 for any", err)
		}
		return nil, fmt.Errorf("embedded Step Functions service: %w", err)
	}
	return service, nil
}

// existing is the folder, or "" when there is none: the default folders need not exist.
func existing(folder string) string {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return ""
	}
	return folder
}

// lambdaHandlers are the executables of the handlers folder, by name without extension, and over them those that the
// configuration names.
func lambdaHandlers(cfg *config.Config) (map[string]handlers.Handler, error) {
	set := map[string]handlers.Handler{}
	if folder := cfg.StepFunctions.HandlersFolder; folder != "" {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("stepfunctions.handlers_folder: %w", err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
				continue
			}
			name := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))
			set[name] = handlers.Handler{Command: []string{filepath.Join(folder, e.Name())}, Env: childprocess.Marks(cfg.Home(), name)}
		}
	}
	for name, text := range cfg.StepFunctions.Handlers {
		if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
			set[name] = handlers.Handler{URL: text}
			continue
		}
		set[name] = handlers.Handler{Command: []string{"sh", "-c", text}, Env: childprocess.Marks(cfg.Home(), name)}
	}
	return set, nil
}

// announce writes the endpoint file.
func announce(home, endpoint string) error {
	if err := os.WriteFile(filepath.Join(home, endpointFile), []byte(endpoint+"\n"), 0o600); err != nil {
		return fmt.Errorf("announce the embedded service: %w", err)
	}
	return nil
}

// withdraw removes the endpoint file. One that stays behind names a port where nobody listens; the next start overwrites it.
func withdraw(home string) { _ = os.Remove(filepath.Join(home, endpointFile)) }

// stopTimeout bounds how long stopping the embedded service may take.
const stopTimeout = 5 * time.Second
