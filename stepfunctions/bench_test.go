package stepfunctions_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/server"
)

func benchService(b *testing.B, path string) *stepfunctions.Service {
	b.Helper()
	s, err := stepfunctions.New(stepfunctions.Config{DataPath: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func benchCreate(b *testing.B, s *stepfunctions.Service, name, definition string) {
	b.Helper()
	_, err := s.Invoke(context.Background(), server.Call{Operation: "CreateStateMachine",
		Body: fmt.Appendf(nil, `{"name":%q,"definition":%q,"roleArn":%q}`, name, definition, role)})
	if err != nil {
		b.Fatal(err)
	}
}

func benchStart(s *stepfunctions.Service, machine string, n int64) error {
	_, err := s.Invoke(context.Background(), server.Call{Operation: "StartExecution", Body: fmt.Appendf(nil,
		`{"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:%s","name":"e%d","input":"{\"name\":\"x\"}"}`,
		machine, n)})
	return err
}

// BenchmarkExecutions measures whole executions of a machine of three Pass states, each stored durably, started by many
// callers at once.
func BenchmarkExecutions(b *testing.B) {
	s := benchService(b, filepath.Join(b.TempDir(), "sfn.db"))
	benchCreate(b, s, "three", threePasses)
	var n atomic.Int64
	b.SetParallelism(64)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := benchStart(s, "three", n.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
}

// BenchmarkWaiting measures the memory that a waiting execution takes, and how long a restart with all of them takes.
func BenchmarkWaiting(b *testing.B) {
	const waiting = 100_000
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "sfn.db")
		s := benchService(b, path)
		benchCreate(b, s, "wait", `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}`)
		before := heap()
		var n atomic.Int64
		done := make(chan error, 64)
		for range 64 {
			go func() {
				for i := n.Add(1); i <= waiting; i = n.Add(1) {
					if err := benchStart(s, "wait", i); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range 64 {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/waiting, "B/waiting")
		if err := s.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		again, err := stepfunctions.New(stepfunctions.Config{DataPath: path})
		if err != nil {
			b.Fatal(err)
		}
		if err := again.Start(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/restart")
		if err := again.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
