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
