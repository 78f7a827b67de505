package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/triggers/stepfunctions/events"
)

// startReceiver begins to receive events about executions, when a queue is configured ([stepfunctions.events]).
func (d *Daemon) startReceiver(ctx context.Context) error {
	receiver, err := d.receiver(d.engine.triggerer)
	if err != nil || receiver == nil {
		return err
	}
	d.engine.receiver.Store(receiver)
	receiver.Start(ctx)
	d.undo = append(d.undo, func(context.Context) error { receiver.Stop(); return nil })
	return nil
}

// receiver is that of the configured queue, nil when there is none.
func (a *App) receiver(listener events.Listener) (*events.Receiver, error) {
	own := a.Config.Events
	if own.QueueURL == "" {
		return nil, nil
	}
	url, resolver := own.QueueURL, connections.Resolver(a.Connections)
	params := awsconn.Params{AWSConnID: awsconn.ConnID(own.AWSConnID), RegionName: own.RegionName}
	if !strings.Contains(url, "://") {
		endpoint, err := a.embeddedQueues()
		if err != nil {
			return nil, fmt.Errorf("stepfunctions.events.queue_url: %w", err)
		}
		url = endpoint + "/" + a.Config.StepFunctions.AccountID + "/" + url
		params = awsconn.Params{AWSConnID: awsconn.DefaultConnID}
		resolver = connections.NewResolver(a.Masker, connections.NewFixed("built in", embeddedConnection(a.Config, endpoint)))
	}
	place, err := events.PlaceOf(url)
	if err != nil {
		return nil, fmt.Errorf("stepfunctions.events.queue_url: %w", err)
	}
	return events.New(events.Config{
		QueueURL: url, Client: events.FromPool(a.AWS, resolver, params, place), Listener: listener,
		KeepForeign: own.KeepForeign, Log: a.Log.With("logger", "events"), Now: a.Now,
	}), nil
}

// embeddedQueues is where the embedded service answers for its queues.
func (a *App) embeddedQueues() (endpoint string, err error) {
	name, own := a.Config.Events.QueueURL, a.Config.StepFunctions.EventsQueue
	if name != own {
		return "", fmt.Errorf("%q is not a URL and names no queue that the embedded service fills: stepfunctions.events_queue is %q", name, own)
	}
	if endpoint = announced(a.Config.Home()); endpoint == "" {
		return "", errors.New("it names a queue of the embedded service, which does not run here: run `gust standalone`, or give the URL of a queue")
	}
	return endpoint, nil
}

// eventsArrive reports whether events tell the ends of a state machine's executions.
func (e *engine) eventsArrive(stateMachineARN string) bool {
	receiver := e.receiver.Load()
	return receiver != nil && receiver.Arrive(stateMachineARN)
}
