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
	ResponseCheckLambda string         `json:"-" param:"response_check_lambda" doc:"dag-factory's notation. Two forms need no Python: lambda response: 'text' in response.text, and lambda response: response.status_code == 200. Any other is for HttpSensor."`
	ResponseCheck       string         `json:"-" param:"response_check" doc:"HttpSensor only: the import path of a Python function that is called with the response, and with those of the context's names that it has as arguments. The wait ends when it returns something true. It keeps a worker for each look; response_contains, response_matches, response_json and response_status do not."`
	ResponseCheckName   string         `json:"-" param:"response_check_name" doc:"The function in response_check_file, instead of response_check."`
	ResponseCheckFile   string         `json:"-" param:"response_check_file" doc:"The Python file of response_check_name; a relative path is beside the pipeline file."`
}

// Function is a Python function that looks at a response: an import path, a name in a file, or a lambda's text.
type Function struct{ Path, Name, File, Lambda string }

// Function returns the Python function that the conditions ask for; nil when they need none.
func (c *Check) Function() *Function {
	f := &Function{Path: c.ResponseCheck, Name: c.ResponseCheckName, File: c.ResponseCheckFile}
	if !c.understood() {
		f.Lambda = c.ResponseCheckLambda
	}
	if *f == (Function{}) {
		return nil
	}
	return f
}

// understood reports whether response_check_lambda is one of the forms that need no Python.
func (c *Check) understood() bool {
	text, status := lambdaText.FindStringSubmatch(c.ResponseCheckLambda), lambdaStatus.FindStringSubmatch(c.ResponseCheckLambda)
	return c.ResponseCheckLambda == "" || text != nil && text[1] == text[4] || status != nil && status[1] == status[2]
}

var (
	lambdaText   = regexp.MustCompile(`^\s*lambda\s+(\w+)\s*:\s*(?:'([^'\\]*)'|"([^"\\]*)")\s+in\s+(\w+)\.text\s*$`)
	lambdaStatus = regexp.MustCompile(`^\s*lambda\s+(\w+)\s*:\s*(\w+)\.status_code\s*==\s*(\d{3})\s*$`)
)

// Validate checks the conditions where no Python can be called, and reads the lambda.
func (c *Check) Validate() error {
	const instead = "use response_contains, response_matches, response_json or response_status"
	switch f := c.Function(); {
	case f == nil:
		return c.ValidateFunction()
	case f.Lambda != "":
		return fmt.Errorf("response_check_lambda %q is Python code that is not understood; %s", c.ResponseCheckLambda, instead)
	}
	return errors.New("response_check is Python code and is not supported; " + instead)
}

// ValidateFunction checks the conditions where Python can be called, and reads the lambda.
func (c *Check) ValidateFunction() error {
	switch {
	case (c.ResponseCheckName == "") != (c.ResponseCheckFile == ""):
		return errors.New("response_check_name and response_check_file belong together")
	case c.ResponseCheck != "" && c.ResponseCheckName != "":
		return errors.New("give response_check, or response_check_name and response_check_file")
	}
	if _, err := regexp.Compile(c.ResponseMatches); err != nil {
		return fmt.Errorf("response_matches: %w", err)
	}
	if m := lambdaText.FindStringSubmatch(c.ResponseCheckLambda); m != nil && m[1] == m[4] {
		c.ResponseContains = m[2] + m[3]
	}
	if m := lambdaStatus.FindStringSubmatch(c.ResponseCheckLambda); m != nil && m[1] == m[2] {
		status, err := strconv.Atoi(m[3])
		c.ResponseStatus = &status
		return err
	}
	return nil
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
