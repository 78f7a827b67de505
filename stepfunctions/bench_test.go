package stepfunctions_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
	"gust/stepfunctions/server"
)

func benchService(b *testing.B, path string) *stepfunctions.Service {
	b.Helper()
	accept := handlers.Handler{Func: func(context.Context, []byte) ([]byte, error) { return []byte("1"), nil }}
	s, err := stepfunctions.New(stepfunctions.Config{DataPath: path, Logger: slog.New(slog.DiscardHandler),
		Handlers: map[string]handlers.Handler{"work": accept}})
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
	for _, c := range []struct{ what, definition string }{
		{"time", `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":86400,"End":true}}}`},
		{"worker", `{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"` + activityARN + `","End":true}}}`},
		{"token", `{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
			"Parameters":{"FunctionName":"work","Payload.$":"$$.Task.Token"},"End":true}}}`},
	} {
		b.Run(c.what, func(b *testing.B) { benchWaiting(b, c.definition) })
	}
}

func benchWaiting(b *testing.B, definition string) {
	const waiting = 100_000
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "sfn.db")
		s := benchService(b, path)
		if _, err := s.Invoke(context.Background(), server.Call{Operation: "CreateActivity", Body: []byte(`{"name":"act"}`)}); err != nil {
			b.Fatal(err)
		}
		benchCreate(b, s, "wait", definition)
		before := inUse()
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
		for {
			st, err := s.Stats(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			if st.InMemory == 0 {
				break
			}
		}
		b.ReportMetric(float64(inUse()-before)/waiting, "B/waiting")
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
		st, err := again.Stats(context.Background())
		if err != nil || st.InMemory > 0 || st.Executions["RUNNING"] != waiting {
			b.Errorf("%+v %v", st, err)
		}
		if err := again.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWorkers measures the memory of requests that wait for activity tasks: the server's end and the client's
// together, without the kernel's part.
func BenchmarkWorkers(b *testing.B) {
	const activities, each = 8, 500
	s := benchService(b, "")
	for i := range activities {
		if _, err := s.Invoke(context.Background(), server.Call{Operation: "CreateActivity", Body: fmt.Appendf(nil, `{"name":"a%d"}`, i)}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		before := inUse()
		conns := make([]net.Conn, 0, activities*each)
		for i := range activities * each {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint(), "http://"))
			if err != nil {
				b.Fatal(err)
			}
			body := fmt.Sprintf(`{"activityArn":"arn:aws:states:us-east-1:123456789012:activity:a%d"}`, i%activities)
			if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AWSStepFunctions.GetActivityTask\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
				b.Fatal(err)
			}
			conns = append(conns, conn)
		}
		for {
			st, err := s.Stats(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			if st.Workers == activities*each {
				break
			}
		}
		b.ReportMetric(float64(inUse()-before)/(activities*each), "B/worker")
		b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}

// inUse is the memory of the heap and of goroutine stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkExpress measures express executions, each started and run to its end by a synchronous call.
func BenchmarkExpress(b *testing.B) {
	s := benchService(b, "")
	_, err := s.Invoke(context.Background(), server.Call{Operation: "CreateStateMachine",
		Body: fmt.Appendf(nil, `{"name":"x","type":"EXPRESS","definition":%q,"roleArn":%q}`, threePasses, role)})
	if err != nil {
		b.Fatal(err)
	}
	call := server.Call{Operation: "StartSyncExecution", Body: []byte(
		`{"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:x","input":"{\"name\":\"x\"}"}`)}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Invoke(context.Background(), call); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
}
