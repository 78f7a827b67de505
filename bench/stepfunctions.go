package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/server"
)

// The state machines that are run. The items of the Map are in its definition, so that both contestants get them alike.
const (
	threeStates = `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Result":{"x":1},"Next":"C"},
		"C":{"Type":"Succeed"}}}`
	inlineMap = `{"StartAt":"Items","States":{"Items":{"Type":"Pass","Result":%s,"Next":"Each"},
		"Each":{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"INLINE"},"StartAt":"Item","States":{
			"Item":{"Type":"Pass","End":true}}}}}}`
	oneWait    = `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":31536000,"End":true}}}`
	mapItems   = 1000
	sfnCallers = 64
	machineARN = "arn:aws:states:us-east-1:123456789012:stateMachine:"
)

func (c *sfnClient) create(ctx context.Context, name, definition string) error {
	return c.call(ctx, "CreateStateMachine", map[string]string{
		"name": name, "definition": definition, "roleArn": "arn:aws:iam::123456789012:role/any",
	}, nil)
}

// execute runs executions of a machine and returns how long it took until the last had ended.
func (c *sfnClient) execute(ctx context.Context, machine string, count int) (time.Duration, error) {
	began := time.Now()
	err := inParallel(c.callers, count, func(i int) error {
		return c.call(ctx, "StartExecution", map[string]string{
			"stateMachineArn": machineARN + machine, "name": fmt.Sprintf("%s-%d-%d", machine, began.UnixNano(), i),
			"input": `{"name":"x"}`,
		}, nil)
	})
	if err == nil {
		err = c.await(ctx, machine)
	}
	return time.Since(began), err
}

// await waits until no execution of a machine runs.
func (c *sfnClient) await(ctx context.Context, machine string) error {
	for {
		var open struct{ Executions []struct{ Name string } }
		in := map[string]any{"stateMachineArn": machineARN + machine, "statusFilter": "RUNNING", "maxResults": 1}
		if err := c.call(ctx, "ListExecutions", in, &open); err != nil || len(open.Executions) == 0 {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// inParallel does so many jobs, some at once, and returns the first error.
func inParallel(atOnce, count int, job func(int) error) error {
	var next atomic.Int64
	var first error
	var once sync.Once
	var callers sync.WaitGroup
	for range atOnce {
		callers.Go(func() {
			for i := next.Add(1); i <= int64(count); i = next.Add(1) {
				if err := job(int(i)); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(count))
					return
				}
			}
		})
	}
	callers.Wait()
	return first
}

// stepFunctions measures the embedded service, alone and durable, and moto's server with the same calls.
func (b *bench) stepFunctions(ctx context.Context) (results []result, err error) {
	dir, err := b.folder("sfn")
	if err != nil {
		return nil, err
	}
	theirs := b.startMoto(ctx) // it takes seconds to be ready
	defer func() { err = errors.Join(err, theirs.stop()) }()
	rates, err := b.executionRates(ctx, filepath.Join(dir, "rates.db"), theirs)
	if err != nil {
		return rates, err
	}
	waits, err := b.waitingExecutions(ctx, filepath.Join(dir, "waits.db"))
	return append(rates, waits...), err
}

// startService starts the service on a file.
func startService(ctx context.Context, path string) (*stepfunctions.Service, error) {
	s, err := stepfunctions.New(stepfunctions.Config{DataPath: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

func itemsDefinition() string {
	items := strings.TrimSuffix(strings.Repeat(`{"n":1},`, mapItems), ",")
	return fmt.Sprintf(inlineMap, "["+items+"]")
}

// rate is executions per second.
type rate struct{ small, mapped float64 }

// executionRates runs the two machines here and there, in turns.
func (b *bench) executionRates(ctx context.Context, path string, theirs *moto) (results []result, err error) {
	s, err := startService(ctx, path)
	if err != nil {
		return nil, err
	}
	ours := newSFNClient(s.Endpoint(), sfnCallers)
	defer func() {
		ours.close()
		err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}()
	motoErr := theirs.ready(ctx)
	var own, peer []rate
	for i := range b.profile.repeats {
		r, err := ours.rates(ctx, i, b.profile.executions, 10)
		if err != nil {
			return nil, err
		}
		own = append(own, r)
		if motoErr == nil {
			if r, motoErr = theirs.rates(ctx, 20, 1); motoErr == nil {
				peer = append(peer, r)
			}
		}
	}
	const smallName, mapName = "executions of 3 states", "executions of a Map with 1,000 items"
	small := result{Name: smallName, Value: middle(own, func(r rate) float64 { return r.small }), Unit: "/s"}
	mapped := result{Name: mapName, Value: middle(own, func(r rate) float64 { return r.mapped }), Unit: "/s"}
	if motoErr == nil {
		small = small.times(middle(peer, func(r rate) float64 { return r.small }), "moto").atLeast(100, "at least 100x")
		mapped = mapped.times(middle(peer, func(r rate) float64 { return r.mapped }), "moto")
	}
	small.Note = fmt.Sprintf("from the first request to the end of the last execution, %d callers at once by HTTP; here each is "+
		"durable in SQLite. moto keeps them in memory, and gets one at a time after a reset "+
		"that is not counted: it answers a second start with status 500", sfnCallers)
	if motoErr != nil {
		small.Note += "; moto: not measured: " + motoErr.Error()
	}
	events, err := ours.eventsOfMap(ctx)
	history := result{Name: "history events of these Maps", Value: mapped.Value * float64(events), Unit: "/s"}
	return []result{small, mapped, history}, err
}

// middle is the median of a figure of the repeats.
func middle[T any](rates []T, of func(T) float64) float64 {
	values := make([]float64, len(rates))
	for i, r := range rates {
		values[i] = of(r)
	}
	return median(values)
}

// rates measures both machines once.
func (c *sfnClient) rates(ctx context.Context, round, small, mapped int) (rate, error) {
	var r rate
	for _, m := range []struct {
		name, definition string
		count            int
		into             *float64
	}{{"three", threeStates, small, &r.small}, {"map", itemsDefinition(), mapped, &r.mapped}} {
		if round == 0 {
			if err := c.create(ctx, m.name, m.definition); err != nil {
				return r, err
			}
		}
		took, err := c.execute(ctx, m.name, m.count)
		if err != nil {
			return r, err
		}
		*m.into = float64(m.count) / took.Seconds()
	}
	return r, nil
}

// eventsOfMap counts the events of one execution of the Map.
func (c *sfnClient) eventsOfMap(ctx context.Context) (int, error) {
	var list struct {
		Executions []struct{ ExecutionArn string }
	}
	in := map[string]any{"stateMachineArn": machineARN + "map", "maxResults": 1}
	if err := c.call(ctx, "ListExecutions", in, &list); err != nil || len(list.Executions) == 0 {
		return 0, err
	}
	var last struct{ Events []struct{ ID int } }
	err := c.call(ctx, "GetExecutionHistory", map[string]any{
		"executionArn": list.Executions[0].ExecutionArn, "reverseOrder": true, "maxResults": 1,
	}, &last)
	if err != nil || len(last.Events) == 0 {
		return 0, err
	}
	return last.Events[0].ID, nil
}

// waitingExecutions opens executions that wait, and restarts the service with them.
func (b *bench) waitingExecutions(ctx context.Context, path string) (results []result, err error) {
	s, err := startService(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop(context.WithoutCancel(ctx))) }()
	body := func(fields map[string]string) []byte {
		text, err := json.Marshal(fields)
		if err != nil {
			panic(err) // texts always marshal
		}
		return text
	}
	_, err = s.Invoke(ctx, server.Call{Operation: "CreateStateMachine", Body: body(map[string]string{
		"name": "wait", "definition": oneWait, "roleArn": "arn:aws:iam::123456789012:role/any",
	})})
	if err != nil {
		return nil, err
	}
	before, err := resident()
	if err != nil {
		return nil, err
	}
	err = inParallel(sfnCallers, b.profile.waiting, func(i int) error {
		_, err := s.Invoke(ctx, server.Call{Operation: "StartExecution", Body: body(map[string]string{
			"stateMachineArn": machineARN + "wait", "name": fmt.Sprintf("w-%d", i), "input": `{"order":1234567}`,
		})})
		return err
	})
	if err != nil {
		return nil, err
	}
	after, err := resident()
	if err != nil {
		return nil, err
	}
	if err := s.Stop(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	again, err := startService(ctx, path)
	if err != nil {
		return nil, err
	}
	s = again // it is stopped at the end
	_, err = s.Invoke(ctx, server.Call{Operation: "DescribeExecution", Body: body(map[string]string{
		"executionArn": strings.Replace(machineARN, "stateMachine:", "execution:wait:w-1", 1),
	})})
	took := time.Since(began)
	memory := result{Name: fmt.Sprintf("memory of each of %d waiting executions", b.profile.waiting), Value: max(after-before, 0) / float64(b.profile.waiting), Unit: "B"}
	restart := result{Name: "restart with them, to the first answer", Value: took.Seconds(), Unit: "s"}
	return []result{memory.atMost(2000, "under 2 KB"), restart.atMost(3, "under 3 s")}, err
}

// resident is the memory of this process in bytes, without what the garbage collector can give back.
func resident() (float64, error) {
	debug.FreeOSMemory()
	mb, err := residentMB(os.Getpid())
	return mb * 1e6, err
}
