package storetest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"gust/dag"
	"gust/store"
)

func testXCom(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	key := NewTask(run.RunKey, "extract").Key
	mapped := key
	mapped.MapIndex = 0
	_, err := s.XComGet(t.Context(), key, "return_value")
	wantError(t, err, store.ErrNotFound, "return_value", "extract")
	_, err = s.XComPrevious(t.Context(), key, "return_value")
	wantError(t, err, store.ErrNotFound, "return_value", "extract")

	b, a := newXCom(key, 1, "b", `{"n": 1}`), newXCom(key, 1, "a", `"ü\u0000"`)
	none, of0 := newXCom(key, 1, "", `null`), newXCom(mapped, 1, "b", `0`)
	Commit(t, s, &store.Changes{XComs: []store.XCom{newXCom(key, 1, "b", `"overwritten"`), b, a, none, of0}})
	got, err := s.XComGet(t.Context(), key, "b")
	noError(t, err)
	equal(t, "XCom", &b, got)
	all, err := s.XComList(t.Context(), key)
	noError(t, err)
	equal(t, "XComs by name", []store.XCom{none, a, b}, all)
	all, err = s.XComList(t.Context(), mapped)
	noError(t, err)
	equal(t, "of the mapped one", []store.XCom{of0}, all)
}

func testXComTries(t *testing.T, s store.Store) {
	key := NewTask(NewRun("orders", 1).RunKey, "start").Key
	other := NewTask(NewRun("orders", 1).RunKey, "other").Key
	push := func(clear bool, xcoms ...store.XCom) {
		t.Helper()
		changes := &store.Changes{XComs: xcoms}
		if clear {
			changes.XComsClear = []dag.Key{key}
		}
		Commit(t, s, changes)
	}
	current := func(name, value string, try int) {
		t.Helper()
		wantXCom(t, func() (*store.XCom, error) { return s.XComGet(t.Context(), key, name) }, value, try)
	}
	previous := func(name, value string, try int) {
		t.Helper()
		wantXCom(t, func() (*store.XCom, error) { return s.XComPrevious(t.Context(), key, name) }, value, try)
	}
	push(false, newXCom(other, 1, "execution_arn", `"untouched"`))
	push(true, newXCom(key, 1, "execution_arn", `"arn1"`), newXCom(key, 1, "only_first", `1`))
	current("execution_arn", `"arn1"`, 1)
	previous("execution_arn", "", 0)

	push(true) // try 2 begins
	current("execution_arn", "", 0)
	previous("execution_arn", `"arn1"`, 1)
	push(false, newXCom(key, 2, "execution_arn", `"arn2"`))
	current("execution_arn", `"arn2"`, 2)
	previous("execution_arn", `"arn1"`, 1)

	push(true) // try 3 begins, pushes nothing and fails
	previous("execution_arn", `"arn2"`, 2)
	previous("only_first", `1`, 1)
	push(true) // try 4 begins
	previous("execution_arn", `"arn2"`, 2)

	// An interrupted attempt is repeated with the same try number.
	push(false, newXCom(key, 4, "execution_arn", `"arn4"`))
	push(true)
	current("execution_arn", "", 0)
	previous("execution_arn", `"arn4"`, 4)
	push(false, newXCom(key, 4, "execution_arn", `"arn4"`))
	current("execution_arn", `"arn4"`, 4)

	all, err := s.XComList(t.Context(), key)
	noError(t, err)
	equal(t, "the current try's", []store.XCom{newXCom(key, 4, "execution_arn", `"arn4"`)}, all)
	x, err := s.XComGet(t.Context(), other, "execution_arn")
	noError(t, err)
	untouched := newXCom(other, 1, "execution_arn", `"untouched"`)
	equal(t, "another task's", &untouched, x)
}

// testXComSameBatch: a try may push, end and be followed by the next before the scheduler commits.
func testXComSameBatch(t *testing.T, s store.Store) {
	run := Started(NewRun("orders", 1), "v1")
	first := InState(NewTask(run.RunKey, "start"), dag.StateRunning)
	CreateRun(t, s, run, first)
	second := first
	second.TryNumber = 2
	between := InState(first, dag.StateUpForRetry)
	get := func(name string) func() (*store.XCom, error) {
		return func() (*store.XCom, error) { return s.XComGet(t.Context(), first.Key, name) }
	}
	previous := func() (*store.XCom, error) { return s.XComPrevious(t.Context(), first.Key, "execution_arn") }
	Commit(t, s, &store.Changes{
		Tasks:      []store.TaskChange{Move(first, between), Move(between, second)},
		XComs:      []store.XCom{newXCom(first.Key, 1, "execution_arn", `"arn1"`), newXCom(first.Key, 2, "fresh", `2`)},
		XComsClear: []dag.Key{first.Key},
	})
	wantXCom(t, get("execution_arn"), "", 0)
	wantXCom(t, previous, `"arn1"`, 1)
	wantXCom(t, get("fresh"), `2`, 2)
}

func testXComLarge(t *testing.T, s store.Store) {
	key := NewTask(NewRun("orders", 1).RunKey, "extract").Key
	large := newXCom(key, 1, "return_value", "")
	large.Value = json.RawMessage(`"` + strings.Repeat("0123456789abcdef", 1<<18) + `"`) // 4 MiB
	Commit(t, s, &store.Changes{XComs: []store.XCom{large}})
	got, err := s.XComGet(t.Context(), key, "return_value")
	noError(t, err)
	if !bytes.Equal(got.Value, large.Value) {
		t.Errorf("a value of %d bytes came back with %d bytes", len(large.Value), len(got.Value))
	}
	small := newXCom(key, 1, "return_value", `1`)
	Commit(t, s, &store.Changes{XComs: []store.XCom{small}})
	got, err = s.XComGet(t.Context(), key, "return_value")
	noError(t, err)
	equal(t, "its successor", &small, got)
}
