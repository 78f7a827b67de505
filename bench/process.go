package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// memory is what processes hold, as Linux tells it, in MB (10^6 bytes).
//
// residentMB is RSS. sharedMB is PSS: RSS with every page that n processes share counted as 1/n, so that it can be
// summed over processes of one program.
func residentMB(pid int) (float64, error) {
	return kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
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

// sampler watches the memory of a changing set of processes and keeps the highest sum.
type sampler struct {
	mu   sync.Mutex
	pids map[int]bool
	peak float64
	stop context.CancelFunc
	done chan struct{}
}

// sampleEvery is a compromise: a look costs a tenth of a millisecond for each process.
const sampleEvery = 20 * time.Millisecond

func startSampler(pids ...int) *sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sampler{pids: map[int]bool{}, stop: cancel, done: make(chan struct{})}
	for _, pid := range pids {
		s.pids[pid] = true
	}
	go func() {
		defer close(s.done)
		for pause(ctx, sampleEvery) == nil {
			s.sample()
		}
	}()
	return s
}

func (s *sampler) sample() {
	s.mu.Lock()
	pids := slices.Collect(maps.Keys(s.pids))
	s.mu.Unlock()
	sum := 0.0
	for _, pid := range pids {
		if mb, err := sharedMB(pid); err == nil { // otherwise it has just ended
			sum += mb
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peak = max(s.peak, sum)
}

func (s *sampler) add(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pids[pid] = true
}

func (s *sampler) remove(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pids, pid)
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
