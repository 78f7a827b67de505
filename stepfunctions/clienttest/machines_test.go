package clienttest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

// The state machines of the tests, as people write them first.
const (
	helloWorld = `{"Comment":"Hello","StartAt":"Hello","States":{
		"Hello":{"Type":"Pass","Result":"Hello","Next":"World"},
		"World":{"Type":"Pass","Result":"World","End":true}}}`

	lambdaChain = `{"StartAt":"Double","States":{
		"Double":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:double","Next":"Increment"},
		"Increment":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",
			"Parameters":{"FunctionName":"increment","Payload.$":"$"},"OutputPath":"$.Payload","End":true}}}`

	choice = `{"StartAt":"Which","States":{
		"Which":{"Type":"Choice","Choices":[
			{"And":[{"Variable":"$.size","IsPresent":true},{"Variable":"$.size","NumericGreaterThan":100}],"Next":"Large"},
			{"And":[{"Variable":"$.size","IsPresent":true},{"Variable":"$.size","NumericLessThanEquals":100}],"Next":"Small"}],
			"Default":"Unknown"},
		"Large":{"Type":"Pass","Result":"large","End":true},
		"Small":{"Type":"Pass","Result":"small","End":true},
		"Unknown":{"Type":"Fail","Error":"NoSize","Cause":"the size is missing"}}}`

	retry = `{"StartAt":"Flaky","States":{"Flaky":{"Type":"Task",
		"Resource":"arn:aws:lambda:us-east-1:123456789012:function:flaky",
		"Retry":[{"ErrorEquals":["Unavailable"],"IntervalSeconds":1,"MaxAttempts":3,"BackoffRate":1.5}],"End":true}}}`

	catch = `{"StartAt":"Broken","States":{
		"Broken":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:broken",
			"Catch":[{"ErrorEquals":["Custom.Error"],"ResultPath":"$.caught","Next":"Recovered"}],"End":true},
		"Recovered":{"Type":"Pass","End":true}}}`

	waiting = `{"StartAt":"Wait","States":{"Wait":{"Type":"Wait","Seconds":3600,"End":true}}}`

	jsonata = `{"QueryLanguage":"JSONata","StartAt":"Sum","States":{"Sum":{"Type":"Pass",
		"Output":{"sum":"{% $sum($states.input.numbers) %}"},"End":true}}}`
)

// functions are the Lambda functions of the state machines. Waits take a hundredth of their time.
func functions() stepfunctions.Config {
	var calls atomic.Int64
	number := func(change func(float64) float64) handlers.Handler {
		return handlers.Handler{Func: func(_ context.Context, input []byte) ([]byte, error) {
			var n float64
			if err := json.Unmarshal(input, &n); err != nil {
				return nil, &handlers.Error{Type: "NotANumber", Message: err.Error()}
			}
			return fmt.Append(nil, change(n)), nil
		}}
	}
	return stepfunctions.Config{WaitScale: 0.01, Handlers: map[string]handlers.Handler{
		"double":    number(func(n float64) float64 { return 2 * n }),
		"increment": number(func(n float64) float64 { return n + 1 }),
		"flaky": {Func: func(context.Context, []byte) ([]byte, error) {
			if calls.Add(1)%3 != 0 {
				return nil, &handlers.Error{Type: "Unavailable", Message: "try again"}
			}
			return []byte(`"third time lucky"`), nil
		}},
		"broken": {Func: func(context.Context, []byte) ([]byte, error) {
			return nil, &handlers.Error{Type: "Custom.Error", Message: "it broke"}
		}},
	}}
}
