package events

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"gust/triggers"
	"gust/triggers/stepfunctions"
)

const (
	source     = "aws.states"
	detailType = "Step Functions Execution Status Change"
)

// message is one received message.
type message struct {
	handle string
	// received counts how often it has been received, sent is when the queue got it; zero when the queue does not say.
	received int
	sent     time.Time

	// machine, ended and news are what it tells; wrong says why it tells nothing.
	machine string
	ended   bool
	news    triggers.News
	wrong   error
	// wanted tells that a wait here is concerned.
	wanted bool
}

// read understands a message as SQS delivers it.
func read(m *types.Message) message {
	out := message{handle: aws.ToString(m.ReceiptHandle), received: 1}
	if n, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)]); err == nil {
		out.received = n
	}
	if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
		out.sent = time.UnixMilli(ms)
	}
	out.wrong = out.understand([]byte(aws.ToString(m.Body)))
	return out
}

// ends reports whether a status ends a wait. Any other one tells a waiter nothing.
func ends(status string) bool {
	return slices.Contains(stepfunctions.Ends[:], sfntypes.ExecutionStatus(status))
}

// understand reads an event as EventBridge writes it.
func (m *message) understand(body []byte) error {
	var envelope struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return fmt.Errorf("it is not an event of EventBridge: %w", err)
	}
	if envelope.Source != source || envelope.DetailType != detailType {
		return fmt.Errorf("it is an event %q of %q; expected %q of %q alone", envelope.DetailType, envelope.Source, detailType, source)
	}
	var detail struct {
		ExecutionARN    string `json:"executionArn"`
		StateMachineARN string `json:"stateMachineArn"`
		Status          string `json:"status"`
	}
	if err := json.Unmarshal(envelope.Detail, &detail); err != nil {
		return fmt.Errorf("its detail is not that of a status change: %w", err)
	}
	if detail.ExecutionARN == "" || detail.Status == "" {
		return fmt.Errorf("its detail has no executionArn or no status")
	}
	m.machine, m.ended = detail.StateMachineARN, ends(detail.Status)
	m.news = triggers.News{Kind: stepfunctions.Kind, Subject: detail.ExecutionARN, Text: envelope.Detail}
	return nil
}
