package stepfunctions_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/server"
)

// replayFloor is how many recordings pass; the test fails when it becomes fewer.
const replayFloor = 103

// recording is a case recorded from AWS.
type recording struct {
	ID          string            `json:"id"`
	Area        string            `json:"area"`
	Needs       []string          `json:"needs"`
	Definitions []string          `json:"definitions"`
	Calls       [][2]any          `json:"-"`
	RawCalls    []jsonvalue.Value `json:"calls"`
	Recorded    jsonvalue.Value   `json:"recorded"`
}

// recordingsPath finds the recordings: GUST_SFN_RECORDINGS, or the reference folder beside the repository.
func recordingsPath() string {
	if path := os.Getenv("GUST_SFN_RECORDINGS"); path != "" {
		return path
	}
	return filepath.Join("..", "..", "shared", "reference", "stepfunctions-recordings.jsonl")
}

func readRecordings(t *testing.T) []recording {
	t.Helper()
	f, err := os.Open(recordingsPath())
	if err != nil {
		t.Skipf("no recordings of AWS here: %v (set GUST_SFN_RECORDINGS)", err)
	}
	defer f.Close()
	var all []recording
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r recording
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReplay carries out the calls that were recorded against AWS and compares the answers.
func TestReplay(t *testing.T) {
	t.Parallel()
	type score struct{ passed, total int }
	areas := map[string]*score{}
	var failed []string
	passed := 0
	all := readRecordings(t)
	for _, r := range all {
		sc := areas[r.Area]
		if sc == nil {
			sc = &score{}
			areas[r.Area] = sc
		}
		sc.total++
		if problem := replay(t, r); problem == "" {
			sc.passed++
			passed++
		} else {
			failed = append(failed, r.ID+": "+problem)
		}
	}
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		t.Logf("%-40s %3d of %3d", area, areas[area].passed, areas[area].total)
	}
	t.Logf("%-40s %3d of %3d", "all", passed, len(all))
	for _, f := range failed {
		t.Logf("not passed: %s", f)
	}
	if passed < replayFloor {
		t.Errorf("%d recordings pass, %d did before", passed, replayFloor)
	}
}

// unknownOperations are those that the service turned down, so that recordings with them need no service any more.
var unknownOperations = map[string]bool{}

// replayer carries out one recording on a service of its own.
type replayer struct {
	s         *stepfunctions.Service
	arns      map[string]string // placeholder of the recording -> ARN of the service
	started   []string
	names     []string // state machine names in the order of their creation
	answers   []jsonvalue.Value
	histories []jsonvalue.Value
}

// replay returns what differs, "" when everything is as recorded.
func replay(t *testing.T, r recording) string {
	t.Helper()
	if len(r.Needs) > 0 {
		return "needs " + r.Needs[0]
	}
	for _, call := range r.RawCalls {
		if name := operationName(call.At(0).Text()); unknownOperations[name] {
			return "the operation " + name + " is not supported"
		}
	}
	s, err := stepfunctions.New(stepfunctions.Config{AccountID: "000000000000"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	p := &replayer{s: s, arns: map[string]string{}}
	for _, call := range r.RawCalls {
		if problem := p.call(t, call.At(0).Text(), call.At(1)); problem != "" {
			return problem
		}
	}
	return p.compare(r)
}

// operationName turns get_execution_history into GetExecutionHistory.
func operationName(snake string) string {
	var b strings.Builder
	for _, part := range strings.Split(snake, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func (p *replayer) call(t *testing.T, name string, args jsonvalue.Value) string {
	t.Helper()
	body := args.String()
	for placeholder, arn := range p.arns {
		body = strings.ReplaceAll(body, placeholder, arn)
	}
	out, err := p.s.Invoke(t.Context(), server.Call{Operation: operationName(name), Region: "us-east-1", Body: []byte(body)})
	var known *server.Error
	switch {
	case errors.As(err, &known) && known.Code == "UnknownOperationException":
		unknownOperations[operationName(name)] = true
		return known.Message
	case errors.As(err, &known):
		p.answers = append(p.answers, p.normalise(jsonvalue.NewObjectBuilder(2).Set("code", jsonvalue.NewString(known.Code)).
			Set("message", jsonvalue.NewString(known.Message)).Value()))
		return ""
	case err != nil:
		return err.Error()
	}
	v, err := jsonvalue.Parse(string(out))
	if err != nil {
		return err.Error()
	}
	switch name {
	case "create_state_machine":
		n, _ := args.Get("name")
		if !slices.Contains(p.names, n.Text()) {
			p.names = append(p.names, n.Text())
		}
	case "start_execution":
		arn, _ := v.Get("executionArn")
		p.started = append(p.started, arn.Text())
		parts := strings.Split(arn.Text(), ":")
		p.arns[strings.Join(append(parts[:len(parts)-1:len(parts)-1], fmt.Sprintf("exec-%08d", len(p.started))), ":")] = arn.Text()
		p.settle(t, arn.Text())
	}
	p.answers = append(p.answers, p.normalise(v))
	return ""
}

// settle waits until an execution has ended and keeps its history.
func (p *replayer) settle(t *testing.T, arn string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		out, err := p.s.Invoke(t.Context(), server.Call{Operation: "GetExecutionHistory", Region: "us-east-1",
			Body: []byte(`{"executionArn":"` + arn + `","maxResults":100}`)})
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`"type":"Execution(Succeeded|Failed|TimedOut|Aborted)"`).Match(out) || time.Now().After(deadline) {
			v, err := jsonvalue.Parse(string(out))
			if err != nil {
				t.Fatal(err)
			}
			p.histories = append(p.histories, p.normalise(v))
			return
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

var isoTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)`)

// normalise applies the replacements of the recordings.
func (p *replayer) normalise(v jsonvalue.Value) jsonvalue.Value {
	text := expand(v).String()
	pairs := []string{}
	for i, arn := range p.started {
		pairs = append(pairs, arn[strings.LastIndexByte(arn, ':')+1:], fmt.Sprintf("<ExecArnPart_%didx>", i))
	}
	for i, name := range p.names {
		pairs = append(pairs, name, fmt.Sprintf("<ArnPart_%didx>", i))
	}
	pairs = append(pairs, "000000000000", "111111111111", "us-east-1", "<region>", "arn:aws:", "arn:<partition>:")
	for i := 0; i < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	text = regexp.MustCompile(`arn:<partition>:iam::\d+:role/test-sfn-role-[0-9a-f]+`).ReplaceAllString(text, "snf_role_arn")
	out, err := jsonvalue.Parse(text)
	if err != nil {
		return v
	}
	return out
}

// expand replaces every string that holds a JSON object by that object, one level deep.
func expand(v jsonvalue.Value) jsonvalue.Value {
	switch v.Kind() {
	case jsonvalue.String:
		if strings.HasPrefix(v.Text(), "{") {
			if inner, err := jsonvalue.Parse(v.Text()); err == nil {
				return inner
			}
		}
	case jsonvalue.Array:
		items := make([]jsonvalue.Value, v.Len())
		for i, item := range v.Items() {
			items[i] = expand(item)
		}
		return jsonvalue.NewArray(items)
	case jsonvalue.Object:
		b := jsonvalue.NewObjectBuilder(v.Len())
		for i, item := range v.Items() {
			b.Set(v.Key(i), expand(item))
		}
		return b.Value()
	default:
	}
	return v
}

// compare matches everything recorded with what the service answered.
func (p *replayer) compare(r recording) string {
	history := 0
	used := make([]bool, len(p.answers))
	for i, want := range r.Recorded.Items() {
		key := r.Recorded.Key(i)
		_, isHistory := want.Get("events")
		var problem string
		switch {
		case key == "cases":
			problem = p.compareCases(want)
		case isHistory && history == len(p.histories):
			problem = key + ": no execution left"
		case isHistory:
			problem = differ(key, sortBranches(want), sortBranches(p.histories[history]))
			history++
		default:
			problem = p.compareAnswer(key, want, used)
		}
		if problem != "" {
			return problem
		}
	}
	return ""
}

// compareCases compares the outputs of many executions.
func (p *replayer) compareCases(want jsonvalue.Value) string {
	if want.Len() != len(p.histories) {
		return fmt.Sprintf("cases: want %d executions, got %d", want.Len(), len(p.histories))
	}
	for i, c := range want.Items() {
		events, _ := p.histories[i].Get("events")
		details, _ := events.At(events.Len() - 1).Get("executionSucceededEventDetails")
		got, _ := details.Get("output")
		output, _ := c.Get("output")
		if d := differ(fmt.Sprintf("cases/%d", i), output, got); d != "" {
			return d
		}
	}
	return ""
}

// compareAnswer looks for an answer that is as recorded and has not been used. Not every answer was recorded.
func (p *replayer) compareAnswer(key string, want jsonvalue.Value, used []bool) string {
	problem := key + ": no answer left"
	for at, got := range p.answers {
		if used[at] {
			continue
		}
		d := matchAnswer(key, want, got)
		if d == "" {
			used[at] = true
			return ""
		}
		// The longest path got furthest.
		if strings.Count(d[:strings.IndexByte(d, ':')], "/") >= strings.Count(problem[:strings.IndexByte(problem, ':')], "/") {
			problem = d
		}
	}
	return problem
}

var exceptionText = regexp.MustCompile(`(?s)^An error occurred \((\w+)\) when calling the \w+ operation: (.*)$`)

// matchAnswer compares an answer with one of the forms in which answers were recorded.
func matchAnswer(key string, want, got jsonvalue.Value) string {
	failed := func(code, message string) string {
		return differ(key, jsonvalue.NewObjectBuilder(2).Set("code", jsonvalue.NewString(code)).
			Set("message", jsonvalue.NewString(message)).Value(), got)
	}
	if e, ok := want.Get("Error"); ok {
		code, _ := e.Get("Code")
		message, _ := e.Get("Message")
		return failed(code.Text(), message.Text())
	}
	text := want
	if v, ok := want.Get("exception_value"); ok {
		text = v
	}
	if m := exceptionText.FindStringSubmatch(text.Text()); m != nil {
		return failed(m[1], m[2])
	}
	if want.Kind() == jsonvalue.String && strings.HasPrefix(want.Text(), "Parameter validation failed") {
		return "" // refused by the recording client itself
	}
	if want.Kind() == jsonvalue.Array {
		for i := range got.Len() {
			if got.At(i).Kind() == jsonvalue.Array {
				return differ(key, want, got.At(i))
			}
		}
	}
	return differ(key, want, got)
}

// sortBranches makes the events of parallel branches comparable, as the recordings did.
func sortBranches(v jsonvalue.Value) jsonvalue.Value {
	events, ok := v.Get("events")
	if !ok {
		return v
	}
	var out, branch []jsonvalue.Value
	inside, parallel := false, false
	for _, e := range events.Items() {
		typ, _ := e.Get("type")
		if typ.Text() == "ParallelStateSucceeded" {
			continue
		}
		if inside && typ.Text() == "ParallelStateExited" {
			inside = false
			slices.SortFunc(branch, func(a, b jsonvalue.Value) int { return strings.Compare(eventKey(a), eventKey(b)) })
			out = append(out, branch...)
		}
		if inside {
			branch = append(branch, e.With("id", jsonvalue.NewInt(0)).With("previousEventId", jsonvalue.NewInt(0)))
			continue
		}
		if typ.Text() == "ParallelStateStarted" {
			inside, parallel = true, true
		}
		out = append(out, e)
	}
	if !parallel {
		return v
	}
	return v.With("events", jsonvalue.NewArray(out))
}

func eventKey(e jsonvalue.Value) string {
	typ, _ := e.Get("type")
	key := typ.Text()
	for i, f := range e.Items() {
		if strings.HasSuffix(e.Key(i), "EventDetails") {
			name, _ := f.Get("name")
			key += " " + name.Text()
		}
	}
	return key
}

// wildcards are what the recordings put in place of values that change.
var wildcards = map[string]bool{"timestamp": true, "datetime": true, "date": true, "start-time": true, "entered-time": true,
	"snf_role_arn": true, "map_run_arn": true, "state_machine_arn": true, "snf_role_arn_t0": true, "snf_role_arn_t1": true, "sfn_role_arn": true,
	"RandomNumberGenerated": true}

var placeholder = regexp.MustCompile(`<(uuid:\d+|json-input:\d+|random_arn_part|request_id|[a-z_-]+:\d+)>|sm_nonexistent_arn|` +
	`ssm_nonexistent_arn|invalid_execution_arn|activity_arn`)

// differ returns the first difference, "" when got is what was recorded.
func differ(path string, want, got jsonvalue.Value) string {
	mismatch := func() string {
		return fmt.Sprintf("%s: want %.300s got %.300s", path, want, got)
	}
	if want.Kind() == jsonvalue.String {
		return differText(want.Text(), got, mismatch)
	}
	if want.Kind() == jsonvalue.Array && got.Kind() == jsonvalue.String {
		// Some recordings hold arrays where the service's answer holds their text.
		if inner, err := jsonvalue.Parse(got.Text()); err == nil {
			got = inner
		}
	}
	if want.Kind() != got.Kind() {
		return mismatch()
	}
	switch want.Kind() {
	case jsonvalue.Object:
		for i, w := range want.Items() {
			key := want.Key(i)
			// AWS began to show the encryption in between the recordings: some have it, some do not.
			if key == "ResponseMetadata" || key == "encryptionConfiguration" {
				continue
			}
			g, ok := got.Get(key)
			if !ok {
				return fmt.Sprintf("%s/%s: want %.200s, is missing", path, key, w)
			}
			if d := differ(path+"/"+key, w, g); d != "" {
				return d
			}
		}
		for i := range got.Len() {
			if _, ok := want.Get(got.Key(i)); !ok {
				return fmt.Sprintf("%s/%s: want nothing, got %.200s", path, got.Key(i), got.At(i))
			}
		}
	case jsonvalue.Array:
		for i := range min(want.Len(), got.Len()) {
			if d := differ(fmt.Sprintf("%s/%d", path, i), want.At(i), got.At(i)); d != "" {
				return d
			}
		}
		if want.Len() != got.Len() {
			return fmt.Sprintf("%s: want %d items, got %d", path, want.Len(), got.Len())
		}
	case jsonvalue.Number:
		if want.IsIntLiteral() != got.IsIntLiteral() || jsonvalue.CompareNumbers(want, got) != 0 {
			return mismatch()
		}
	default:
		if !jsonvalue.Equal(want, got) {
			return mismatch()
		}
	}
	return ""
}

// differText compares a recorded text, whose placeholders match anything.
func differText(want string, got jsonvalue.Value, mismatch func() string) string {
	if wildcards[want] || got.Kind() == jsonvalue.String && got.Text() == want {
		return ""
	}
	if got.Kind() != jsonvalue.String {
		return mismatch()
	}
	pattern, last := "", 0
	for _, at := range placeholder.FindAllStringIndex(want, -1) {
		pattern += regexp.QuoteMeta(want[last:at[0]]) + "(?s:.*)"
		last = at[1]
	}
	pattern += regexp.QuoteMeta(want[last:])
	// A date inside a JSON text has become "date".
	pattern = strings.NewReplacer(`"date"`, `"(date|`+isoTime.String()+`)"`, `\\"date\\"`, `\\"[^"]*\\"`).Replace(pattern)
	if re, err := regexp.Compile("^" + pattern + "$"); err == nil && re.MatchString(got.Text()) {
		return ""
	}
	return mismatch()
}
