package triggerer

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gust/dag"
	"gust/runner/attempt/attempttest"
	"gust/runner/executor"
)

func TestHeapSorts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOf(rapid.Int64Range(-50, 50)).Draw(t, "at")
		var h timeHeap
		for i, a := range at {
			h.push(entry{at: a, ref: uint32(i)})
		}
		least := rapid.Int64Range(-50, 50).Draw(t, "least")
		if rapid.Bool().Draw(t, "drop some") {
			h.keep(func(e entry) bool { return e.at >= least })
			at = slices.DeleteFunc(at, func(a int64) bool { return a < least })
		}
		slices.Sort(at)
		for _, want := range at {
			if got := h.pop().at; got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
		}
		if len(h) != 0 {
			t.Fatalf("%d left", len(h))
		}
	})
}

// Slots behave as a map, with few hash values so that chains are long.
func TestSlotsFindEveryAttempt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSlots()
		model := map[dag.Attempt]uint32{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			w := attempttest.Work(fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "task")), "plain", nil)
			a := w.Attempt()
			ref, held := s.find(a)
			want, wanted := model[a]
			if held != wanted || ref != want {
				t.Fatalf("%s: found %d %v, want %d %v", a, ref, held, want, wanted)
			}
			if held {
				version := s.at(ref).version
				s.remove(ref)
				delete(model, a)
				if s.at(ref).version == version {
					t.Fatal("the version stayed")
				}
			} else {
				model[a] = s.add(&w)
			}
		}
		if s.held != len(model) {
			t.Fatalf("%d held, want %d", s.held, len(model))
		}
	})
}

func TestSlotsWithOneHash(t *testing.T) {
	t.Parallel()
	s := newSlots()
	works := make([]executor.Work, 5)
	for i := range works {
		works[i] = attempttest.Work(fmt.Sprint(i), "plain", nil)
		s.add(&works[i])
	}
	// Chain all of them under the first one's hash, as five equal hashes would be.
	s.index = map[uint64]uint32{maphash.Comparable(s.seed, works[0].Attempt()): 5}
	for ref := range uint32(5) {
		s.at(ref).chain = ref
	}
	if ref, ok := s.find(works[0].Attempt()); !ok || ref != 0 {
		t.Errorf("got %d %v", ref, ok)
	}
}

// BenchmarkHeap pushes and pops a million entries per operation.
func BenchmarkHeap(b *testing.B) {
	const n = 1_000_000
	at := make([]int64, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range at {
		at[i] = r.Int64()
	}
	var h timeHeap
	for b.Loop() {
		for i, a := range at {
			h.push(entry{at: a, ref: uint32(i)})
		}
		for len(h) > 0 {
			h.pop()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
