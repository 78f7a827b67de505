package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gust/stepfunctions/journal"
)

func offer(activity string, execution int64) journal.Offer {
	return journal.Offer{Activity: activity, Execution: execution, Task: 1}
}

func TestHubGivesTasksInOrder(t *testing.T) {
	t.Parallel()
	h := newActivityHub()
	for i := range int64(5) {
		h.offer(offer("a", i+1))
		h.offer(offer("a", i+1)) // what is on offer stays where it is
		h.offer(offer("b", i+11))
	}
	h.withdraw(2, 1)
	h.withdraw(99, 1)
	h.giveBack("a", taskRef{7, 1})
	var got []int64
	for {
		ref, waits, full := h.take("a", nil)
		if full {
			t.Fatal("full")
		}
		if waits {
			break
		}
		got = append(got, ref.execution)
	}
	if fmt.Sprint(got) != "[7 1 3 4 5]" {
		t.Error(got)
	}
}

func TestHubGivesPollersTheirTurn(t *testing.T) {
	t.Parallel()
	h := newActivityHub()
	pollers := make([]*poller, 3)
	for i := range pollers {
		pollers[i] = &poller{arn: "a", task: make(chan taskRef, 1)}
		if _, waits, _ := h.take("a", pollers[i]); !waits {
			t.Fatal("a task out of nothing")
		}
	}
	if _, given := h.leave(pollers[1]); given {
		t.Error("a poller was given a task that was not there")
	}
	h.offer(offer("a", 1))
	h.offer(offer("a", 2))
	h.offer(offer("a", 3))
	for i, want := range map[int]int64{0: 1, 2: 2} {
		if ref := <-pollers[i].task; ref.execution != want {
			t.Errorf("poller %d got %v", i, ref)
		}
	}
	if n := h.waiting(); n != 0 {
		t.Errorf("%d pollers wait", n)
	}
	if ref, waits, _ := h.take("a", nil); waits || ref.execution != 3 {
		t.Error(ref, waits)
	}
	if len(h.queues)+len(h.offered) != 0 {
		t.Errorf("left behind: %v %v", h.queues, h.offered)
	}
}

// TestHubAgainstAModel offers, withdraws and takes at random and compares with a plain list.
func TestHubAgainstAModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	h := newActivityHub()
	var model []int64
	next := int64(0)
	for range 20_000 {
		switch r.IntN(3) {
		case 0:
			next++
			h.offer(offer("a", next))
			model = append(model, next)
		case 1:
			if len(model) > 0 {
				i := r.IntN(len(model))
				h.withdraw(model[i], 1)
				model = append(model[:i:i], model[i+1:]...)
			}
		default:
			ref, waits, _ := h.take("a", nil)
			if waits != (len(model) == 0) || !waits && ref.execution != model[0] {
				t.Fatalf("took %v (%v), want %v", ref, waits, model[:min(len(model), 1)])
			}
			if !waits {
				model = model[1:]
			}
		}
		if len(h.offered) != len(model) {
			t.Fatalf("%d tasks on offer, want %d", len(h.offered), len(model))
		}
	}
}

func TestTokensAreRead(t *testing.T) {
	t.Parallel()
	k, other := newTokens([]byte("one")), newTokens([]byte("two"))
	for _, ref := range []taskRef{{1, 1}, {-9_000_000_000, 3}, {1 << 62, 1 << 40}} {
		token := k.make(ref.execution, ref.task)
		if got, ok := k.read(token); !ok || got != ref || token != k.make(ref.execution, ref.task) {
			t.Errorf("%v: %v %v", ref, got, ok)
		}
		if _, ok := other.read(token); ok {
			t.Error("a token of another service was accepted")
		}
		for _, bad := range []string{"", "x", token[:len(token)-4], token + "AAAA", "AAAA" + token[4:]} {
			if got, ok := k.read(bad); ok && bad != token {
				t.Errorf("%q was read as %v", bad, got)
			}
		}
	}
}
