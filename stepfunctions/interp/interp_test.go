package interp_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/jsonvalue"
)

var update = flag.Bool("update", false, "rewrite the expected histories")

// golden is a case file: a machine, its input, and what happens from outside.
type golden struct {
	Definition jsonvalue.Value `json:"definition"`
	Input      jsonvalue.Value `json:"input"`
	WaitScale  float64         `json:"waitScale"`
	Script     []struct {
		After   string          `json:"after"`
		Task    int64           `json:"task"`
		Output  jsonvalue.Value `json:"output"`
		Raw     string          `json:"raw"`
		Error   *string         `json:"error"`
		Cause   *string         `json:"cause"`
		Abort   bool            `json:"abort"`
		Redrive bool            `json:"redrive"`
	} `json:"script"`
}

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// player runs a case and writes down everything that comes out of it.
type player struct {
	t       *testing.T
	m       *asl.Machine
	info    interp.Info
	x       *interp.Execution
	now     time.Time
	restart bool
	log     strings.Builder
}

func newPlayer(t *testing.T, g *golden, restart bool) *player {
	t.Helper()
	m, found := asl.Parse(g.Definition.String())
	if m == nil {
		t.Fatal(found)
	}
	p := &player{t: t, m: m, now: epoch, restart: restart, info: interp.Info{
		ExecutionARN: "arn:aws:states:us-east-1:123456789012:execution:m:e", ExecutionName: "e", MachineName: "m",
		MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m", RoleARN: "arn:aws:iam::123456789012:role/r",
		Region: "us-east-1", Input: g.Input.String(), StartTime: epoch, WaitScale: g.WaitScale,
	}}
	x, err := interp.New(m, p.info)
	if err != nil {
		t.Fatal(err)
	}
	p.x = x
	return p
}

// record writes a step and, when restarts are played, continues from a snapshot.
func (p *player) record(s *interp.Step) {
	p.t.Helper()
	for i := range s.Events {
		e := &s.Events[i]
		line := string(e.Append(nil))
		line = line[strings.Index(line, `"previousEventId":`):]
		_, details, _ := strings.Cut(strings.TrimSuffix(line, "}"), ",")
		fmt.Fprintf(&p.log, "%7.3fs %d<-%d %s %s\n", e.Time.Sub(epoch).Seconds(), e.ID, e.PreviousID, e.Type,
			strings.ReplaceAll(details, `Details":{"truncated":false}`, `Details":...`))
	}
	for _, task := range s.Tasks {
		fmt.Fprintf(&p.log, "         task %d of %s: %s <- %s\n", task.ID, task.State, task.Resource.ARN, task.Input)
	}
	if len(s.Cancelled) > 0 {
		fmt.Fprintf(&p.log, "         cancelled %v\n", s.Cancelled)
	}
	if !p.restart {
		return
	}
	data, err := p.x.Snapshot()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.x, err = interp.Restore(p.m, p.info, data); err != nil {
		p.t.Fatal(err)
	}
}

// advance lets time pass, waking the execution whenever it wants.
func (p *player) advance(until time.Time) {
	for range 1000 {
		wake := p.x.Wake()
		if wake.IsZero() || wake.After(until) {
			break
		}
		p.now = wake
		p.record(p.x.Handle(interp.Tick{}, p.now))
	}
	p.now = until
}

func (p *player) play(g *golden) string {
	p.record(p.x.Start(p.now))
	for _, s := range g.Script {
		d, err := time.ParseDuration(s.After)
		if err != nil {
			p.t.Fatal(err)
		}
		p.advance(p.now.Add(d))
		var ev interp.Event
		switch {
		case s.Redrive:
			ev = interp.Redrive{}
		case s.Abort:
			ev = interp.Abort{Error: s.Error, Cause: s.Cause}
		case s.Error != nil:
			ev = interp.TaskFailed{ID: s.Task, Error: *s.Error, Cause: *s.Cause}
		case s.Raw != "":
			ev = interp.TaskSucceeded{ID: s.Task, Output: s.Raw}
		default:
			ev = interp.TaskSucceeded{ID: s.Task, Output: s.Output.String()}
		}
		p.record(p.x.Handle(ev, p.now))
	}
	p.advance(epoch.AddDate(1, 0, 0))
	name, cause := p.x.Failure()
	fmt.Fprintf(&p.log, "%s output=%s error=%s cause=%s pending=%d\n", p.x.Status(), show(p.x.Output()), show(name),
		show(cause), len(p.x.PendingTasks()))
	return p.log.String()
}

func show(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// TestGoldenHistories plays every case twice: in one go, and restarted from a snapshot after every single step. Both must
// give the history in the .want file.
func TestGoldenHistories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d case files (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(data, &g); err != nil {
				t.Fatal(err)
			}
			got := newPlayer(t, &g, false).play(&g)
			if d := cmp.Diff(got, newPlayer(t, &g, true).play(&g)); d != "" {
				t.Errorf("a restart changes the history:\n%s", d)
			}
			wantFile := strings.TrimSuffix(file, ".json") + ".want"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func start(t *testing.T, definition, input string) (*interp.Execution, *interp.Step) {
	t.Helper()
	d, err := jsonvalue.Parse(definition)
	if err != nil {
		t.Fatal(err)
	}
	in, err := jsonvalue.Parse(input)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlayer(t, &golden{Definition: d, Input: in}, false)
	return p.x, p.x.Start(epoch)
}

func TestEndlessLoopRunsOutOfHistory(t *testing.T) {
	t.Parallel()
	x, s := start(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},
		"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsNull":false,"Next":"A"}],"Default":"End"},"End":{"Type":"Succeed"}}}`,
		`{"x":1}`)
	events, steps := len(s.Events), 1
	for x.Status() == interp.Running {
		if wake := x.Wake(); !wake.Equal(epoch) {
			t.Fatalf("the loop wants to go on at %v", wake)
		}
		s = x.Handle(interp.Tick{}, epoch)
		events += len(s.Events)
		steps++
	}
	last := s.Events[len(s.Events)-1]
	_, cause := x.Failure()
	if x.Status() != interp.Failed || events != history.MaxEvents || steps < 5 || last.ID != history.MaxEvents ||
		last.Type != history.ExecutionFailed ||
		show(cause) != "The execution reached the maximum number of history events (25000)." {
		t.Errorf("%s after %d events, the last is %d %s, cause %s", x.Status(), events, last.ID, last.Type, show(cause))
	}
}

// TestLongStepsAreCutShort runs a loop over large data: no step may hold much more than a few megabytes, and a restart between
// the steps changes nothing.
func TestLongStepsAreCutShort(t *testing.T) {
	t.Parallel()
	d, err := jsonvalue.Parse(`{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[
		{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Next":"C"},"C":{"Type":"Pass","End":true}}},
		{"StartAt":"D","States":{"D":{"Type":"Pass","Next":"E"},"E":{"Type":"Pass","Next":"F"},"F":{"Type":"Pass","End":true}}}],
		"ResultPath":null,"Next":"Q"},"Q":{"Type":"Choice","Choices":[{"Variable":"$","IsNull":false,"Next":"P"}],"Default":"Q"}}}`)
	if err == nil {
		d, err = jsonvalue.Parse(strings.Replace(d.String(), `"Default":"Q"`, `"Default":"Z"`, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	states, _ := d.Get("States")
	end := jsonvalue.NewObjectBuilder(1).Set("Type", jsonvalue.NewString("Succeed")).Value()
	g := &golden{Definition: d.With("States", states.With("Z", end)), Input: jsonvalue.NewString(strings.Repeat("x", 100_000))}
	var histories [2][]string
	for i, restart := range []bool{false, true} {
		p := newPlayer(t, g, restart)
		s := p.x.Start(epoch)
		for range 10 {
			size := 0
			for k := range s.Events {
				size += s.Events[k].Details.Size()
				histories[i] = append(histories[i], fmt.Sprint(s.Events[k].PreviousID, s.Events[k].Type))
			}
			if size > 5<<20 {
				t.Errorf("a step of %d bytes", size)
			}
			p.record(&interp.Step{}) // restarts
			s = p.x.Handle(interp.Tick{}, epoch)
		}
	}
	if d := cmp.Diff(histories[0], histories[1]); d != "" || len(histories[0]) < 300 {
		t.Error(len(histories[0]), d)
	}
}

func TestPayloadLimits(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 150_000)
	// Two copies do not fit any more.
	x, _ := start(t, `{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$"},"End":true}}}`, `"`+big+`"`)
	name, cause := x.Failure()
	if show(name) != asl.ErrDataLimitExceeded || show(cause) !=
		"The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit." {
		t.Errorf("state output: %s %s", show(name), show(cause))
	}
	task := `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
		"Catch":[{"ErrorEquals":["States.DataLimitExceeded"],"Next":"C"}],"End":true},"C":{"Type":"Pass","End":true}}}`
	x, _ = start(t, task, `{}`)
	s := x.Handle(interp.TaskSucceeded{ID: 1, Output: `"` + big + big + `"`}, epoch)
	if x.Status() != interp.Succeeded || s.Events[0].Type != history.LambdaFunctionFailed {
		t.Errorf("task result: %s, first event %s", x.Status(), s.Events[0].Type)
	}
}

func TestAnswersOfNobodysTasksChangeNothing(t *testing.T) {
	t.Parallel()
	x, _ := start(t, `{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",
		"End":true}}}`, `{}`)
	for _, ev := range []interp.Event{interp.TaskSucceeded{ID: 7, Output: "1"}, interp.TaskFailed{ID: 0}, interp.Tick{}} {
		if s := x.Handle(ev, epoch); len(s.Events)+len(s.Tasks) > 0 {
			t.Errorf("%T gave %v", ev, s.Events)
		}
	}
	if s := x.Handle(interp.TaskSucceeded{ID: 1, Output: "1"}, epoch); x.Status() != interp.Succeeded || len(s.Events) != 3 {
		t.Errorf("%s %v", x.Status(), s.Events)
	}
	if s := x.Handle(interp.Abort{}, epoch); len(s.Events) > 0 || x.Status() != interp.Succeeded {
		t.Error("a closed execution was aborted")
	}
}
