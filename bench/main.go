// Command bench measures Gust on this machine and sets every figure against what it can be held to: the limit of the
// machine (bare SQLite, fsync, fork and exec), a peer (Dagu), or a promise of the design.
//
//	go run ./bench                     everything, each figure the median of three or more
//	go run ./bench -profile quick      everything, in less than a minute
//	go run ./bench -only latency,bash  some measurements
//	go run ./bench -only peers         the same work by Airflow and Dagu (make bench-peers)
//	go run ./bench -json               the same as JSON
//
// The engine is the daemon's own: scheduler, plan, local executor, worker, task logs, and SQLite with synchronous=FULL
// on a real disk. Limits are measured in turns with what they limit, so that a busy machine slows both alike. Progress
// goes to standard error, the table to standard output.
//
// Exit code 0: everything was measured, whether the aims were met or not; 1: something could not be measured; 2: usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.As(err, new(usageError)):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// settings is the command line.
type settings struct {
	profile    string
	only       string
	dir        string
	gust       string
	tools      string
	airflow    string
	json       bool
	cpuProfile string
	memProfile string
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.profile, "profile", "full", "quick: most figures once; full: medians, longer loads")
	flags.StringVar(&s.only, "only", "", "measure only these, comma separated: "+strings.Join(names(), ", "))
	flags.StringVar(&s.dir, "dir", "", "where databases and logs go meanwhile; a real disk (default: the temporary folder)")
	flags.StringVar(&s.gust, "gust", "", "the gust binary to measure (default: ./cmd/gust is built)")
	flags.StringVar(&s.tools, "tools", os.Getenv("GUST_TEST_TOOLS"), "where scripts/bench-tools.sh has put the peer")
	flags.StringVar(&s.airflow, "airflow", airflowFolder(), "where scripts/bench-peers.sh has put Airflow")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	flags.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile of this process; choose what with -only")
	flags.StringVar(&s.memProfile, "memprofile", "", "write a profile of its allocations")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return s, err
		}
		return s, usageError{err}
	}
	if flags.NArg() > 0 {
		return s, usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	chosen, err := choose(s.only)
	if err != nil {
		return usageError{err}
	}
	b, err := newBench(s, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	stopProfile, err := profileCPU(s.cpuProfile)
	if err != nil {
		return err
	}
	report := &report{Profile: b.profile.name, Machine: describeMachine(b.dir)}
	var failures []error
	for _, m := range chosen {
		results, err := b.measure(ctx, m)
		if err != nil {
			err = fmt.Errorf("%s: %w", m.name, err)
			failures = append(failures, err)
			results = append(results, result{Name: m.about, Note: "not measured: " + err.Error()})
		}
		report.add(m, results)
		if ctx.Err() != nil {
			break
		}
	}
	report.finish(b)
	failures = append(failures, stopProfile(), profileMemory(s.memProfile))
	if s.json {
		failures = append(failures, report.writeJSON(stdout))
	} else {
		failures = append(failures, report.writeTable(stdout))
	}
	return errors.Join(failures...)
}

// airflowFolder is below the user's cache, as in scripts/bench-peers.sh.
func airflowFolder() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "gust-bench", "airflow")
}

// choose lists the measurements that -only names, in their own order; for "" all but those that are apart.
func choose(only string) ([]measurement, error) {
	if only == "" {
		return slices.DeleteFunc(slices.Clone(measurements), func(m measurement) bool { return m.apart }), nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("-only: there is no measurement %q; expected some of %s", name, strings.Join(names(), ", "))
		}
	}
	unwanted := func(m measurement) bool { return !slices.Contains(wanted, m.name) }
	return slices.DeleteFunc(slices.Clone(measurements), unwanted), nil
}

func profileCPU(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

func profileMemory(path string) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC() // the profile counts up to the latest collection
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
