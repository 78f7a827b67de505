package stepfunctions_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/jsonvalue"
)

// replayFloor is how many recordings pass; the test fails when it becomes fewer.
const replayFloor = 230

// recording is a case recorded from AWS.
type recording struct {
	ID       string            `json:"id"`
	Area     string            `json:"area"`
	Needs    []string          `json:"needs"`
	RawCalls []jsonvalue.Value `json:"calls"`
	Recorded jsonvalue.Value   `json:"recorded"`
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

// readCompletions reads the calls of recordings whose capture broke off before the last call: the recorded answers say
// what else was asked.
func readCompletions(t *testing.T) map[string][]jsonvalue.Value {
	t.Helper()
	data, err := os.ReadFile("testdata/replay-completions.json")
	if err != nil {
		t.Fatal(err)
	}
	var more map[string][]jsonvalue.Value
	if err := json.Unmarshal(data, &more); err != nil {
		t.Fatal(err)
	}
	return more
}

// TestReplay carries out the calls that were recorded against AWS and compares the answers. GUST_SFN_REPLAY, a regular
// expression, restricts it to some recordings.
func TestReplay(t *testing.T) {
	t.Parallel()
	all, more := readRecordings(t), readCompletions(t)
	filter := regexp.MustCompile(os.Getenv("GUST_SFN_REPLAY"))
	all = slices.DeleteFunc(all, func(r recording) bool { return !filter.MatchString(r.ID) })
	problems := make([]string, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 12)
	for i, r := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			problems[i] = replay(t, &r, more[r.ID])
		})
	}
	wg.Wait()
	type score struct{ passed, total int }
	areas := map[string]score{}
	passed := 0
	for i, r := range all {
		sc := areas[r.Area]
		sc.total++
		if problems[i] == "" {
			sc.passed++
			passed++
		} else {
			t.Logf("not passed: %s: %s", r.ID, problems[i])
		}
		areas[r.Area] = sc
	}
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		t.Logf("%-40s %3d of %3d", area, areas[area].passed, areas[area].total)
	}
	t.Logf("%-40s %3d of %3d", "all", passed, len(all))
	if passed < min(replayFloor, len(all)) {
		t.Errorf("%d recordings pass, %d did before", passed, replayFloor)
	}
}

// replayer carries out one recording on a service of its own.
type replayer struct {
	t         *testing.T
	s         *stepfunctions.Service
	arns      map[string]string // placeholder of the recording -> ARN of the service
	started   map[string]int    // executions by machine
	pending   []string          // executions that have not been seen ending
	names     []string          // state machine names in the order of their creation
	answers   []replayAnswer
	histories []jsonvalue.Value
	last      string
	token     jsonvalue.Value
}

// replayAnswer is what a call got.
type replayAnswer struct {
	operation string
	value     jsonvalue.Value
	used      bool
}

// replay returns what differs, "" when everything is as recorded.
func replay(t *testing.T, r *recording, more []jsonvalue.Value) string {
	s, err := stepfunctions.New(stepfunctions.Config{AccountID: replayAccount, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		return err.Error()
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	p := &replayer{t: t, s: s, arns: map[string]string{}, started: map[string]int{}}
	for _, call := range completed(r.RawCalls, more) {
		if problem := p.call(call.At(0).Text(), call.At(1)); problem != "" {
			return problem
		}
	}
	return p.compare(r)
}

// completed adds missing calls before the first one that only cleans up.
func completed(calls, more []jsonvalue.Value) []jsonvalue.Value {
	at := len(calls)
	for at > 0 && (strings.HasPrefix(calls[at-1].At(0).Text(), "delete_") || calls[at-1].At(0).Text() == "list_executions") {
		at--
	}
	return slices.Concat(calls[:at], more, calls[at:])
}

// operationName turns get_execution_history into GetExecutionHistory.
func operationName(snake string) string {
	var b strings.Builder
	for _, part := range strings.Split(snake, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// post sends a request as an AWS client does.
func (p *replayer) post(name, body string) (status int, answer jsonvalue.Value, err error) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.s.Endpoint(), strings.NewReader(body))
	if err != nil {
		return 0, answer, err
	}
	req.Header.Set("X-Amz-Target", "AWSStepFunctions."+operationName(name))
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, answer, err
	}
	text, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		answer, err = jsonvalue.Parse(string(text))
	}
	return res.StatusCode, answer, err
}

func (p *replayer) call(name string, args jsonvalue.Value) string {
	body := args.String()
	for placeholder, arn := range p.arns {
		body = strings.ReplaceAll(body, placeholder, arn)
	}
	if strings.Contains(body, `"NEXT_TOKEN"`) {
		body = strings.ReplaceAll(body, `"NEXT_TOKEN"`, p.token.String())
	}
	if name == "get_execution_history" {
		// The recording's clients asked until the execution had ended.
		if name+body == p.last {
			return ""
		}
		p.last = name + body
		arn, _ := args.Get("executionArn")
		if real := p.arns[arn.Text()]; real != "" {
			return p.settle(real)
		}
	}
	if strings.HasPrefix(name, "delete_") {
		for _, arn := range slices.Clone(p.pending) {
			if problem := p.settle(arn); problem != "" {
				return problem
			}
		}
	}
	status, v, err := p.post(name, body)
	if err != nil {
		return err.Error()
	}
	if token, ok := v.Get("nextToken"); ok {
		p.token = token
	}
	p.note(name, args, status, v)
	return ""
}

// note keeps an answer and learns the names in it.
func (p *replayer) note(name string, args jsonvalue.Value, status int, v jsonvalue.Value) {
	switch {
	case status != http.StatusOK:
		code, _ := v.Get("__type")
		message, _ := v.Get("message")
		v = jsonvalue.NewObjectBuilder(2).Set("code", code).Set("message", message).Value()
	case name == "create_state_machine":
		n, _ := args.Get("name")
		if !slices.Contains(p.names, n.Text()) {
			p.names = append(p.names, n.Text())
		}
	case name == "start_execution":
		arn, _ := v.Get("executionArn")
		i := strings.LastIndexByte(arn.Text(), ':')
		machine := arn.Text()[:i]
		p.started[machine]++
		p.arns[fmt.Sprintf("%s:exec-%08d", machine, p.started[machine])] = arn.Text()
		p.pending = append(p.pending, arn.Text())
	}
	p.answers = append(p.answers, replayAnswer{operation: name, value: p.normalise(v)})
}

var endEvent = regexp.MustCompile(`"type":"Execution(Succeeded|Failed|TimedOut|Aborted)"`)

// settle waits until an execution has ended and keeps its history.
func (p *replayer) settle(arn string) string {
	p.pending = slices.DeleteFunc(p.pending, func(other string) bool { return other == arn })
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, v, err := p.post("get_execution_history", `{"executionArn":"`+arn+`","maxResults":100}`)
		if err != nil {
			return err.Error()
		}
		if endEvent.MatchString(v.String()) || time.Now().After(deadline) {
			p.histories = append(p.histories, p.normalise(v))
			return ""
		}
		select {
		case <-p.t.Context().Done():
			return "the test ended first"
		case <-time.After(5 * time.Millisecond):
		}
	}
}
