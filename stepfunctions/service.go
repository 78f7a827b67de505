// Package stepfunctions is an embedded AWS Step Functions service: it speaks AWS's API on a local address, runs state
// machines of the Amazon States Language, and keeps everything in one file.
//
//	service, err := stepfunctions.New(stepfunctions.Config{DataPath: "stepfunctions.db"})
//	err = service.Start(ctx)
//	// point an AWS client at service.Endpoint(), with any credentials
//	err = service.Stop(ctx)
//
// What was acknowledged survives a kill at any instant: an execution name starts once, standard executions and map runs
// go on where they were, tasks wait for their workers and tokens as before, and a handler that was running is called
// again (at least once). Express executions are in memory only, as their name promises, and end with the service.
//
// This package checks requests and words answers as AWS does; package engine moves the executions, package interp knows
// the language, package journal stores everything.
package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gust/stepfunctions/engine"
	"gust/stepfunctions/events"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// Config says how the service runs. The zero value is a service in memory on a free loopback port.
type Config struct {
	// AccountID is the account in ARNs; default 123456789012.
	AccountID string
	// Region is used for requests without a signature and for the machines of StateMachinesDir; default us-east-1. A
	// signed request uses the region it is signed for.
	Region string
	// Addr is the address to listen on; default 127.0.0.1:0, a free port. Anyone who can reach it can run the configured
	// commands.
	Addr string
	// DataPath is the file that holds everything; empty keeps it in memory.
	DataPath string
	// StateMachinesDir is a folder whose *.asl.json files are created or updated as state machines when the service
	// starts. The file's name without .asl.json is the machine's name. Empty means none.
	StateMachinesDir string
	// Handlers do the tasks, by Lambda function name or ARN, or by the ARN of a service integration.
	Handlers map[string]handlers.Handler
	// MaxTasks is how many tasks run at once; default 64. Others wait.
	MaxTasks int
	// WaitScale multiplies the length of Wait states and retry delays, for tests and demonstrations; 0 and 1 leave them.
	WaitScale float64
	// Clock tells the time; default time.Now.
	Clock func() time.Time
	// Logger gets what goes wrong; default slog.Default().
	Logger *slog.Logger
	// Faults, when set, can make requests fail on purpose.
	Faults *server.Faults
	// S3Folder is the folder that stands for S3 in distributed maps: <S3Folder>/<bucket>/<key>. Empty means none.
	S3Folder string
	// MockFile is a file of mocked responses in the form of MockConfigFile.json; an execution started with
	// STATE_MACHINE_ARN#TEST_CASE gets them. Empty means none.
	MockFile string
	// AccessKeys are secret access keys by the ids of their keys. When there are any, requests must be signed with one of
	// them; otherwise any credentials will do.
	AccessKeys map[string]string
	// Queues, when set, answers requests to Amazon SQS on the service's address.
	Queues http.Handler
	// Events, when set, gets the status changes of standard executions after they were stored.
	Events events.Sink
	// OnStart is called after each execution that StartExecution really started, before the answer is sent. Repetitions
	// of a running execution's start do not count.
	OnStart func(executionARN string)
}

func (c *Config) setDefaults() {
	if c.AccountID == "" {
		c.AccountID = "123456789012"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.MaxTasks <= 0 {
		c.MaxTasks = 64
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// Service is the embedded service.
type Service struct {
	config     Config
	handlers   *handlers.Set
	mocks      *handlers.Mocks
	operations map[string]operation
	starts     struct{ accepted, repeated, rejected atomic.Int64 }

	journal  *journal.Journal
	engine   *engine.Engine
	http     *http.Server
	listener net.Listener
	serving  sync.WaitGroup
	unused   unusedConns
	// stopping is closed, by beginStop, when Stop begins: requests that wait for an execution end.
	stopping  chan struct{}
	beginStop func()
}

// unusedConns are connections without a request so far. Shutdown would wait five seconds for each of them, and HTTP
// clients like to open one too many.
type unusedConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func (u *unusedConns) track(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, c)
	case u.closed:
		_ = c.Close() // nobody waits for an answer
	default:
		if u.conns == nil {
			u.conns = map[net.Conn]struct{}{}
		}
		u.conns[c] = struct{}{}
	}
}

func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns {
		_ = c.Close() // nobody waits for an answer
	}
}

// New checks the configuration. Nothing runs before Start.
func New(c Config) (*Service, error) {
	c.setDefaults()
	set, err := handlers.NewSet(c.Handlers)
	if err != nil {
		return nil, fmt.Errorf("step functions: %w", err)
	}
	if c.WaitScale < 0 {
		return nil, fmt.Errorf("step functions: the wait scale must not be negative, got %v", c.WaitScale)
	}
	s := &Service{config: c, handlers: set, stopping: make(chan struct{})}
	s.beginStop = sync.OnceFunc(func() { close(s.stopping) })
	if c.MockFile != "" {
		if s.mocks, err = handlers.LoadMocks(c.MockFile); err != nil {
			return nil, fmt.Errorf("step functions: %w", err)
		}
	}
	set.UseAPI(s)
	set.UseMocks(s.mocks)
	s.operations = s.routes()
	return s, nil
}

// Start opens the journal, takes up what was running, reads StateMachinesDir and listens. A broken file of that
// folder is logged and does not stop the service. Stop must be called after a successful Start.
func (s *Service) Start(ctx context.Context) error {
	var err error
	if s.journal, err = journal.Open(ctx, s.config.DataPath); err != nil {
		return s.unreadable(err)
	}
	s.engine = engine.New(engine.Config{
		AccountID: s.config.AccountID, MaxTasks: s.config.MaxTasks, WaitScale: s.config.WaitScale, S3Folder: s.config.S3Folder,
		Clock: s.config.Clock, Logger: s.config.Logger, Events: s.config.Events,
		Describe: func(row *journal.Execution) ([]byte, error) { return encode(describeExecution(row, s.now(), true)) },
	}, s.journal, s.handlers)
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Addr); err != nil {
		return errors.Join(fmt.Errorf("step functions: listen on %s: %w", s.config.Addr, err), s.journal.Close())
	}
	if err := s.engine.Start(ctx); err != nil {
		s.engine.Close()
		return errors.Join(s.unreadable(err), s.listener.Close(), s.journal.Close())
	}
	if err := s.Reload(ctx); err != nil {
		s.config.Logger.Error("state machine files could not be taken over", "error", err)
	}
	if !server.Loopback(s.listener.Addr()) {
		s.config.Logger.Warn("the local Step Functions service can be reached from other machines",
			"address", s.listener.Addr().String())
	}
	api := server.NewWith(s, server.Options{Faults: s.config.Faults, Keys: s.config.AccessKeys, Clock: s.config.Clock,
		OnInternal: func(operation string, err error) {
			s.config.Logger.Error("a Step Functions request failed", "operation", operation, "error", err)
		}})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s.config.Queues != nil && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.") {
			s.config.Queues.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /_gust/stats", s.serveStats)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ConnState: s.unused.track}
	s.serving.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.config.Logger.Error("the Step Functions listener ended", "error", err)
		}
	})
	return nil
}

// unreadable says which file cannot be read, and what to do when it is damaged.
func (s *Service) unreadable(err error) error {
	switch {
	case s.config.DataPath == "":
		return fmt.Errorf("step functions: %w", err)
	case journal.Damaged(err):
		return fmt.Errorf("step functions: %s is damaged; restore a backup, or move it away to begin without executions: %w",
			s.config.DataPath, err)
	}
	return fmt.Errorf("step functions: %s: %w", s.config.DataPath, err)
}

// Endpoint returns the service's URL, such as http://127.0.0.1:40123.
func (s *Service) Endpoint() string { return "http://" + s.listener.Addr().String() }

// errStopping is the answer to requests that cannot be carried out any more.
var errStopping = &server.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable,
	Message: "The service is stopping."}

// Stop ends the service: requests in work are answered within ctx, running tasks are interrupted and performed again
// after the next Start, and everything stored is closed.
func (s *Service) Stop(ctx context.Context) error {
	s.beginStop()
	s.unused.close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.serving.Wait()
	s.engine.Close()
	s.handlers.CloseIdleConnections()
	return errors.Join(err, s.journal.Close())
}

// Express reports whether an ARN names an express state machine, for the limits of the server.
func (s *Service) Express(stateMachineARN string) bool {
	arn, _, _ := strings.Cut(stateMachineARN, "#")
	a, err := machineARN(arn)
	if err != nil {
		return false
	}
	unqualified, _ := a.qualified()
	m, err := s.engine.Machines.Get(context.Background(), unqualified)
	return err == nil && m.Type == typeExpress
}

// now returns the time as it is stored and shown, in milliseconds.
func (s *Service) now() time.Time { return s.config.Clock().UTC().Truncate(time.Millisecond) }

// Stats are the service's counters.
type Stats struct {
	// StartsAccepted, StartsRepeated and StartsRejected count StartExecution since Start: those that started an execution,
	// those that found the same one running, and those refused because the name is taken.
	StartsAccepted int64 `json:"startsAccepted"`
	StartsRepeated int64 `json:"startsRepeated"`
	StartsRejected int64 `json:"startsRejected"`
	// Executions counts the stored executions by status; their sum is the number of starts over the life of the file.
	Executions map[string]int64 `json:"executions"`
	// Waiting is how many executions wait for a time.
	Waiting int `json:"waiting"`
	// Workers is how many requests wait for activity tasks.
	Workers int `json:"workers"`
	// InMemory is how many executions are being worked on or have tasks handed out.
	InMemory int `json:"inMemory"`
}

// Stats returns the counters.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	counts, err := s.journal.ExecutionCounts(ctx)
	now := s.engine.Stats()
	return Stats{
		StartsAccepted: s.starts.accepted.Load(), StartsRepeated: s.starts.repeated.Load(),
		StartsRejected: s.starts.rejected.Load(), Executions: counts, Waiting: now.Waiting, Workers: now.Workers,
		InMemory: now.InMemory,
	}, err
}

func (s *Service) serveStats(w http.ResponseWriter, r *http.Request) {
	st, err := s.Stats(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := encode(st)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client is gone when this fails
}
