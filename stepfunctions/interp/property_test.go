package interp_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/history"
	"gust/stepfunctions/interp"
	"gust/stepfunctions/jsonvalue"
)

// builder makes random machines. Every machine it makes is valid; many of its executions fail.
type builder struct {
	r     *rand.Rand
	names int
}

func (b *builder) name() string {
	b.names++
	return fmt.Sprintf("S%d", b.names)
}

func (b *builder) pick(choices ...string) string { return choices[b.r.IntN(len(choices))] }

// scope makes one to four states in a row.
func (b *builder) scope(depth int) string {
	n := 1 + b.r.IntN(4)
	names := make([]string, n)
	for i := range names {
		names[i] = b.name()
	}
	states := make([]string, n)
	for i := range names {
		next := ""
		if i+1 < n {
			next = names[i+1]
		}
		// An inner scope may not assign the variables of the scopes around it.
		states[i] = fmt.Sprintf("%q:%s", names[i], strings.ReplaceAll(b.state(next, names[n-1], depth), "@", fmt.Sprint(depth)))
	}
	return fmt.Sprintf(`"StartAt":%q,"States":{%s}`, names[0], strings.Join(states, ","))
}

// state makes a state that leads to next, or ends its scope when that is empty. last is the scope's last state.
func (b *builder) state(next, last string, depth int) string {
	end := `"End":true`
	if next != "" {
		end = fmt.Sprintf(`"Next":%q`, next)
	}
	kind := b.r.IntN(10)
	if depth == 0 {
		kind = b.r.IntN(7)
	}
	if b.r.IntN(3) == 0 {
		return `{"QueryLanguage":"JSONata",` + b.jsonata(kind, next, last, end, depth)
	}
	switch {
	case kind == 0 && next != "":
		return fmt.Sprintf(`{"Type":"Choice","Choices":[{"Variable":"$.n","IsNumeric":true,"Assign":{"c@.$":"$"},"Next":%q},
				{"Variable":"$.n","IsPresent":true,"Next":%q}],"Default":%q}`, last, next, next)
	case kind == 1:
		return fmt.Sprintf(`{"Type":"Wait","Seconds":%d,%s}`, b.r.IntN(4), end)
	case kind == 2 && next == "" && b.r.IntN(4) == 0:
		return fmt.Sprintf(`{"Type":"Fail","Error":%q}`, b.pick("E1", "E2"))
	case kind <= 3:
		return fmt.Sprintf(`{"Type":"Pass",%s%s}`, b.pick(``, `"Assign":{"v@.$":"$","n@":1},`, `"ResultPath":"$.p","Result":[1,2,{"n":3}],`,
			`"Parameters":{"n.$":"States.MathRandom(0,9)","id.$":"States.UUID()","all.$":"$"},`, `"OutputPath":"$.n",`), end)
	case kind <= 6:
		return fmt.Sprintf(`{"Type":"Task",%s,%s%s%s}`, b.pick(`"Resource":"arn:aws:lambda:us-east-1:123456789012:function:f"`,
			`"Resource":"arn:aws:states:us-east-1:123456789012:activity:a","HeartbeatSeconds":3`,
			`"Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn":"x","t.$":"$$.Task.Token"}`),
			b.pick(``, `"TimeoutSeconds":5,`, `"ResultPath":"$.t",`, `"ResultSelector":{"n":1,"r.$":"$"},`), b.errors(last), end)
	case kind <= 7:
		branches := make([]string, 1+b.r.IntN(3))
		for i := range branches {
			branches[i] = "{" + b.scope(depth-1) + "}"
		}
		return fmt.Sprintf(`{"Type":"Parallel","Branches":[%s],%s%s}`, strings.Join(branches, ","), b.errors(last), end)
	}
	config := b.pick(`"ProcessorConfig":{"Mode":"INLINE"},`, ``, `"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},`)
	return fmt.Sprintf(`{"Type":"Map","ItemsPath":"$$.Execution.Input.items",%s"ItemProcessor":{%s%s},%s%s}`,
		b.pick(``, `"MaxConcurrency":1,`, `"MaxConcurrency":3,`, `"ItemSelector":{"n.$":"$$.Map.Item.Index","v.$":"$$.Map.Item.Value"},`),
		config, b.scope(depth-1), b.errors(last), end)
}

// jsonata makes a state of the other query language; its object is open already.
func (b *builder) jsonata(kind int, next, last, end string, depth int) string {
	// Some expressions find nothing, some fail.
	output := b.pick(``, `"Output":"{% $states.input %}",`, `"Output":{"n":"{% $states.context.State.Name %}","u":"{% $uuid() %}"},`,
		`"Output":"{% $states.input.nothing %}",`, `"Assign":{"v@":"{% $random() %}"},`, `"Output":"{% $sum($states.input) %}",`)
	switch {
	case kind == 0 && next != "":
		return fmt.Sprintf(`"Type":"Choice","Choices":[{"Condition":"{%% $type($states.input) = 'object' %%}","Output":1,"Next":%q},
			{"Condition":"{%% $states.input.x = 1 %%}","Next":%q}],"Default":%q}`, last, next, next)
	case kind <= 1:
		return fmt.Sprintf(`"Type":"Wait","Seconds":"{%% $count($states.input.*) %%}",%s%s}`, output, end)
	case kind <= 3:
		return fmt.Sprintf(`"Type":"Pass",%s%s}`, output, end)
	case kind <= 6:
		return fmt.Sprintf(`"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",%s%s%s%s}`,
			b.pick(``, `"Arguments":{"at":"{% $now() %}"},`, `"TimeoutSeconds":"{% 2 + 3 %}",`), output, b.jsonataErrors(last), end)
	case kind <= 7:
		return fmt.Sprintf(`"Type":"Parallel","Branches":[{%s},{%s}],%s%s%s}`, b.scope(depth-1), b.scope(depth-1), output,
			b.jsonataErrors(last), end)
	}
	config := b.pick(``, `"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},`)
	return fmt.Sprintf(`"Type":"Map","Items":%s,%s"ItemProcessor":{%s%s},%s%s%s}`,
		b.pick(`"{% $states.context.Execution.Input.items %}"`, `[1,"{% $random() %}",{"n":1}]`, `"{% [1..5] %}"`),
		b.pick(``, `"MaxConcurrency":"{% 1 + 1 %}",`, `"ItemSelector":{"v":"{% $states.context.Map.Item.Value %}","u":"{% $uuid() %}"},`),
		config, b.scope(depth-1), output, b.jsonataErrors(last), end)
}

func (b *builder) jsonataErrors(last string) string {
	return b.pick(``, `"Retry":[{"ErrorEquals":["E1","States.QueryEvaluationError"],"MaxAttempts":1}],`) +
		b.pick(``, fmt.Sprintf(`"Catch":[{"ErrorEquals":["States.ALL"],"Output":{"e":"{%% $states.errorOutput %%}"},"Next":%q}],`, last))
}

// errors makes the handlers of errors of a state.
func (b *builder) errors(last string) string {
	return b.pick(``, ``, `"Retry":[{"ErrorEquals":["E1","States.Timeout"],"MaxAttempts":2,"JitterStrategy":"FULL"}],`) +
		b.pick(``, fmt.Sprintf(`"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Assign":{"err@.$":"$"},"Next":%q}],`, last))
}

// wander plays an execution with random answers to its tasks, until it has ended or nothing happens any more.
func (p *player) wander(r *rand.Rand) {
	p.record(p.x.Start(p.now))
	for i := 0; i < 400; i++ {
		if p.x.Status() != interp.Running {
			if p.x.Status() == interp.Succeeded || r.IntN(3) > 0 {
				return
			}
			p.record(p.x.Handle(interp.Redrive{}, p.now))
			continue
		}
		tasks, runs := p.x.PendingTasks(), p.x.PendingMapRuns()
		if len(tasks)+len(runs) == 0 || r.IntN(6) == 0 {
			if wake := p.x.Wake(); wake.After(p.now) {
				p.now = wake
			}
			p.record(p.x.Handle(interp.Tick{}, p.now))
			continue
		}
		p.now = p.now.Add(time.Duration(r.IntN(1500)) * time.Millisecond)
		if n := r.IntN(len(tasks) + len(runs)); n < len(tasks) {
			p.record(p.x.Handle(answer(r, tasks[n]), p.now))
		} else {
			run := runs[n-len(tasks)]
			if r.IntN(4) > 0 {
				p.record(p.x.Handle(interp.MapRunEnded{ID: run.ID, Output: run.Items.String()}, p.now))
			} else {
				name := "E1"
				p.record(p.x.Handle(interp.MapRunEnded{ID: run.ID, Error: &name}, p.now))
			}
		}
	}
}

func answer(r *rand.Rand, task interp.Task) interp.Event {
	switch r.IntN(8) {
	case 0:
		return interp.TaskFailed{ID: task.ID, Error: "E1"}
	case 1:
		return interp.TaskFailed{ID: task.ID, Error: "E2", Cause: "no"}
	case 2:
		return interp.TaskHeartbeat{ID: task.ID}
	case 3:
		return interp.TaskStarted{ID: task.ID}
	case 4:
		return interp.TaskSubmitted{ID: task.ID, Output: `{"id":7}`}
	}
	return interp.TaskSucceeded{ID: task.ID, Output: task.Input}
}

// TestRandomMachines runs random machines with random answers three times: in one go, and restarted after every step from
// either stored form. The histories must be the same and well formed.
func TestRandomMachines(t *testing.T) {
	t.Parallel()
	ended := map[interp.Status]int{}
	for seed := range uint64(100) {
		b := &builder{r: rand.New(rand.NewPCG(seed, 1))}
		definition, err := jsonvalue.Parse("{" + b.scope(3) + "}")
		if err != nil {
			t.Fatal(err)
		}
		items := make([]string, b.r.IntN(6))
		for i := range items {
			items[i] = fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", b.r.IntN(400)))
		}
		input, err := jsonvalue.Parse(`{"n":1,"items":[` + strings.Join(items, ",") + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		g := &golden{Definition: definition, Input: input}
		var logs [3]string
		for i, how := range []restart{inMemory, fromSnapshot, fromParts} {
			p := newPlayer(t, g, how)
			p.check = true
			p.wander(rand.New(rand.NewPCG(seed, 2)))
			logs[i] = p.log.String()
			ended[p.x.Status()]++
			if how == fromParts && p.x.Status() == interp.Succeeded && len(p.parts) > 0 {
				t.Errorf("seed %d: %d parts are left over", seed, len(p.parts))
			}
		}
		for _, other := range logs[1:] {
			if d := cmp.Diff(logs[0], other); d != "" {
				t.Fatalf("seed %d: a restart changes the history of %s:\n%s", seed, definition, d)
			}
		}
	}
	if ended[interp.Succeeded] < 30 || ended[interp.Failed] < 30 {
		t.Errorf("the machines are too much alike: %v", ended)
	}
}

// wellFormed reports what is wrong with a step's events; last is the id of the event before them.
func wellFormed(events []history.Event, last int64) error {
	for _, e := range events {
		if e.ID != last+1 {
			return fmt.Errorf("event %d follows event %d", e.ID, last)
		}
		last = e.ID
		if e.PreviousID < 0 || e.PreviousID >= e.ID {
			return fmt.Errorf("event %d says it follows %d", e.ID, e.PreviousID)
		}
		if _, err := jsonvalue.Parse(string(e.Append(nil))); err != nil {
			return fmt.Errorf("event %d: %w", e.ID, err)
		}
	}
	return nil
}

// FuzzRestore feeds damaged snapshots: they are refused, or give an execution that goes on without a panic.
func FuzzRestore(f *testing.F) {
	m, found := asl.Parse(`{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[
		{"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.a","MaxConcurrency":2,"ItemProcessor":{"StartAt":"W","States":{
			"W":{"Type":"Wait","Seconds":5,"End":true}}},"End":true}}},
		{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true}}},
		{"StartAt":"D","States":{"D":{"Type":"Map","ItemsPath":"$.a","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED",
			"ExecutionType":"STANDARD"},"StartAt":"X","States":{"X":{"Type":"Pass","End":true}}},"End":true}}}],"End":true}}}`)
	if m == nil {
		f.Fatal(found)
	}
	info := interp.Info{ExecutionARN: "arn:x", MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m",
		Input: `{"a":[1,2,3]}`, StartTime: epoch}
	x, err := interp.New(m, info)
	if err != nil {
		f.Fatal(err)
	}
	x.Start(epoch)
	for range 3 {
		data, err := x.Snapshot()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		x.Handle(interp.Tick{}, epoch.Add(5*time.Second))
		x.Handle(interp.TaskSucceeded{ID: 1, Output: "1"}, epoch.Add(5*time.Second))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := interp.Restore(m, info, data)
		if err != nil {
			return
		}
		for _, ev := range []interp.Event{interp.Tick{}, interp.TaskSucceeded{ID: 1, Output: "1"},
			interp.MapRunEnded{ID: 2, Output: "[]"}, interp.Redrive{}, interp.Tick{}} {
			x.Handle(ev, epoch.Add(time.Hour))
		}
		_ = x.Save()
	})
}
