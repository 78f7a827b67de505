package app

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gust/internal/monitor"
	"gust/runner/triggerer"
	"gust/store"
)

// startMonitor serves health and metrics ([api]). A port that is taken is no reason to run no pipelines.
func (d *Daemon) startMonitor(ctx context.Context) {
	cfg := d.Config.API
	if !cfg.Enabled {
		return
	}
	metrics := monitor.NewMetrics(d.reading)
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	server, err := monitor.Listen(ctx, address, monitor.Options{Health: d.health, Metrics: metrics.Handler(), Waits: d.waits, Wait: d.wait})
	if err != nil {
		d.Log.Warn("health and metrics are not served; set api.port, or api.enabled to false", "error", err)
		return
	}
	d.monitor = server
	d.undo = append(d.undo, server.Stop)
	if err := os.WriteFile(monitorFile(d.Config.Home()), []byte(server.URL()+"\n"), 0o600); err != nil {
		d.Log.Warn("commands will not find the daemon's health", "error", err)
	}
	d.undo = append(d.undo, func(context.Context) error {
		_ = os.Remove(monitorFile(d.Config.Home())) // one that stays behind names a port where nobody listens
		return nil
	})
	stop := d.engine.scheduler.Watch(metrics.Observe)
	d.undo = append(d.undo, func(context.Context) error { stop(); return nil })
	d.Log.Info("health and metrics are served", "url", server.URL(), "health", "/api/v2/monitor/health", "metrics", "/metrics")
}

// setReady tells those who ask whether the daemon takes up work.
func (d *Daemon) setReady(ready bool) {
	if d.monitor != nil {
		d.monitor.SetReady(ready)
	}
}

// MonitorURL is where health and metrics are served, "" when they are not.
func (d *Daemon) MonitorURL() string {
	if d.monitor == nil {
		return ""
	}
	return d.monitor.URL()
}

// monitorFile says where a running daemon serves its health.
func monitorFile(home string) string { return filepath.Join(home, "monitor.endpoint") }

func (d *Daemon) health(ctx context.Context) monitor.Health {
	beat, err := d.Store.HeartbeatGet(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return monitor.Health{}
	}
	if err != nil {
		return monitor.Health{Database: err, Stale: true}
	}
	return monitor.Health{Heartbeat: beat.At, Stale: d.Now().Sub(beat.At) > d.Config.Scheduler.HealthCheckThreshold}
}

// readPatience bounds the queries behind a reading.
const readPatience = 5 * time.Second

// reading is how things stand; what the database does not tell in time is left out.
func (d *Daemon) reading() monitor.Reading {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	r := monitor.Reading{Slots: d.engine.executor.Slots(), Parked: d.engine.triggerer.Held(), At: d.Now()}
	r.Running, r.Waiting = d.engine.executor.Load()
	if beat, err := d.Store.HeartbeatGet(ctx); err == nil {
		r.Heartbeat = beat.At
	}
	r.Waits, r.Calls, r.Events = d.waitsReading(ctx), d.callsReading(), d.eventsReading()
	r.Pools = d.poolReadings(ctx)
	if !d.loaded.Load() {
		return r
	}
	for _, f := range d.processor.Results() {
		r.DAGs += len(f.DAGs)
		if f.HasErrors() {
			r.ImportErrors++
		}
		r.Files = append(r.Files, monitor.File{Path: f.Path, Took: f.Took, At: f.ParsedAt})
	}
	return r
}

func (d *Daemon) poolReadings(ctx context.Context) []monitor.Pool {
	pools, err := d.Store.PoolList(ctx)
	if err != nil {
		d.Log.Warn("the pools cannot be read for the metrics", "error", err)
		return nil
	}
	use, err := d.Store.PoolUsage(ctx)
	if err != nil {
		d.Log.Warn("the pools cannot be read for the metrics", "error", err)
		return nil
	}
	out := make([]monitor.Pool, len(pools))
	for i := range pools {
		p, u := &pools[i], use[pools[i].Name]
		taken := u.Running + u.Queued
		if p.IncludeDeferred {
			taken += u.Deferred
		}
		out[i] = monitor.Pool{
			Name: p.Name, Slots: p.Slots, Free: p.Slots - taken,
			Running: u.Running, Queued: u.Queued, Deferred: u.Deferred, Scheduled: u.Scheduled,
		}
		if p.Slots < 0 {
			out[i].Free = -1
		}
	}
	return out
}

// readKeys bounds how many keys of waits have metrics of their own: those with the most waits.
const readKeys = 20

func (d *Daemon) waitsReading(ctx context.Context) monitor.Waits {
	stats := d.engine.triggerer.Stats(ctx, readKeys)
	var out monitor.Waits
	for i := range stats.Kinds {
		k := &stats.Kinds[i]
		out.Kinds = append(out.Kinds, monitor.WaitKind{
			Kind: k.Kind, Parked: k.Parked, Checks: k.Checks, Looks: k.Looks, Cut: k.Cut, Fired: k.Fired, Failed: k.Failed,
			TimedOut: k.TimedOut, News: k.News, Heard: k.Heard, Late: delays(&k.Late), Noticed: delays(&k.Noticed),
		})
	}
	seen := map[[2]string]bool{}
	for i := range stats.Keys {
		k := &stats.Keys[i]
		key := d.Masker.Mask(k.Key)
		if name := [2]string{k.Kind, key}; !seen[name] { // keys may differ in a secret alone
			seen[name] = true
			out.Keys = append(out.Keys, monitor.WaitKey{
				Kind: k.Kind, Key: key, Place: k.Place, Parked: k.Parked, Checks: k.Checks, Looks: k.Looks, Late: k.Late.Seconds(),
			})
		}
	}
	return out
}

func delays(l *triggerer.Lag) monitor.Delays {
	out := monitor.Delays{Count: l.Count, Sum: l.Sum.Seconds(), AtMost: make(map[float64]uint64, len(triggerer.LagBounds))}
	sum := uint64(0)
	for i, bound := range triggerer.LagBounds {
		sum += l.Buckets[i]
		out.AtMost[bound.Seconds()] = sum
	}
	return out
}

func (d *Daemon) callsReading() []monitor.Calls {
	stats := d.AWS.Quotas().Stats()
	out := make([]monitor.Calls, len(stats))
	for i := range stats {
		s := &stats[i]
		out[i] = monitor.Calls{
			Endpoint: s.Scope.Endpoint, Region: s.Scope.Region, Account: s.Scope.Account, Operation: s.Operation, Outcomes: s.Calls,
			Tokens: s.Tokens, PerSecond: s.PerSecond, Starting: s.Foreground, Looking: s.Background,
		}
	}
	return out
}

func (d *Daemon) eventsReading() *monitor.Events {
	receiver := d.engine.receiver.Load()
	if receiver == nil {
		return nil
	}
	s := receiver.Stats()
	return &monitor.Events{
		Reachable: s.Reachable, Received: s.Received, Failures: s.Failures, Matched: s.Matched, Lag: s.Lag.Seconds(),
		Outcomes: map[string]uint64{
			"matched": s.Matched, "released": s.Released, "expired": s.Expired, "ignored": s.Ignored, "malformed": s.Malformed,
		},
	}
}
