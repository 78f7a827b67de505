package triggerer

import (
	"fmt"
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

// Slots are found by their subjects, all that have one, however the table grows.
func TestSlotsFindEverySubject(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSlots()
		model := map[uint32]uint64{}
		for i := range rapid.IntRange(0, 300).Draw(t, "steps") {
			// The upper bits tell subjects apart that share a bucket.
			subject := rapid.Uint64Range(0, 20).Draw(t, "subject") << rapid.SampledFrom([]int{0, 40}).Draw(t, "shift")
			if ref := uint32(rapid.IntRange(0, 300).Draw(t, "ref")); model[ref] != 0 && rapid.Bool().Draw(t, "change") {
				if rapid.Bool().Draw(t, "remove") {
					s.remove(ref)
					delete(model, ref)
				} else {
					s.setSubject(ref, subject)
					model[ref] = subject
				}
			} else {
				w := attempttest.Work(fmt.Sprint(i), "plain", nil)
				ref := s.add(&w)
				s.setSubject(ref, subject)
				model[ref] = subject
			}
			want := 0
			for _, m := range model {
				if m == subject && subject != 0 {
					want++
				}
			}
			got := 0
			s.about(subject, func(ref uint32, p *slot) {
				if got++; model[ref] != subject || p.subject != subject {
					t.Fatalf("slot %d is about %d, want %d", ref, p.subject, subject)
				}
			})
			if got != want {
				t.Fatalf("%d slots about %d, want %d", got, subject, want)
			}
		}
	})
}

// Attempts with one hash are told apart.
func TestSlotsWithOneHash(t *testing.T) {
	t.Parallel()
	s := newSlots()
	works := make([]executor.Work, 5)
	for i := range works {
		works[i] = attempttest.Work(fmt.Sprint(i), "plain", nil)
		s.add(&works[i])
	}
	for i := range s.attempts.heads { // one bucket, as equal hashes would have
		s.attempts.heads[i] = 5
	}
	for ref := range uint32(5) {
		s.at(ref).chain = ref
	}
	for i := range works {
		if ref, ok := s.find(works[i].Attempt()); !ok || ref != uint32(i) {
			t.Errorf("got %d %v", ref, ok)
		}
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
