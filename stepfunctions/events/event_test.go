package events_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/events"
)

func pointer(s string) *string { return &s }

func change(status string) events.StatusChange {
	return events.StatusChange{Time: time.UnixMilli(1551225271984), Region: "us-east-1", Account: "123456789012", ExecutionARN: "arn:e",
		StateMachineARN: "arn:m", Name: "n", Status: status, Started: time.UnixMilli(1551225146847), Input: pointer("{}")}
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func TestEvents(t *testing.T) {
	t.Parallel()
	const frame = `{"version":"0","id":"ID","detail-type":"Step Functions Execution Status Change","source":"aws.states","account":"123456789012","time":"2019-02-26T23:54:31Z","region":"us-east-1","resources":["arn:e"],"detail":`
	done := change("FAILED")
	done.Stopped, done.Error, done.Cause, done.RedriveStatus = time.UnixMilli(1551225151881), pointer("E"), pointer("C"), pointer("REDRIVABLE")
	done.AliasARN, done.VersionARN, done.RedriveCount, done.Redriven = pointer("arn:a"), pointer("arn:v"), 1, time.UnixMilli(5)
	for _, c := range []struct {
		change events.StatusChange
		want   string
	}{
		{change("RUNNING"), `{"executionArn":"arn:e","stateMachineArn":"arn:m","name":"n","status":"RUNNING","startDate":1551225146847,"stopDate":null,"input":"{}","output":null,"inputDetails":{"included":true},"outputDetails":null,"stateMachineVersionArn":null,"stateMachineAliasArn":null,"redriveCount":0,"redriveDate":null,"redriveStatus":null,"redriveStatusReason":null,"error":null,"cause":null}}`},
		{done, `{"executionArn":"arn:e","stateMachineArn":"arn:m","name":"n","status":"FAILED","startDate":1551225146847,"stopDate":1551225151881,"input":"{}","output":null,"inputDetails":{"included":true},"outputDetails":null,"stateMachineVersionArn":"arn:v","stateMachineAliasArn":"arn:a","redriveCount":1,"redriveDate":5,"redriveStatus":"REDRIVABLE","redriveStatusReason":null,"error":"E","cause":"C"}}`},
	} {
		if got := uuids.ReplaceAllString(string(c.change.Event()), "ID"); got != frame+c.want {
			t.Errorf("got  %s\nwant %s", got, frame+c.want)
		}
	}
}

func TestLargeData(t *testing.T) {
	t.Parallel()
	const limit = 248 << 10
	text := func(n int) *string { return pointer(strings.Repeat("x", n)) }
	for name, c := range map[string]struct {
		input, output   *string
		withIn, withOut bool
	}{
		"small":       {text(10), text(10), true, true},
		"at limit":    {text(limit - 10), text(10), true, true},
		"over":        {text(limit - 9), text(10), false, true},
		"output only": {text(1), text(limit + 1), false, false},
		"escapes":     {pointer(strings.Repeat(`"`, limit/2)), text(1), false, true},
		"no output":   {text(limit + 1), nil, false, false},
	} {
		change := change("SUCCEEDED")
		change.Input, change.Output = c.input, c.output
		var event struct {
			Detail struct {
				Input, Output               *string
				InputDetails, OutputDetails *struct{ Included bool }
			}
		}
		if err := json.Unmarshal(change.Event(), &event); err != nil {
			t.Fatal(err)
		}
		d := event.Detail
		if (d.Input != nil) != c.withIn || d.InputDetails.Included != c.withIn || (d.Output != nil) != c.withOut {
			t.Errorf("%s: %+v", name, d)
		}
		if (d.OutputDetails == nil) != (c.output == nil) || d.OutputDetails != nil && d.OutputDetails.Included != c.withOut {
			t.Errorf("%s: %+v", name, d.OutputDetails)
		}
	}
}
