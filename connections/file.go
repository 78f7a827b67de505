package connections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// FileNames are the connection files that are read from a folder, in order.
var fileNames = [...]string{"connections.yaml", "connections.yml", "connections.json", "connections.env"}

// File is the source of connections in one file, in a format of `airflow connections export`: YAML or JSON, an object
// of connections by id, each an object or a URI; or env, lines of ID=URI or ID=JSON. The file may be absent. It is read
// again when it has changed. One connection that cannot be read does not hide the others.
type File struct {
	path string
	now  func() time.Time

	mu     sync.Mutex
	loaded bool
	stamp  fileStamp
	byID   map[string]fileEntry
	err    error
}

type fileEntry struct {
	conn *Connection
	err  error
}

// fileStamp tells whether a file has changed. A file written less than two seconds before it was read may change again
// within the resolution of its time, so fresh ones are always read.
type fileStamp struct {
	modified time.Time
	size     int64
	fresh    bool
}

// NewFile returns the source for one file.
func NewFile(path string) *File { return &File{path: path, now: time.Now} }

// FilesIn returns the sources for the connection files of a folder: connections.yaml, connections.yml,
// connections.json, connections.env.
func FilesIn(folder string) []Source {
	var sources []Source
	for _, name := range fileNames {
		sources = append(sources, NewFile(filepath.Join(folder, name)))
	}
	return sources
}

// Name is "file" and the file's base name.
func (f *File) Name() string { return "file " + filepath.Base(f.path) }

// Get returns the connection from the file as it is now.
func (f *File) Get(_ context.Context, id string) (*Connection, error) {
	byID, err := f.load()
	if err != nil {
		return nil, err
	}
	entry, ok := byID[id]
	if !ok {
		return nil, nil
	}
	if entry.err != nil {
		return nil, entry.err
	}
	dup := *entry.conn
	return &dup, nil
}

// List returns the ids in the file.
func (f *File) List(context.Context) ([]string, error) {
	byID, err := f.load()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(byID)), nil
}

// Check reads the file and returns every problem in it, joined, in order of the ids.
func (f *File) Check() error {
	byID, err := f.load()
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		errs = append(errs, byID[id].err)
	}
	return errors.Join(errs...)
}

func (f *File) load() (map[string]fileEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.loaded, f.byID, f.err = false, nil, nil
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("connection file: %w", err)
	}
	stamp := fileStamp{modified: info.ModTime(), size: info.Size()}
	if f.loaded && stamp == f.stamp {
		return f.byID, f.err
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("connection file: %w", err)
	}
	f.byID, f.err = readFile(f.path, data)
	stamp.fresh = f.now().Sub(info.ModTime()) < 2*time.Second
	f.stamp, f.loaded = stamp, true
	return f.byID, f.err
}

// readFile reads a connection file; the ending of its name tells the format.
func readFile(path string, data []byte) (map[string]fileEntry, error) {
	shown := filepath.Base(path)
	var n node
	var err error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		n, err = yamlNode(data)
	case ".json":
		n, err = jsonNode(data)
	case ".env":
		return readEnv(shown, data)
	default:
		return nil, fmt.Errorf("%s: unsupported file format; expected a name that ends in .yaml, .yml, .json or .env", shown)
	}
	if err != nil {
		return nil, inFile(shown, err)
	}
	if n.isNull() {
		return map[string]fileEntry{}, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, inFile(shown, n.fail("", "the file holds "+n.kind(), "an object of connections by id"))
	}
	pairs, err := n.pairs()
	if err != nil {
		return nil, inFile(shown, err)
	}
	byID := make(map[string]fileEntry, len(pairs))
	for _, p := range pairs {
		c, err := fromFileValue(p)
		byID[p.key] = fileEntry{conn: c, err: inFile(shown, err)}
	}
	return byID, nil
}

func fromFileValue(p pair) (*Connection, error) {
	if err := CheckID(p.key); err != nil {
		return nil, p.at.fail("", err.Error(), "")
	}
	value := p.value
	if value.Kind == yaml.SequenceNode { // Airflow takes a list of one
		if len(value.Content) != 1 {
			return nil, &FormError{ID: p.key, Line: value.Line, Col: value.Column, Problem: "multiple values", Expected: "one"}
		}
		value = node{value.Content[0]}.resolve()
	}
	if !value.isText() {
		return fromNode(p.key, value)
	}
	c, err := Parse(p.key, value.Value)
	var form *FormError
	if errors.As(err, &form) {
		form.Line, form.Col = value.Line, value.Column
	}
	return c, err
}

func readEnv(shown string, data []byte) (map[string]fileEntry, error) {
	byID := map[string]fileEntry{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
			continue
		}
		id, value, ok := strings.Cut(line, "=")
		problem := ""
		switch {
		case !ok:
			problem = `the line has no "="`
		case strings.TrimSpace(id) == "":
			problem = `nothing stands before "="`
		case strings.TrimSpace(value) == "":
			problem = `nothing stands after "="`
		}
		if problem != "" {
			return nil, &FormError{File: shown, Line: number, Col: 1, Problem: problem, Expected: "ID=URI or ID=JSON"}
		}
		id = strings.TrimSpace(id)
		if _, dup := byID[id]; dup {
			return nil, &FormError{
				File: shown, Line: number, Col: 1, ID: id, Problem: "found multiple values", Expected: "one line for each id",
			}
		}
		at := node{&yaml.Node{
			Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: number, Column: len(id) + 2, Style: yaml.DoubleQuotedStyle,
		}}
		c, err := fromFileValue(pair{key: id, at: at, value: at})
		byID[id] = fileEntry{conn: c, err: inFile(shown, err)}
	}
	return byID, nil
}

func inFile(shown string, err error) error {
	var form *FormError
	if errors.As(err, &form) {
		form.File = shown
	}
	return err
}
