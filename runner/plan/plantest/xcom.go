package plantest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"gust/dag"
	"gust/store"
)

// clearXComs moves what a task instance has pushed to what its earlier tries have pushed.
func (s *Store) clearXComs(key dag.Key) {
	for name, x := range s.xcoms[key] {
		put(s.previous, name, x)
	}
	delete(s.xcoms, key)
}

// putXCom stores a value. One of a try that the same commit leaves behind counts as cleared.
func (s *Store) putXCom(x store.XCom, c *store.Changes) {
	into := s.xcoms
	if slices.Contains(c.XComsClear, x.Key) && slices.ContainsFunc(c.Tasks, func(t store.TaskChange) bool {
		return t.Task.Key == x.Key && x.Try < t.Task.TryNumber
	}) {
		into = s.previous
	}
	put(into, x.Name, x)
}

func put(into map[dag.Key]map[string]store.XCom, name string, x store.XCom) {
	if into[x.Key] == nil {
		into[x.Key] = map[string]store.XCom{}
	}
	into[x.Key][name] = x
}

// XComGet implements store.XComs.
func (s *Store) XComGet(_ context.Context, key dag.Key, name string) (*store.XCom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.xcoms[key][name]; ok {
		return &x, nil
	}
	return nil, store.ErrNotFound
}

// XComMapped implements store.XComs.
func (s *Store) XComMapped(_ context.Context, run dag.RunKey, taskID, name string) ([]store.XCom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []store.XCom
	for key, values := range s.xcoms {
		if x, ok := values[name]; ok && key.Run() == run && key.TaskID == taskID && key.MapIndex >= 0 {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b store.XCom) int { return a.MapIndex - b.MapIndex })
	return out, nil
}

// XComPrevious implements store.XComs.
func (s *Store) XComPrevious(_ context.Context, key dag.Key, name string) (*store.XCom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.previous[key][name]; ok {
		return &x, nil
	}
	return nil, store.ErrNotFound
}

// XComList implements store.XComs.
func (s *Store) XComList(_ context.Context, key dag.Key) ([]store.XCom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []store.XCom
	for _, x := range s.xcoms[key] {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b store.XCom) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// XCom returns a value.
func (s *Store) XCom(key dag.Key, name string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.xcoms[key][name].Value
}
