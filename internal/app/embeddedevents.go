package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"gust/internal/config"
	"gust/stepfunctions/events"
	"gust/stepfunctions/events/sqs"
	"gust/stepfunctions/server"
)

// serviceFaults are what the configuration lets go wrong in the embedded service.
func serviceFaults(cfg *config.Config) (*server.Faults, error) {
	rules, err := server.ParseFaults(cfg.StepFunctions.Faults)
	if err != nil {
		return nil, fmt.Errorf("stepfunctions.faults: %w", err)
	}
	faults := &server.Faults{}
	faults.Set(rules...)
	faults.SetThrottle(cfg.StepFunctions.ThrottleScale)
	faults.SetLag(cfg.StepFunctions.ConsistencyLag)
	return faults, nil
}

// eventDelivery delivers the events of the embedded service.
type eventDelivery struct {
	queues *sqs.Server
	// bus is nil when the configuration names no target.
	bus     *events.Bus
	targets []io.Closer
}

// startEvents starts the delivery that the configuration asks for. The queues are always there.
func startEvents(ctx context.Context, cfg *config.Config, log *slog.Logger) (*eventDelivery, error) {
	own := cfg.StepFunctions
	d := &eventDelivery{queues: sqs.New(own.Region, own.AccountID)}
	c := events.Config{Log: log}
	var err error
	if c.Faults, err = eventFaults(own.EventsFaults); err != nil {
		return nil, fmt.Errorf("stepfunctions.events_faults: %w", err)
	}
	if own.EventsWebhook != "" {
		hook := events.NewWebhook(own.EventsWebhook)
		c.Targets, d.targets = append(c.Targets, hook), append(d.targets, hook)
	}
	if own.EventsQueue != "" {
		c.Targets = append(c.Targets, events.NewQueue(own.EventsQueue, d.queues.Send))
		if err := d.queues.Create(own.EventsQueue); err != nil {
			return nil, fmt.Errorf("stepfunctions.events_queue: %w", err)
		}
	}
	if own.EventsFile != "" {
		file, err := events.OpenFile(own.EventsFile)
		if err != nil {
			return nil, fmt.Errorf("stepfunctions.events_file: %w", err)
		}
		c.Targets, d.targets = append(c.Targets, file), append(d.targets, file)
	}
	if len(c.Targets) == 0 {
		return d, nil
	}
	if d.bus, err = events.New(c); err != nil {
		return nil, errors.Join(fmt.Errorf("stepfunctions.events_faults: %w", err), d.stop(ctx))
	}
	d.bus.Start(ctx)
	return d, nil
}

// eventFaults reads the setting events_faults.
func eventFaults(texts map[string]string) (events.Faults, error) {
	var f events.Faults
	for name, text := range texts {
		var err error
		switch name {
		case "loss":
			f.Loss, err = strconv.ParseFloat(text, 64)
		case "duplicates":
			f.Duplicates, err = strconv.ParseFloat(text, 64)
		case "reordering":
			f.Reordering, err = strconv.ParseFloat(text, 64)
		case "delay":
			f.Delay, err = time.ParseDuration(text)
		default:
			err = errors.New("expected loss, duplicates, reordering or delay")
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}

// sink is what the service tells its events; nil when nobody listens.
func (d *eventDelivery) sink() events.Sink {
	if d.bus == nil {
		return nil
	}
	return d.bus
}

// handler answers requests to the queues; with keys, only signed ones.
func (d *eventDelivery) handler(keys map[string]string) http.Handler {
	if len(keys) == 0 {
		return d.queues
	}
	return server.RequireSignature(keys, d.queues)
}

// stop delivers what is left, as long as ctx allows.
func (d *eventDelivery) stop(ctx context.Context) error {
	var err error
	if d.bus != nil {
		err = d.bus.Stop(ctx)
	}
	for _, t := range d.targets {
		err = errors.Join(err, t.Close())
	}
	return err
}
