package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// machine is where the figures were taken; without it they mean little.
type machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	MemoryGB   float64 `json:"memory_gb"`
	Kernel     string  `json:"kernel"`
	FileSystem string  `json:"file_system"`
	Go         string  `json:"go"`
	// NewFile is what it takes here to create a folder with a small file in it, in microseconds. Every attempt of a task
	// does that for its log, so it belongs to the machine's part of every figure.
	NewFile float64   `json:"new_file_us"`
	At      time.Time `json:"at"`
	// LoadBefore and LoadAfter are the load averages of the last minute: much more than what bench itself causes means
	// that others were at work.
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

func describeMachine(dir string) machine {
	m := machine{
		CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: runtime.GOOS, FileSystem: fileSystem(dir),
		Go: runtime.Version(), At: time.Now().UTC().Truncate(time.Second), LoadBefore: loadAverage(),
	}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		m.CPU = model
	}
	if release := firstLine("/proc/sys/kernel/osrelease"); release != "" {
		m.Kernel = runtime.GOOS + " " + release
	}
	var kb float64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb); err == nil {
		m.MemoryGB = kb * 1024 / 1e9
	}
	return m
}

func (m machine) String() string {
	disk := m.FileSystem
	if m.NewFile > 0 {
		disk += fmt.Sprintf(" (a new file: %.0f µs)", m.NewFile)
	}
	text := fmt.Sprintf("%s, %d cores, %.0f GB, %s, %s, %s, %s",
		m.CPU, m.Cores, m.MemoryGB, m.Kernel, disk, m.Go, m.At.Format(time.DateTime))
	if m.LoadBefore != "" {
		text += fmt.Sprintf("\nload average %s before, %s after", m.LoadBefore, m.LoadAfter)
	}
	var load float64
	if _, err := fmt.Sscan(m.LoadBefore, &load); err == nil && load > 0.5*float64(m.Cores) {
		text += ": THE MACHINE WAS BUSY, expect worse figures than it can show"
	}
	return text
}

func loadAverage() string {
	load, _, _ := strings.Cut(firstLine("/proc/loadavg"), " ")
	return load
}

// fileSystem is the type of the file system that holds a folder, "unknown" where the system does not tell.
func fileSystem(dir string) string {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "unknown"
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	found, kind := "", "unknown"
	for line := range lines("/proc/mounts") {
		fields := strings.Fields(line) // device, mount point, type, ...
		if len(fields) < 3 {
			continue
		}
		point := fields[1]
		inside := point == "/" || path == point || strings.HasPrefix(path, point+"/")
		if inside && len(point) >= len(found) {
			found, kind = point, fields[2]
		}
	}
	return kind
}

func inMemory(fileSystem string) bool { return fileSystem == "tmpfs" || fileSystem == "ramfs" }

// lines yields the lines of a file, none when it cannot be read.
func lines(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		file, err := os.Open(path)
		if err != nil {
			return
		}
		defer file.Close()
		for scan := bufio.NewScanner(file); scan.Scan(); {
			if !yield(scan.Text()) {
				return
			}
		}
	}
}

func firstLine(path string) string {
	for line := range lines(path) {
		return line
	}
	return ""
}

// field is the value of a "name: value" line, or "".
func field(path, name string) string {
	for line := range lines(path) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
