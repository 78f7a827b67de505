package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// webhookTimeout bounds one request, as EventBridge bounds those of its API destinations.
const webhookTimeout = 5 * time.Second

// Webhook posts each event to an HTTP endpoint.
type Webhook struct {
	url    string
	client *http.Client
}

// NewWebhook returns the target of a URL.
func NewWebhook(url string) *Webhook {
	return &Webhook{url: url, client: &http.Client{Timeout: webhookTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second}}}
}

// Name is the URL.
func (w *Webhook) Name() string { return w.url }

// Deliver posts an event. An answer of 400 and above fails, and only some of them are worth another try.
func (w *Webhook) Deliver(ctx context.Context, event []byte) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(event))
	if err != nil {
		return &FinalError{err}
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	// Reading the answer lets the connection be used again.
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)); err != nil {
		return err
	}
	switch {
	case res.StatusCode < http.StatusBadRequest:
		return nil
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusConflict, res.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("HTTP status %s", res.Status)
	default:
		return &FinalError{fmt.Errorf("HTTP status %s", res.Status)}
	}
}

// Close closes the connections that are not in use.
func (w *Webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

// File appends each event to a file, one on a line.
type File struct {
	path string
	mu   sync.Mutex
	f    *os.File
}

// OpenFile opens or creates the file. Close it.
func OpenFile(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return &File{path: path, f: f}, nil
}

// Name is the path.
func (f *File) Name() string { return f.path }

// Deliver writes a line, in one go so that readers never see a part of it.
func (f *File) Deliver(_ context.Context, event []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := make([]byte, 0, len(event)+1)
	_, err := f.f.Write(append(append(line, event...), '\n'))
	return err
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Queue sends each event to a queue.
type Queue struct {
	name string
	send func(name, body string) error
}

// NewQueue returns the target of a queue; send puts a message into the queue of a name.
func NewQueue(name string, send func(name, body string) error) *Queue {
	return &Queue{name: name, send: send}
}

// Name is the queue's name.
func (q *Queue) Name() string { return "queue " + q.name }

// Deliver sends an event. A refusal is final: the queue is in this process.
func (q *Queue) Deliver(_ context.Context, event []byte) error {
	if err := q.send(q.name, string(event)); err != nil {
		return &FinalError{err}
	}
	return nil
}
