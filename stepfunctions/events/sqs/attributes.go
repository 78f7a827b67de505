package sqs

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// apply reads the attributes of a queue that can be set.
func (s *Server) apply(to *settings, attributes map[string]string) error {
	for name, text := range attributes {
		if name == "RedrivePolicy" {
			if err := s.redrive(to, text); err != nil {
				return err
			}
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return &failure{"InvalidAttributeValue", "InvalidAttributeValue", "Invalid value for the parameter " + name + "."}
		}
		switch name {
		case "VisibilityTimeout":
			to.visibility, err = seconds(name, n, 0, 43200)
		case "DelaySeconds":
			to.delay, err = seconds(name, n, 0, 900)
		case "ReceiveMessageWaitTimeSeconds":
			to.wait, err = seconds(name, n, 0, 20)
		case "MessageRetentionPeriod":
			to.retention, err = seconds(name, n, 60, 1209600)
		case "MaximumMessageSize":
			if n < 1024 || n > 1<<20 {
				err = invalid("Value %d for parameter %s is invalid. Reason: Must be >= 1024 and <= 1048576.", n, name)
			}
			to.maxSize = n
		default:
			err = &failure{"InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute " + name + "."}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// redrive reads a RedrivePolicy; an empty text ends it.
func (s *Server) redrive(to *settings, text string) error {
	to.deadLetters, to.maxReceives, to.redrive = nil, 0, text
	if text == "" {
		return nil
	}
	var policy struct {
		Target string      `json:"deadLetterTargetArn"`
		Max    json.Number `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return invalid("Value %s for parameter RedrivePolicy is invalid. Reason: %v", text, err)
	}
	n, err := policy.Max.Int64()
	if err != nil || n < 1 || n > 1000 {
		return invalid("Value %s for parameter RedrivePolicy is invalid. Reason: maxReceiveCount must be from 1 to 1000.", text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, q := range s.queues {
		if s.arn(name) == policy.Target {
			to.deadLetters, to.maxReceives = q, int(n)
			return nil
		}
	}
	return invalid("Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", text)
}

type setAttributesInput struct {
	QueueURL   string `json:"QueueUrl"`
	Attributes map[string]string
}

func (s *Server) setQueueAttributes(_ context.Context, _ string, in *setAttributesInput) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	wanted := q.settings
	q.mu.Unlock()
	if err := s.apply(&wanted, in.Attributes); err != nil {
		return nil, err
	}
	q.mu.Lock()
	q.settings, q.modified = wanted, time.Now()
	q.mu.Unlock()
	return nil, nil
}

type getAttributesInput struct {
	QueueURL       string `json:"QueueUrl"`
	AttributeNames []string
}

func (s *Server) getQueueAttributes(_ context.Context, _ string, in *getAttributesInput) (any, error) {
	q, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	visible, inFlight, delayed := q.counts()
	q.mu.Lock()
	own, modified := q.settings, q.modified
	q.mu.Unlock()
	number := func(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
	all := map[string]string{
		"QueueArn": s.arn(q.name), "CreatedTimestamp": strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":       strconv.FormatInt(modified.Unix(), 10),
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed": strconv.Itoa(delayed), "DelaySeconds": number(own.delay),
		"VisibilityTimeout": number(own.visibility), "ReceiveMessageWaitTimeSeconds": number(own.wait),
		"MessageRetentionPeriod": number(own.retention), "MaximumMessageSize": strconv.Itoa(own.maxSize),
	}
	if own.redrive != "" {
		all["RedrivePolicy"] = own.redrive
	}
	if !slices.Contains(in.AttributeNames, "All") {
		wanted := map[string]string{}
		for _, name := range in.AttributeNames {
			if text, ok := all[name]; ok {
				wanted[name] = text
			}
		}
		all = wanted
	}
	return map[string]map[string]string{"Attributes": all}, nil
}
