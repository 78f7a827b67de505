package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory is what processes hold, as Linux tells it, in MB (10^6 bytes).
//
// residentMB is RSS. sharedMB is PSS: RSS with every page that n processes share counted as 1/n, so that it can be
// summed over processes of one program.
func residentMB(pid int) (float64, error) {
	return kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
}

// peakMB is the highest RSS so far.
func peakMB(pid int) (float64, error) {
	return kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
}

func sharedMB(pid int) (float64, error) {
	return kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss")
}

func kilobytes(path, name string) (float64, error) {
	var kb float64
	text := field(path, name)
	if _, err := fmt.Sscan(text, &kb); err != nil {
		return 0, fmt.Errorf("%s tells no %s (Linux only)", path, name)
	}
	return kb * 1024 / 1e6, nil
}

// processorTime is how long a process has run on a processor, all threads together.
func processorTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, errors.Join(fmt.Errorf("the processor time of process %d is not known (Linux only)", pid), err)
	}
	var sum time.Duration
	for _, file := range files {
		var ns int64
		if _, err := fmt.Sscan(firstLine(file), &ns); err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// children lists the processes that a process has started and that have not ended.
func children(pid int) []int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is well-formed
	var pids []int
	for _, file := range files {
		for _, text := range strings.Fields(firstLine(file)) {
			if pid, err := strconv.Atoi(text); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// descendants are processes and all that they have started, as far as these live.
func descendants(roots []int) []int {
	var all []int
	for _, pid := range roots {
		if firstLine(fmt.Sprintf("/proc/%d/stat", pid)) == "" {
			continue
		}
		all = append(all, pid)
		all = append(all, descendants(children(pid))...)
	}
	return all
}

// processorTicks is how many seconds processes and those of their children that have ended have run on a processor, in
// steps of a hundredth.
func processorTicks(pids []int) float64 {
	sum := 0.0
	for _, pid := range pids {
		// The fields after the name, which may hold anything and ends with the last parenthesis.
		line := firstLine(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
		const userTime, times = 11, 4 // utime, stime, cutime, cstime
		if len(fields) < userTime+times {
			continue // it has just ended
		}
		for _, text := range fields[userTime : userTime+times] {
			if ticks, err := strconv.ParseFloat(text, 64); err == nil {
				sum += ticks / 100
			}
		}
	}
	return sum
}

// sampler watches the memory of a changing set of processes and keeps the highest sum.
type sampler struct {
	peak float64
	stop context.CancelFunc
	done chan struct{}
}

// sampleEvery is a compromise: a look costs a tenth of a millisecond for each process.
const sampleEvery = 20 * time.Millisecond

func startSampler(pids func() []int) *sampler { return startSamplerEvery(sampleEvery, pids) }

func startSamplerEvery(interval time.Duration, pids func() []int) *sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sampler{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for pause(ctx, interval) == nil {
			sum := 0.0
			for _, pid := range pids() {
				if mb, err := sharedMB(pid); err == nil { // otherwise it has just ended
					sum += mb
				}
			}
			s.peak = max(s.peak, sum)
		}
	}()
	return s
}

// end stops watching and returns the highest sum, in MB.
func (s *sampler) end() float64 {
	s.stop()
	<-s.done
	return s.peak
}

// writeFiles writes files into a new folder.
func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
