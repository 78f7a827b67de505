// Package sqs is a local endpoint that speaks as much of Amazon SQS as consumers of events need: standard queues with
// long polls, visibility timeouts, delays and dead-letter queues, over the AWS JSON protocol of today's SDKs. Queues live
// in memory.
package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// TargetPrefix starts the X-Amz-Target header of every request.
const TargetPrefix = "AmazonSQS."

// maxBody bounds a request: ten messages of the largest size with their escapes fit.
const maxBody = 4 << 20

// Server is the HTTP handler of the endpoint.
type Server struct {
	region, account string
	stopped         chan struct{}
	stop            sync.Once

	mu     sync.Mutex
	queues map[string]*queue
}

// New returns an endpoint without queues. Region and account are those of its queues' ARNs.
func New(region, account string) *Server {
	return &Server{region: region, account: account, stopped: make(chan struct{}), queues: map[string]*queue{}}
}

// Stop ends the long polls in work.
func (s *Server) Stop() { s.stop.Do(func() { close(s.stopped) }) }

// Create makes a queue unless it is there.
func (s *Server) Create(name string) error {
	_, err := s.ensure(name)
	return err
}

// Send puts a message into a queue, which is created when it is not there.
func (s *Server) Send(name, body string) error {
	q, err := s.ensure(name)
	if err != nil {
		return err
	}
	q.send(body, nil, nil)
	return nil
}

func (s *Server) ensure(name string) (*queue, error) {
	if refused := checkName(name); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	if q == nil {
		q = newQueue(name, defaultSettings(), s.stopped)
		s.queues[name] = q
	}
	return q, nil
}

// failure is an answer in the form of SQS's errors.
type failure struct {
	// shape is the error's name, query the name it has in the older query protocol, which SDKs show.
	shape, query, message string
}

// Error joins name and message.
func (f *failure) Error() string { return f.shape + ": " + f.message }

func invalid(format string, args ...any) *failure {
	return &failure{"InvalidParameterValueException", "InvalidParameterValue", fmt.Sprintf(format, args...)}
}

var errNoQueue = &failure{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."}

// operation does one request.
type operation func(s *Server, ctx context.Context, r *http.Request, body []byte) (any, error)

// operationOf turns a function over structs into an operation.
func operationOf[In any](f func(s *Server, ctx context.Context, host string, in *In) (any, error)) operation {
	return func(s *Server, ctx context.Context, r *http.Request, body []byte) (any, error) {
		in := new(In)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, &failure{"SerializationException", "MalformedInput", "The request is not valid JSON: " + err.Error()}
		}
		return f(s, ctx, r.Host, in)
	}
}

var operations = map[string]operation{
	"CreateQueue":                  operationOf((*Server).createQueue),
	"GetQueueUrl":                  operationOf((*Server).getQueueURL),
	"ListQueues":                   operationOf((*Server).listQueues),
	"DeleteQueue":                  operationOf((*Server).deleteQueue),
	"PurgeQueue":                   operationOf((*Server).purgeQueue),
	"GetQueueAttributes":           operationOf((*Server).getQueueAttributes),
	"SetQueueAttributes":           operationOf((*Server).setQueueAttributes),
	"SendMessage":                  operationOf((*Server).sendMessage),
	"SendMessageBatch":             operationOf((*Server).sendMessageBatch),
	"ReceiveMessage":               operationOf((*Server).receiveMessage),
	"DeleteMessage":                operationOf((*Server).deleteMessage),
	"DeleteMessageBatch":           operationOf((*Server).deleteMessageBatch),
	"ChangeMessageVisibility":      operationOf((*Server).changeVisibility),
	"ChangeMessageVisibilityBatch": operationOf((*Server).changeVisibilityBatch),
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix)
	do := operations[name]
	if !ok || do == nil {
		s.fail(w, &failure{"UnknownOperationException", "InvalidAction", fmt.Sprintf("The local queue endpoint does not know %q; "+
			"it answers AWS JSON requests, with the header X-Amz-Target: AmazonSQS.<Operation>", r.Header.Get("X-Amz-Target"))})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.fail(w, invalid("The request cannot be read, or is larger than %d bytes.", maxBody))
		return
	}
	out, err := do(s, r.Context(), r, body)
	if err != nil {
		var known *failure
		if !errors.As(err, &known) {
			known = &failure{"InternalFailure", "InternalFailure", err.Error()}
		}
		s.fail(w, known)
		return
	}
	write(w, http.StatusOK, out)
}

func (s *Server) fail(w http.ResponseWriter, f *failure) {
	w.Header().Set("X-Amzn-Query-Error", f.query+";Sender")
	write(w, http.StatusBadRequest, map[string]string{"__type": "com.amazonaws.sqs#" + f.shape, "message": f.message})
}

func write(w http.ResponseWriter, status int, out any) {
	body := []byte("{}")
	if out != nil {
		var err error
		if body, err = json.Marshal(out); err != nil {
			status, body = http.StatusInternalServerError, []byte("{}")
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone when this fails
}

var names = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func checkName(name string) *failure {
	switch {
	case strings.HasSuffix(name, ".fifo"):
		return invalid("The local queue endpoint has no FIFO queues; leave .fifo out of %q.", name)
	case !names.MatchString(name):
		return invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	return nil
}

// queue finds a queue by its URL, of which only the last part counts.
func (s *Server) queue(url string) (*queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[url[strings.LastIndexByte(url, '/')+1:]]; q != nil {
		return q, nil
	}
	return nil, errNoQueue
}

func (s *Server) url(host, name string) string {
	return "http://" + host + "/" + s.account + "/" + name
}

func (s *Server) arn(name string) string {
	return "arn:aws:sqs:" + s.region + ":" + s.account + ":" + name
}

type queueRef struct {
	QueueURL string `json:"QueueUrl"`
}

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
}

func (s *Server) createQueue(_ context.Context, host string, in *createQueueInput) (any, error) {
	if err := checkName(in.QueueName); err != nil {
		return nil, err
	}
	wanted := defaultSettings()
	if err := s.apply(&wanted, in.Attributes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[in.QueueName]; q != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		same := q.settings
		if len(in.Attributes) > 0 && same != wanted {
			return nil, &failure{"QueueNameExists", "QueueAlreadyExists",
				"A queue already exists with the same name and a different value for one of its attributes"}
		}
		return queueRef{s.url(host, in.QueueName)}, nil
	}
	s.queues[in.QueueName] = newQueue(in.QueueName, wanted, s.stopped)
	return queueRef{s.url(host, in.QueueName)}, nil
}

type queueName struct{ QueueName string }

func (s *Server) getQueueURL(_ context.Context, host string, in *queueName) (any, error) {
	if _, err := s.queue(in.QueueName); err != nil {
		return nil, err
	}
	return queueRef{s.url(host, in.QueueName)}, nil
}

type listQueuesInput struct{ QueueNamePrefix string }

func (s *Server) listQueues(_ context.Context, host string, in *listQueuesInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	urls := []string{}
	for name := range s.queues {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			urls = append(urls, s.url(host, name))
		}
	}
	slices.Sort(urls)
	return map[string][]string{"QueueUrls": urls}, nil
}

func (s *Server) deleteQueue(_ context.Context, _ string, in *queueRef) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	delete(s.queues, q.name)
	s.mu.Unlock()
	return nil, nil
}

func (s *Server) purgeQueue(_ context.Context, _ string, in *queueRef) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err == nil {
		q.purge()
	}
	return nil, err
}

// seconds is a whole number of seconds within bounds.
func seconds(name string, n, low, high int) (time.Duration, error) {
	if n < low || n > high {
		return 0, invalid("Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", n, name, low, high)
	}
	return time.Duration(n) * time.Second, nil
}
