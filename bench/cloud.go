package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/events"
	"gust/stepfunctions/events/sqs"
	"gust/stepfunctions/server"
)

// cloud is the embedded Step Functions service as AWS offers its own: behind a door that counts requests and refuses
// those beyond AWS's default quotas, with a queue that gets the events of executions. What goes past the door, by
// invoke, is neither counted nor refused: it prepares and checks.
type cloud struct {
	service *stepfunctions.Service
	queues  *sqs.Server
	bus     *events.Bus
	door    *http.Server
	address string
	serving sync.WaitGroup

	mu       sync.Mutex
	requests map[string]int       // by operation
	served   map[string]int       // those of them that were not refused
	ends     map[string]time.Time // of executions, by ARN
}

const (
	cloudQueue   = "executions"
	cloudAccount = "123456789012"
	cloudRegion  = "us-east-1" // one with large quotas
)

func startCloud(ctx context.Context, dir string) (_ *cloud, err error) {
	c := &cloud{
		queues:   sqs.New(cloudRegion, cloudAccount),
		requests: map[string]int{}, served: map[string]int{}, ends: map[string]time.Time{},
	}
	quiet := slog.New(slog.DiscardHandler)
	c.bus, err = events.New(events.Config{
		Targets: []events.Target{events.NewQueue(cloudQueue, c.queues.Send)}, Buffer: 1_000_000, Log: quiet,
	})
	if err != nil {
		return nil, err
	}
	if err := c.queues.Create(cloudQueue); err != nil {
		return nil, err
	}
	c.service, err = stepfunctions.New(stepfunctions.Config{DataPath: filepath.Join(dir, "aws.db"), Events: c, Logger: quiet})
	if err != nil {
		return nil, err
	}
	c.bus.Start(ctx)
	if err := c.service.Start(ctx); err != nil {
		return nil, errors.Join(err, c.bus.Stop(ctx))
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, c.service.Stop(ctx), c.bus.Stop(ctx))
	}
	faults := &server.Faults{}
	faults.SetThrottle(1)
	api := server.NewWith(counted{c}, server.Options{Faults: faults})
	c.address = listener.Addr().String()
	c.door = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := c.enter(r)
		if strings.HasPrefix(operation, "AmazonSQS.") {
			c.queues.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})}
	c.serving.Go(func() { _ = c.door.Serve(listener) }) // until it is closed
	return c, nil
}

// enter counts a request and tells its operation.
func (c *cloud) enter(r *http.Request) string {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[operation]++
	return operation
}

// counted is the service behind the door.
type counted struct{ *cloud }

// Invoke serves a request that was not refused.
func (c counted) Invoke(ctx context.Context, call server.Call) ([]byte, error) {
	c.mu.Lock()
	c.served[call.Operation]++
	c.mu.Unlock()
	return c.service.Invoke(ctx, call)
}

// Express tells starts of express state machines, which have a quota of their own.
func (c counted) Express(arn string) bool { return c.service.Express(arn) }

// Publish notes the ends of executions and sends their events to the queue.
func (c *cloud) Publish(changes []events.StatusChange) {
	c.mu.Lock()
	for i := range changes {
		if !changes[i].Stopped.IsZero() {
			c.ends[changes[i].ExecutionARN] = changes[i].Stopped
		}
	}
	c.mu.Unlock()
	c.bus.Publish(changes)
}

func (c *cloud) stop(ctx context.Context) error {
	c.queues.Stop()
	err := c.door.Close()
	c.serving.Wait()
	return errors.Join(err, c.service.Stop(ctx), c.bus.Stop(ctx))
}

// queueURL is where the events are.
func (c *cloud) queueURL() string {
	return fmt.Sprintf("http://%s/%s/%s", c.address, cloudAccount, cloudQueue)
}

// awsSettings are the environment variables that make the service the AWS of a daemon, quotas included, which reads the
// queue of events or only looks.
func awsSettings(c *cloud, withEvents bool) []string {
	env := []string{fmt.Sprintf(`AIRFLOW_CONN_AWS_DEFAULT={"conn_type":"aws","login":"bench","password":"any-secret-will-do",`+
		`"extra":{"region_name":"%s","endpoint_url":"http://%s"}}`, cloudRegion, c.address), "GUST__STEPFUNCTIONS__CLIENT_QUOTAS_EVERYWHERE=true"}
	if withEvents {
		env = append(env, "GUST__STEPFUNCTIONS__EVENTS__QUEUE_URL="+c.queueURL())
	}
	return env
}

// invoke makes a call past the door.
func (c *cloud) invoke(ctx context.Context, operation string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = c.service.Invoke(ctx, server.Call{Operation: operation, Region: cloudRegion, Body: body})
	return err
}

// queueCalls tells how many requests the queue of events got.
func (c *cloud) queueCalls() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for operation, times := range c.requests {
		if strings.HasPrefix(operation, "AmazonSQS.") {
			n += times
		}
	}
	return n
}

// calls tells how many requests came through the door, by operation, and how many of them were refused.
func (c *cloud) calls() (requests map[string]int, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests = map[string]int{}
	maps.Copy(requests, c.requests)
	for operation, n := range requests {
		if strings.HasPrefix(operation, "AmazonSQS.") {
			delete(requests, operation) // SQS has no such quotas
			continue
		}
		refused += n - c.served[operation]
	}
	return requests, refused
}

// ended tells when the executions have ended, by ARN.
func (c *cloud) ended() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}
