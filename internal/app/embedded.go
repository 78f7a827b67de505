package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
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
	endpoint, _, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(endpoint, "http://"), time.Second)
	if err != nil {
		return ""
	}
	_ = conn.Close() // it was only to see who listens
	return endpoint
}

// embeddedConnection is aws_default while nobody defines it: the embedded service, which accepts any credentials unless
// it has keys.
func embeddedConnection(cfg *config.Config, endpoint string) *connections.Connection {
	region := cfg.StepFunctions.Region
	if own := announcedRegion(cfg.Home(), endpoint); own != "" {
		region = own
	}
	// Any password will do; a random one keeps the log masker from hiding ordinary words.
	login, password := "embedded", rand.Text()
	if keys := cfg.StepFunctions.AccessKeys; len(keys) > 0 {
		login = slices.Min(slices.Collect(maps.Keys(keys)))
		password = keys[login]
	}
	extra, err := json.Marshal(map[string]any{"region_name": region, "endpoint_url": endpoint})
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
func Embedded(ctx context.Context, cfg *config.Config, opts EmbeddedOptions) (*EmbeddedService, error) {
	set, err := lambdaHandlers(cfg)
	if err != nil {
		return nil, err
	}
	own := cfg.StepFunctions
	faults, err := serviceFaults(cfg)
	if err != nil {
		return nil, err
	}
	c := stepfunctions.Config{
		AccountID: own.AccountID, Region: own.Region, Addr: net.JoinHostPort(own.Host, strconv.Itoa(own.Port)),
		DataPath: own.Database, StateMachinesDir: existing(own.StateMachinesFolder),
		Handlers: set, WaitScale: own.WaitTimeScale, Logger: opts.Log, OnStart: opts.OnStart,
		MockFile: own.MockConfig, S3Folder: own.S3Folder, AccessKeys: own.AccessKeys, Faults: faults,
	}
	if opts.Ephemeral {
		c.DataPath, c.Addr = "", "127.0.0.1:0"
	}
	delivery, err := startEvents(ctx, cfg, opts.Log)
	if err != nil {
		return nil, err
	}
	c.Queues, c.Events = delivery.handler(own.AccessKeys), delivery.sink()
	service, err := stepfunctions.New(c)
	if err == nil {
		err = service.Start(ctx)
	}
	if err != nil {
		err = errors.Join(err, delivery.stop(ctx))
		var listen *net.OpError
		if errors.As(err, &listen) {
			return nil, fmt.Errorf("embedded Step Functions service: %w; choose another port with stepfunctions.port, or 0 for any", err)
		}
		return nil, fmt.Errorf("embedded Step Functions service: %w", err)
	}
	return &EmbeddedService{Service: service, events: delivery}, nil
}

// EmbeddedService is the service with the delivery of its events.
type EmbeddedService struct {
	*stepfunctions.Service
	events *eventDelivery
}

// Stop ends the service and then, when nothing more can happen, the delivery of its events.
func (s *EmbeddedService) Stop(ctx context.Context) error {
	// Long polls would hold the listener.
	s.events.queues.Stop()
	return errors.Join(s.Service.Stop(ctx), s.events.stop(ctx))
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
		h, err := handlers.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("stepfunctions.handlers: %s: %w", name, err)
		}
		if len(h.Command) > 0 {
			h.Env = childprocess.Marks(cfg.Home(), name)
		}
		set[name] = h
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
