package httpreq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gust/internal/param"
)

// Check is what a response must meet: all that is given. It stands for the Python callables that Airflow takes
// (response_check), and is data, so that it can be stored and looked at without a worker.
type Check struct {
	ResponseContains    string         `json:"contains,omitempty" param:"response_contains" template:"true" doc:"A text that the response must hold."`
	ResponseMatches     string         `json:"matches,omitempty" param:"response_matches" doc:"A regular expression (RE2) that must match somewhere in the response."`
	ResponseJSON        map[string]any `json:"json,omitempty" param:"response_json" template:"true" doc:"Values that the response, as JSON, must hold: path to value, for example {state: done, 'items.0.id': 7}. The path . is the whole response."`
	ResponseStatus      *int           `json:"status,omitempty" param:"response_status" doc:"The HTTP status that the response must have."`
	ResponseCheckLambda string         `json:"-" param:"response_check_lambda" doc:"dag-factory's notation, understood in two forms: lambda response: 'text' in response.text, and lambda response: response.status_code == 200."`
	ResponseCheck       any            `json:"-" param:"response_check" doc:"Not supported: a Python callable in Airflow. Use response_contains, response_matches, response_json or response_status."`
	ResponseCheckName   any            `json:"-" param:"response_check_name" doc:"Not supported: Python code in dag-factory. Use response_contains, response_matches, response_json or response_status."`
	ResponseCheckFile   any            `json:"-" param:"response_check_file" doc:"Not supported, as response_check_name."`
}

var (
	lambdaText   = regexp.MustCompile(`^\s*lambda\s+(\w+)\s*:\s*(?:'([^'\\]*)'|"([^"\\]*)")\s+in\s+(\w+)\.text\s*$`)
	lambdaStatus = regexp.MustCompile(`^\s*lambda\s+(\w+)\s*:\s*(\w+)\.status_code\s*==\s*(\d{3})\s*$`)
)

// Validate checks the conditions, and reads the lambda.
func (c *Check) Validate() error {
	const instead = "use response_contains, response_matches, response_json or response_status"
	if c.ResponseCheck != nil || c.ResponseCheckName != nil || c.ResponseCheckFile != nil {
		return errors.New("response_check is Python code and is not supported; " + instead)
	}
	if _, err := regexp.Compile(c.ResponseMatches); err != nil {
		return fmt.Errorf("response_matches: %w", err)
	}
	if c.ResponseCheckLambda == "" {
		return nil
	}
	if m := lambdaText.FindStringSubmatch(c.ResponseCheckLambda); m != nil && m[1] == m[4] {
		c.ResponseContains = m[2] + m[3]
		return nil
	}
	if m := lambdaStatus.FindStringSubmatch(c.ResponseCheckLambda); m != nil && m[1] == m[2] {
		status, err := strconv.Atoi(m[3])
		c.ResponseStatus = &status
		return err
	}
	return fmt.Errorf("response_check_lambda %q is Python code that is not understood; %s", c.ResponseCheckLambda, instead)
}

// Unmet returns the first condition that the response does not meet, "" when it meets all.
func (c *Check) Unmet(r *Response) (string, error) {
	if c.ResponseStatus != nil && r.Status != *c.ResponseStatus {
		return fmt.Sprintf("the status is %d, not %d", r.Status, *c.ResponseStatus), nil
	}
	if c.ResponseContains != "" && !strings.Contains(r.Text(), c.ResponseContains) {
		return fmt.Sprintf("the response does not hold %q", c.ResponseContains), nil
	}
	if c.ResponseMatches != "" {
		re, err := regexp.Compile(c.ResponseMatches)
		if err != nil {
			return "", fmt.Errorf("response_matches: %w", err)
		}
		if !re.Match(r.Body) {
			return fmt.Sprintf("the response does not match %q", c.ResponseMatches), nil
		}
	}
	for _, path := range slices.Sorted(maps.Keys(c.ResponseJSON)) {
		raw, unmet := At(r.Body, path)
		if unmet != nil {
			return unmet.Error(), nil //nolint:nilerr // a response that lacks the value does not meet the condition
		}
		if !equal(raw, c.ResponseJSON[path]) {
			return fmt.Sprintf("%s is %s", path, beginning(string(raw))), nil
		}
	}
	return "", nil
}

// equal compares JSON with a value from a pipeline file: numbers by value, everything else exactly.
func equal(raw json.RawMessage, want any) bool {
	var got any
	if err := json.Unmarshal(raw, &got); err != nil {
		return false
	}
	wanted, err := json.Marshal(want)
	if err != nil {
		return false
	}
	var norm any
	if err := json.Unmarshal(wanted, &norm); err != nil {
		return false
	}
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(norm)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// At returns the value at a path of JSON: names and indexes (from 0) joined by dots; "." or "" is the whole.
func At(body []byte, path string) (json.RawMessage, error) {
	value := json.RawMessage(bytes.TrimSpace(body))
	if !json.Valid(value) {
		return nil, errors.New("the response is not JSON")
	}
	if path == "." || path == "" {
		return value, nil
	}
	walked := ""
	for part := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		var list []json.RawMessage
		switch {
		case json.Unmarshal(value, &object) == nil && object != nil:
			next, ok := object[part]
			if !ok {
				return nil, missing(walked, part, slices.Sorted(maps.Keys(object)))
			}
			value = next
		case json.Unmarshal(value, &list) == nil && list != nil:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(list) {
				return nil, fmt.Errorf("%s has no item %q; it has %d", name(walked), part, len(list))
			}
			value = list[i]
		default:
			return nil, fmt.Errorf("%s is neither an object nor a list; nothing is called %q in it", name(walked), part)
		}
		walked = strings.TrimPrefix(walked+"."+part, ".")
	}
	return value, nil
}

func name(walked string) string {
	if walked == "" {
		return "the response"
	}
	return "the response's " + walked
}

func missing(walked, part string, known []string) error {
	if near := param.Nearest(part, known); near != "" {
		return fmt.Errorf("%s has no %q; did you mean %q?", name(walked), part, near)
	}
	return fmt.Errorf("%s has no %q", name(walked), part)
}
