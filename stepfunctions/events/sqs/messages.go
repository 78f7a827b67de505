package sqs

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// attribute is an attribute of a message. BinaryValue is base64 on the wire.
type attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

type sendInput struct {
	QueueURL          string `json:"QueueUrl"`
	MessageBody       *string
	DelaySeconds      *int
	MessageAttributes map[string]attribute
}

type sent struct {
	ID                     string `json:"Id,omitempty"`
	MessageID              string `json:"MessageId"`
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
}

func (s *Server) sendMessage(_ context.Context, _ string, in *sendInput) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return q.accept(in)
}

// accept checks a message and sends it.
func (q *queue) accept(in *sendInput) (*sent, error) {
	q.mu.Lock()
	maxSize := q.settings.maxSize
	q.mu.Unlock()
	if in.MessageBody == nil || *in.MessageBody == "" {
		return nil, &failure{"MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter MessageBody."}
	}
	if len(*in.MessageBody) > maxSize {
		return nil, invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", maxSize)
	}
	var delay *time.Duration
	if in.DelaySeconds != nil {
		d, err := seconds("DelaySeconds", *in.DelaySeconds, 0, 900)
		if err != nil {
			return nil, err
		}
		delay = &d
	}
	return &sent{MessageID: q.send(*in.MessageBody, in.MessageAttributes, delay), MD5OfMessageBody: checksum(*in.MessageBody),
		MD5OfMessageAttributes: attributesChecksum(in.MessageAttributes)}, nil
}

// attributesChecksum is SQS's MD5 sum over attributes: their names, types and values with their lengths, by name.
func attributesChecksum(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	add := func(text string) {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...) //nolint:gosec // a request has a limit far below
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add(name)
		add(a.DataType)
		if a.StringValue != nil {
			b = append(b, 1)
			add(*a.StringValue)
		} else {
			b = append(b, 2)
			add(string(a.BinaryValue))
		}
	}
	return checksum(string(b))
}

type receiveInput struct {
	QueueURL                    string `json:"QueueUrl"`
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
}

type received struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string    `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
	MessageAttributes      map[string]attribute `json:",omitempty"`
}

func (s *Server) receiveMessage(ctx context.Context, _ string, in *receiveInput) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	n := 1
	if in.MaxNumberOfMessages != nil {
		n = *in.MaxNumberOfMessages
	}
	if n < 1 || n > 10 {
		return nil, invalid("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", n)
	}
	visibility, err := optionalSeconds("VisibilityTimeout", in.VisibilityTimeout, 43200)
	if err != nil {
		return nil, err
	}
	wait, err := optionalSeconds("WaitTimeSeconds", in.WaitTimeSeconds, 20)
	if err != nil {
		return nil, err
	}
	got, over := q.receive(ctx, n, visibility, wait)
	if over {
		return nil, &failure{"OverLimit", "OverLimit", "Too many messages in flight"}
	}
	out := make([]received, 0, len(got))
	system := append(slices.Clone(in.AttributeNames), in.MessageSystemAttributeNames...)
	for _, d := range got {
		m := received{MessageID: d.id, ReceiptHandle: d.handle, MD5OfBody: checksum(d.body), Body: d.body, Attributes: s.system(d, system)}
		if len(in.MessageAttributeNames) > 0 {
			m.MessageAttributes = chosen(d.attributes, in.MessageAttributeNames)
			m.MD5OfMessageAttributes = attributesChecksum(m.MessageAttributes)
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return map[string][]received{"Messages": out}, nil
}

func optionalSeconds(name string, n *int, high int) (*time.Duration, error) {
	if n == nil {
		return nil, nil
	}
	d, err := seconds(name, *n, 0, high)
	return &d, err
}

// system are the attributes that the queue itself gives a message.
func (s *Server) system(d delivery, wanted []string) map[string]string {
	all := map[string]string{
		"SenderId": s.account, "SentTimestamp": strconv.FormatInt(d.sent.UnixMilli(), 10),
		"ApproximateReceiveCount": strconv.Itoa(d.received), "ApproximateFirstReceiveTimestamp": strconv.FormatInt(d.first.UnixMilli(), 10),
	}
	if !slices.Contains(wanted, "All") {
		maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(wanted, name) })
	}
	return all
}

// chosen are the attributes with the wanted names: All, .*, a name, or a prefix followed by .*
func chosen(attributes map[string]attribute, wanted []string) map[string]attribute {
	out := map[string]attribute{}
	for name, a := range attributes {
		for _, w := range wanted {
			prefix, open := cutStar(w)
			if w == "All" || w == name || open && len(name) >= len(prefix) && name[:len(prefix)] == prefix {
				out[name] = a
			}
		}
	}
	return out
}

func cutStar(pattern string) (prefix string, open bool) {
	if len(pattern) >= 2 && pattern[len(pattern)-2:] == ".*" {
		return pattern[:len(pattern)-2], true
	}
	return pattern, false
}

var errHandle = &failure{"ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", "The input receipt handle is invalid."}

type handleInput struct {
	QueueURL          string `json:"QueueUrl"`
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout int
}

func (s *Server) deleteMessage(_ context.Context, _ string, in *handleInput) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return nil, q.removeHandle(in)
}

func (q *queue) removeHandle(in *handleInput) error {
	if !q.remove(in.ReceiptHandle) {
		return errHandle
	}
	return nil
}

func (s *Server) changeVisibility(_ context.Context, _ string, in *handleInput) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return nil, q.changeHandle(in)
}

func (q *queue) changeHandle(in *handleInput) error {
	d, err := seconds("VisibilityTimeout", in.VisibilityTimeout, 0, 43200)
	if err != nil {
		return err
	}
	switch ok, flying := q.changeVisibility(in.ReceiptHandle, d); {
	case !ok:
		return errHandle
	case !flying:
		return &failure{"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "The specified message isn't in flight."}
	}
	return nil
}

// batch is a request of up to ten entries, each of which is done or fails by itself.
type batch[E any] struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []E
}

type failed struct {
	ID          string `json:"Id"`
	Code        string
	Message     string
	SenderFault bool
}

type batchResult struct {
	Successful []any
	Failed     []failed
}

// each does the entries of a batch.
func each[E any](s *Server, in *batch[E], id func(E) string, do func(*queue, E) (any, error)) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Entries) == 0 {
		return nil, &failure{"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one entry in the request."}
	}
	if len(in.Entries) > 10 {
		return nil, &failure{"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			"Maximum number of entries per request are 10. You have sent " + strconv.Itoa(len(in.Entries)) + "."}
	}
	seen := map[string]bool{}
	for _, e := range in.Entries {
		if seen[id(e)] {
			return nil, &failure{"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id " + id(e) + " repeated."}
		}
		seen[id(e)] = true
	}
	out := batchResult{Successful: []any{}, Failed: []failed{}}
	for _, e := range in.Entries {
		done, err := do(q, e)
		var known *failure
		if errors.As(err, &known) {
			out.Failed = append(out.Failed, failed{ID: id(e), Code: known.query, Message: known.message, SenderFault: true})
			continue
		}
		out.Successful = append(out.Successful, done)
	}
	return out, nil
}

type sendEntry struct {
	ID string `json:"Id"`
	sendInput
}

func (s *Server) sendMessageBatch(_ context.Context, _ string, in *batch[sendEntry]) (any, error) {
	return each(s, in, func(e sendEntry) string { return e.ID }, func(q *queue, e sendEntry) (any, error) {
		out, err := q.accept(&e.sendInput)
		if err != nil {
			return nil, err
		}
		out.ID = e.ID
		return out, nil
	})
}

type idOnly struct {
	ID string `json:"Id"`
}

func (s *Server) deleteMessageBatch(_ context.Context, _ string, in *batch[handleInput]) (any, error) {
	return each(s, in, func(e handleInput) string { return e.ID }, func(q *queue, e handleInput) (any, error) {
		return idOnly{e.ID}, q.removeHandle(&e)
	})
}

func (s *Server) changeVisibilityBatch(_ context.Context, _ string, in *batch[handleInput]) (any, error) {
	return each(s, in, func(e handleInput) string { return e.ID }, func(q *queue, e handleInput) (any, error) {
		return idOnly{e.ID}, q.changeHandle(&e)
	})
}
