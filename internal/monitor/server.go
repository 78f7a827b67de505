// Package monitor answers about a daemon over HTTP: its health in the form of Airflow's API, whether it is alive and ready,
// and its metrics for Prometheus.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gust/dag"
	"gust/dag/timetable"
)

// Health is how the parts of a daemon are. A zero heartbeat is none yet.
type Health struct {
	// Database is nil when it answers.
	Database error
	// Heartbeat is the last sign of life, Stale says that it is too long ago.
	Heartbeat time.Time
	Stale     bool
}

// Options configure a Server.
type Options struct {
	// Health asks how things are; it must answer soon.
	Health  func(ctx context.Context) Health
	Metrics http.Handler
	// Waits lists up to limit parked waits with their next checks, longest waiting first; nil serves none.
	Waits func(ctx context.Context, limit int) ([]Wait, error)
	// Wait tells about one parked wait, nil when it is not held; a nil function serves none.
	Wait func(ctx context.Context, key dag.Key) (*ShownWait, error)
}

// Server serves until Stop. Make it with Listen.
type Server struct {
	opts   Options
	server *http.Server
	url    string
	done   chan struct{}
	err    error // of Serve; read after done
	ready  atomic.Bool
}

// Time limits, so that no client holds a connection for long.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 15 * time.Second
	idleTimeout  = time.Minute
	askTimeout   = 2 * time.Second
	headerBytes  = 8 << 10
)

// Listen begins to serve on an address, "host:port". It is not ready before SetReady.
func Listen(ctx context.Context, address string, opts Options) (*Server, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, url: "http://" + l.Addr().String(), done: make(chan struct{})}
	s.server = &http.Server{
		Handler: s.handler(), ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
	}
	go func() {
		defer close(s.done)
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()
	return s, nil
}

// URL is where it serves.
func (s *Server) URL() string { return s.url }

// SetReady says whether the daemon takes up work.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// Stop ends serving. Answers that are under way are given until ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	<-s.done
	return errors.Join(err, s.err)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/monitor/health", s.health)
	mux.HandleFunc("GET /livez", s.live)
	mux.HandleFunc("GET /readyz", s.readiness)
	mux.HandleFunc("GET "+WaitsPath, s.waits)
	mux.HandleFunc("GET "+WaitPath, s.wait)
	mux.Handle("GET /metrics", s.opts.Metrics)
	return mux
}

func (s *Server) ask(r *http.Request) Health {
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	return s.opts.Health(ctx)
}

const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
)

// part is one component in Airflow's answer; the name of its heartbeat is that of the component.
func part(name string, h Health) map[string]any {
	status, beat := healthy, any(nil)
	if h.Stale || h.Heartbeat.IsZero() {
		status = unhealthy
	}
	if !h.Heartbeat.IsZero() {
		beat = timetable.ISOFormat(h.Heartbeat)
	}
	return map[string]any{"status": status, "latest_" + name + "_heartbeat": beat}
}

// health answers as Airflow's GET /api/v2/monitor/health: always 200, the statuses tell. One process is scheduler,
// triggerer and DAG processor here, so they share a heartbeat.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	h := s.ask(r)
	database := healthy
	if h.Database != nil {
		database = unhealthy
	}
	answer(w, http.StatusOK, map[string]any{
		"metadatabase": map[string]any{"status": database}, "scheduler": part("scheduler", h), "triggerer": part("triggerer", h),
		"dag_processor": part("dag_processor", h),
	})
}

// live answers 503 when the daemon gives no sign of life, so that it can be restarted.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	h := s.ask(r)
	if s.ready.Load() && h.Stale {
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": unhealthy, "reason": "no sign of life since " + timetable.ISOFormat(h.Heartbeat)})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": healthy})
}

// readiness answers 503 while the daemon starts or stops, and while its database does not answer.
func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	reason := ""
	if !s.ready.Load() {
		reason = "the daemon starts or stops"
	} else if h := s.ask(r); h.Database != nil {
		reason = "the database does not answer: " + h.Database.Error()
	} else if h.Stale {
		reason = "no sign of life since " + timetable.ISOFormat(h.Heartbeat)
	}
	if reason != "" {
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reason": reason})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": "ready"})
}

func answer(w http.ResponseWriter, code int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // maps of texts cannot fail
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // a client that has gone misses nothing
}
