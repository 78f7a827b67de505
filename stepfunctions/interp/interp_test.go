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
	"gust/stepfunctions/interp"
	"gust/stepfunctions/jsonvalue"
)

var update = flag.Bool("update", false, "rewrite the expected histories")

// golden is a case file: a machine, its input, and what happens from outside.
type golden struct {
	Definition jsonvalue.Value `json:"definition"`
	Input      jsonvalue.Value `json:"input"`
	WaitScale  float64         `json:"waitScale"`
	Express    bool            `json:"express"`
	// MapState makes it a child of a map run.
	MapState string `json:"mapState"`
	// NoActivities makes every activity unknown.
	NoActivities bool        `json:"noActivities"`
	Script       []happening `json:"script"`
}

// happening is one event from outside: an answer to a task or map run unless it says something else.
type happening struct {
	After  string          `json:"after"`
	Task   int64           `json:"task"`
	Output jsonvalue.Value `json:"output"`
	Raw    string          `json:"raw"`
	Error  *string         `json:"error"`
	Cause  *string         `json:"cause"`
	// Event is started, submitted, heartbeat, token (a failure), mapRun, abort or redrive.
	Event  string `json:"event"`
	Worker string `json:"worker"`
	// Items are those whose ItemSelector is evaluated before.
	Items []jsonvalue.Value `json:"items"`
	Key   *string           `json:"key"`
}

func (h *happening) event() interp.Event {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	output := h.Raw
	if output == "" {
		output = h.Output.String()
	}
	switch h.Event {
	case "redrive":
		return interp.Redrive{}
	case "abort":
		return interp.Abort{Error: h.Error, Cause: h.Cause}
	case "started":
		return interp.TaskStarted{ID: h.Task, Worker: h.Worker}
	case "submitted":
		return interp.TaskSubmitted{ID: h.Task, Output: output}
	case "heartbeat":
		return interp.TaskHeartbeat{ID: h.Task}
	case "mapRun":
		return interp.MapRunEnded{ID: h.Task, Output: output, Error: h.Error, Cause: h.Cause}
	}
	if h.Error != nil {
		return interp.TaskFailed{ID: h.Task, Error: text(h.Error), Cause: text(h.Cause), ByToken: h.Event == "token"}
	}
	return interp.TaskSucceeded{ID: h.Task, Output: output}
}

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// player runs a case and writes down everything that comes out of it.
type player struct {
	t       *testing.T
	m       *asl.Machine
	info    interp.Info
	x       *interp.Execution
	now     time.Time
	restart restart
	// parts are those stored of the execution.
	parts map[int64][]byte
	// check also tests that the events are well formed.
	check bool
	log   strings.Builder
}

// restart says how an execution is continued after every step.
type restart int

const (
	inMemory restart = iota
	fromSnapshot
	fromParts
)

func newPlayer(t *testing.T, g *golden, how restart) *player {
	t.Helper()
	m, found := asl.Parse(g.Definition.String())
	if m == nil {
		t.Fatal(found)
	}
	p := &player{t: t, m: m, now: epoch, restart: how, parts: map[int64][]byte{}, info: interp.Info{
		ExecutionARN: "arn:aws:states:us-east-1:123456789012:execution:m:e", ExecutionName: "e", MachineName: "m",
		MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m", RoleARN: "arn:aws:iam::123456789012:role/r",
		Region: "us-east-1", Input: g.Input.String(), StartTime: epoch, WaitScale: g.WaitScale, Express: g.Express,
		MapState: g.MapState, TaskToken: func(id int64) string { return fmt.Sprintf("token-%d", id) },
		ActivityExists: func(string) bool { return !g.NoActivities },
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
	if p.check {
		if err := wellFormed(s.Events, p.x.LastEventID()-int64(len(s.Events))); err != nil {
			p.t.Fatal(err)
		}
	}
	for i := range s.Events {
		e := &s.Events[i]
		line := string(e.Append(nil))
		line = line[strings.Index(line, `"previousEventId":`):]
		_, details, _ := strings.Cut(strings.TrimSuffix(line, "}"), ",")
		fmt.Fprintf(&p.log, "%7.3fs %d<-%d %s %s\n", e.Time.Sub(epoch).Seconds(), e.ID, e.PreviousID, e.Type,
			strings.ReplaceAll(details, `Details":{"truncated":false}`, `Details":...`))
	}
	for _, task := range s.Tasks {
		fmt.Fprintf(&p.log, "         %s\n", describe(task))
	}
	for _, run := range s.MapRuns {
		data, err := json.Marshal(run)
		if err != nil {
			p.t.Fatal(err)
		}
		fmt.Fprintf(&p.log, "         map run %s\n", data)
	}
	if len(s.Cancelled) > 0 {
		fmt.Fprintf(&p.log, "         cancelled %v\n", s.Cancelled)
	}
	p.restore()
}

func describe(task interp.Task) string {
	text := fmt.Sprintf("task %d of %s: %s <- %s", task.ID, task.State, task.Resource.ARN, task.Input)
	if task.Attempt > 0 {
		text += fmt.Sprintf(" attempt=%d", task.Attempt)
	}
	if task.Token != "" {
		text += " token=" + task.Token
	}
	if task.Timeout+task.Heartbeat > 0 {
		text += fmt.Sprintf(" timeout=%v heartbeat=%v", task.Timeout, task.Heartbeat)
	}
	if task.Credentials != "" {
		text += " credentials=" + task.Credentials
	}
	return text
}

// restore continues from what is stored.
func (p *player) restore() {
	p.t.Helper()
	var err error
	switch p.restart {
	case inMemory:
	case fromSnapshot:
		var data []byte
		if data, err = p.x.Snapshot(); err == nil {
			p.x, err = interp.Restore(p.m, p.info, data)
		}
	case fromParts:
		saved := p.x.Save()
		if saved.Clear {
			clear(p.parts)
		}
		var parts []interp.Part
		for _, part := range saved.Parts {
			if p.parts[part.ID] = part.Data; part.Data == nil {
				delete(p.parts, part.ID)
			}
		}
		for id, data := range p.parts {
			parts = append(parts, interp.Part{ID: id, Data: data})
		}
		p.x, err = interp.Restore(p.m, p.info, saved.State, parts...)
	}
	if err != nil {
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
	for _, h := range g.Script {
		d, err := time.ParseDuration(h.After)
		if err != nil {
			p.t.Fatal(err)
		}
		p.advance(p.now.Add(d))
		for i, item := range h.Items {
			v, err := p.x.MapItem(h.Task, int64(i), item, h.Key, "STATE_DATA")
			fmt.Fprintf(&p.log, "         item %d: %s %v\n", i, v, err)
		}
		p.record(p.x.Handle(h.event(), p.now))
	}
	p.advance(epoch.AddDate(0, 10, 0))
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

// TestGoldenHistories plays every case in one go, and restarted after every single step, from a snapshot in one piece and
// from what must be stored. All must give the history in the .want file.
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
			got := newPlayer(t, &g, inMemory).play(&g)
			for _, how := range []restart{fromSnapshot, fromParts} {
				if d := cmp.Diff(got, newPlayer(t, &g, how).play(&g)); d != "" {
					t.Errorf("a restart changes the history:\n%s", d)
				}
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
	p := newPlayer(t, &golden{Definition: d, Input: in}, inMemory)
	return p.x, p.x.Start(epoch)
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
	var histories [3][]string
	for i, how := range []restart{inMemory, fromSnapshot, fromParts} {
		p := newPlayer(t, g, how)
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
	for _, other := range histories[1:] {
		if d := cmp.Diff(histories[0], other); d != "" || len(other) < 300 {
			t.Error(len(other), d)
		}
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
