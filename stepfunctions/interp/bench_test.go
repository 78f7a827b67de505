package interp_test

import (
	"fmt"
	"strings"
	"testing"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/interp"
)

func benchmarked(b *testing.B, definition, input string) (*asl.Machine, interp.Info) {
	b.Helper()
	m, found := asl.Parse(definition)
	if m == nil {
		b.Fatal(found)
	}
	return m, interp.Info{
		ExecutionARN: "arn:aws:states:us-east-1:123456789012:execution:m:e", ExecutionName: "e", MachineName: "m",
		MachineARN: "arn:aws:states:us-east-1:123456789012:stateMachine:m", RoleARN: "arn:aws:iam::123456789012:role/r",
		Region: "us-east-1", Input: input, StartTime: epoch,
	}
}

// BenchmarkThreeStates runs a machine of three states from start to end.
func BenchmarkThreeStates(b *testing.B) {
	m, info := benchmarked(b, `{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"n":1},"ResultPath":"$.a","Next":"B"},
		"B":{"Type":"Choice","Choices":[{"Variable":"$.a.n","NumericEquals":1,"Next":"C"}],"Default":"C"},
		"C":{"Type":"Succeed"}}}`, `{"order":{"id":"o-1","total":12.5},"tags":["a","b"]}`)
	b.ReportAllocs()
	for b.Loop() {
		x, err := interp.New(m, info)
		if err != nil {
			b.Fatal(err)
		}
		x.Start(epoch)
		if x.Status() != interp.Succeeded {
			b.Fatal(x.Status())
		}
	}
}

// BenchmarkWideMap runs an inline Map of 1,000 items in one go.
func BenchmarkWideMap(b *testing.B) {
	m, info := benchmarked(b, `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"P","States":{
		"P":{"Type":"Pass","End":true}}},"End":true}}}`, "["+strings.Repeat(`{"n":1},`, 999)+`{"n":1}]`)
	b.ReportAllocs()
	for b.Loop() {
		x, err := interp.New(m, info)
		if err != nil {
			b.Fatal(err)
		}
		x.Start(epoch)
		for x.Status() == interp.Running {
			x.Handle(interp.Tick{}, epoch)
		}
		if x.Status() != interp.Succeeded {
			b.Fatal(x.Status())
		}
	}
}

// BenchmarkWideMapOfTasks runs an inline Map of tasks whose answers come one by one, and saves the execution after each of
// them. The time and the bytes for each task must not depend on the number of items.
func BenchmarkWideMapOfTasks(b *testing.B) {
	for _, n := range []int{100, 1000, 3000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			item := `{"n":1,"name":"` + strings.Repeat("x", 20) + `"}`
			m, info := benchmarked(b, `{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"StartAt":"T","States":{
				"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}},"End":true}}}`,
				"["+strings.Repeat(item+",", n-1)+item+"]")
			written, tasks := 0, 0
			save := func(x *interp.Execution) {
				s := x.Save()
				written += len(s.State)
				for _, p := range s.Parts {
					written += len(p.Data)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				x, err := interp.New(m, info)
				if err != nil {
					b.Fatal(err)
				}
				pending := x.Start(epoch).Tasks
				save(x)
				for len(pending) > 0 {
					next := x.Handle(interp.TaskSucceeded{ID: pending[0].ID, Output: `{"ok":true}`}, epoch)
					pending = append(pending[1:], next.Tasks...)
					save(x)
					tasks++
				}
				if x.Status() != interp.Succeeded {
					b.Fatal(x.Status())
				}
			}
			b.ReportMetric(float64(written)/float64(tasks), "stored-B/task")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(tasks), "ns/task")
		})
	}
}

// BenchmarkRestore reads a waiting execution back.
func BenchmarkRestore(b *testing.B) {
	m, info := benchmarked(b, `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":3600,"End":true}}}`, `{"order":{"id":"o-1"}}`)
	x, err := interp.New(m, info)
	if err != nil {
		b.Fatal(err)
	}
	x.Start(epoch)
	state := x.Save().State
	b.ReportAllocs()
	for b.Loop() {
		if _, err := interp.Restore(m, info, state); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(state)), "stored-B")
}
