// Command gust runs pipelines of batch jobs and Step Functions executions: the scheduler daemon, and Airflow's command
// line over the same state.
//
// Exit codes: 0 success, 1 the operation failed, 2 wrong usage or configuration, 3 a run ended as failed, 4 the thing
// named does not exist, 130 interrupted.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones are part of the binary: a container without zoneinfo schedules the same
)

func main() {
	os.Exit(run())
}

// run is main with a result, so that tests can start the program inside their own process.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return execute(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}

// streams are the program's standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}
