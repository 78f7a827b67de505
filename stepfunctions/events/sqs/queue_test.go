package sqs

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func duration(d time.Duration) *time.Duration { return &d }

func bodies(got []delivery) (text string) {
	for _, d := range got {
		text += d.body
	}
	return text
}

// inBubble runs a test in fake time with a fresh queue.
func inBubble(t *testing.T, test func(t *testing.T, q *queue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newQueue("q", defaultSettings(), make(chan struct{})))
	})
}

func receive(t *testing.T, q *queue, n int, visibility, wait *time.Duration) []delivery {
	t.Helper()
	got, over := q.receive(t.Context(), n, visibility, wait)
	if over {
		t.Fatal("too many in flight")
	}
	return got
}

func TestOrderAndVisibility(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, q *queue) {
		for _, body := range []string{"a", "b", "c"} {
			q.send(body, nil, nil)
		}
		first := receive(t, q, 2, duration(10*time.Second), nil)
		if bodies(first) != "ab" || first[0].received != 1 {
			t.Errorf("got %s", bodies(first))
		}
		if got := receive(t, q, 10, nil, nil); bodies(got) != "c" {
			t.Errorf("got %s", bodies(got))
		}
		for range 2 {
			if !q.remove(first[0].handle) {
				t.Error("a message cannot be deleted, or not twice")
			}
		}
		time.Sleep(10 * time.Second)
		again := receive(t, q, 10, nil, nil)
		if bodies(again) != "b" || again[0].received != 2 || again[0].id != first[1].id {
			t.Errorf("after the visibility timeout: %s", bodies(again))
		}
		// The handle of an earlier reception does not delete the message.
		if !q.remove(first[1].handle) {
			t.Error("an old handle is no handle")
		}
		time.Sleep(30 * time.Second)
		if got := receive(t, q, 10, nil, nil); bodies(got) != "cb" && bodies(got) != "bc" {
			t.Errorf("after the queue's own visibility timeout: %s", bodies(got))
		}
		if visible, flying, delayed := q.counts(); visible != 0 || flying != 2 || delayed != 0 {
			t.Errorf("counts %d %d %d", visible, flying, delayed)
		}
	})
}

func TestChangeVisibility(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, q *queue) {
		q.send("a", nil, nil)
		got := receive(t, q, 1, nil, nil)
		if ok, flying := q.changeVisibility(got[0].handle, time.Minute); !ok || !flying {
			t.Fatal("not in flight")
		}
		time.Sleep(59 * time.Second)
		if got := receive(t, q, 1, nil, nil); len(got) != 0 {
			t.Error("visible before its time")
		}
		time.Sleep(time.Second)
		got = receive(t, q, 1, nil, nil)
		if len(got) != 1 {
			t.Fatal("not visible again")
		}
		if ok, flying := q.changeVisibility(got[0].handle, 0); !ok || !flying {
			t.Fatal("not in flight")
		}
		if ok, flying := q.changeVisibility(got[0].handle, 0); !ok || flying {
			t.Error("a visible message counts as in flight")
		}
		if got := receive(t, q, 1, nil, nil); len(got) != 1 {
			t.Error("not visible at once")
		}
		if ok, _ := q.changeVisibility("x", 0); ok {
			t.Error("any text is a handle")
		}
	})
}

func TestLongPolls(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, q *queue) {
		start := time.Now()
		if got := receive(t, q, 1, nil, duration(20*time.Second)); len(got) != 0 || time.Since(start) != 20*time.Second {
			t.Errorf("%d messages after %v", len(got), time.Since(start))
		}
		results := make(chan time.Duration, 1)
		go func() {
			begun := time.Now()
			got, _ := q.receive(t.Context(), 1, duration(time.Second), duration(20*time.Second))
			if bodies(got) != "late" {
				t.Errorf("got %q", bodies(got))
			}
			results <- time.Since(begun)
		}()
		time.Sleep(5 * time.Second)
		q.send("late", nil, duration(2*time.Second))
		if waited := <-results; waited != 7*time.Second {
			t.Errorf("a poll waited %v for a message that was sent after 5 s with a delay of 2 s", waited)
		}
		// A poll also wakes for a message that becomes visible again.
		begun := time.Now()
		if got := receive(t, q, 1, nil, duration(20*time.Second)); bodies(got) != "late" || time.Since(begun) != time.Second {
			t.Errorf("%q after %v", bodies(got), time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if got, _ := q.receive(ctx, 1, nil, duration(20*time.Second)); len(got) != 0 || time.Since(begun) != time.Second {
			t.Errorf("a cancelled poll went on for %v", time.Since(begun))
		}
	})
}

func TestDelayRetentionAndPurge(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, q *queue) {
		q.settings.delay, q.settings.retention = 3*time.Second, time.Minute
		q.send("a", nil, nil)
		q.send("b", nil, duration(0))
		if visible, _, delayed := q.counts(); visible != 1 || delayed != 1 {
			t.Errorf("%d visible, %d delayed", visible, delayed)
		}
		time.Sleep(61 * time.Second)
		q.send("c", nil, duration(0))
		if got := receive(t, q, 10, nil, nil); bodies(got) != "c" {
			t.Errorf("got %q, the others are too old", bodies(got))
		}
		q.send("d", nil, duration(0))
		q.purge()
		if visible, flying, _ := q.counts(); visible != 0 || flying != 0 || len(receive(t, q, 1, nil, nil)) != 0 {
			t.Error("something is left")
		}
	})
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, q *queue) {
		dead := newQueue("dead", defaultSettings(), q.stopped)
		q.settings.deadLetters, q.settings.maxReceives = dead, 2
		q.send("a", nil, nil)
		for range 2 {
			if got := receive(t, q, 1, duration(time.Second), nil); len(got) != 1 {
				t.Fatal("not received")
			}
			time.Sleep(time.Second)
		}
		if got := receive(t, q, 1, nil, nil); len(got) != 0 {
			t.Error("received a third time")
		}
		if got := receive(t, dead, 1, nil, nil); bodies(got) != "a" {
			t.Error("not among the dead letters")
		}
	})
}

func TestInFlightLimit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, q *queue) {
		for i := range maxInFlight + 1 {
			q.send(strconv.Itoa(i), nil, nil)
		}
		for range maxInFlight / 10 {
			receive(t, q, 10, nil, nil)
		}
		if _, over := q.receive(t.Context(), 1, nil, nil); !over {
			t.Error("there is no limit")
		}
	})
}
