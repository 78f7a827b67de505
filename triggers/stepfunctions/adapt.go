package stepfunctions

import (
	"math"
	"time"

	"gust/connections/awsconn"
)

// Interval is the time to the next look at an execution that is waited for since some time and still runs. The first
// looks come soon and grow with the time waited, so that an execution of seconds is seen to end within about half its
// duration again, and one of hours costs one call per delay. delay is the ceiling. An endpoint that is not AWS has no
// quota and is looked at more often.
func Interval(waited, delay time.Duration, info awsconn.Info) time.Duration {
	least, next := time.Second, waited/2
	if info.Elsewhere() {
		least, next = 100*time.Millisecond, waited/5
	}
	return min(max(next, least), delay)
}

// learnedFrom is how many ends say something about the next.
const learnedFrom = 20

// adapted is interval, which Interval has given, changed by how long executions of the state machine usually take: none
// ends long before the shortest, and most end before the longest.
func adapted(interval, age, delay time.Duration, usual *durations) time.Duration {
	short, long, ok := usual.usual()
	switch {
	case !ok || age > long:
		return interval
	case age < short:
		return min(max(interval, short-age), delay)
	}
	return max(min(interval, (long-short)/20), min(interval, time.Second))
}

// durations remembers how long executions took, as a histogram in which old ones fade.
type durations struct {
	counts [durationSteps]uint16
	total  int
}

const (
	durationSteps = 64
	// faded is how many are counted before all counts are halved.
	faded = 1024
)

// Steps of the histogram are half octaves from 50 ms on; the last one is beyond a year.
const firstStep = 50 * time.Millisecond

func stepOf(d time.Duration) int {
	if d <= firstStep {
		return 0
	}
	return min(int(2*math.Log2(float64(d)/float64(firstStep))), durationSteps-1)
}

// least is the shortest duration of a step.
func leastOf(step int) time.Duration {
	return time.Duration(float64(firstStep) * math.Exp2(float64(step)/2))
}

func (h *durations) add(d time.Duration) {
	if d < 0 {
		return // clocks differ
	}
	h.counts[stepOf(d)]++
	if h.total++; h.total < faded {
		return
	}
	h.total = 0
	for i := range h.counts {
		h.counts[i] /= 2
		h.total += int(h.counts[i])
	}
}

// usual is between which durations most executions end; ok is false while too few have ended.
func (h *durations) usual() (short, long time.Duration, ok bool) {
	if h.total < learnedFrom {
		return 0, 0, false
	}
	return leastOf(h.quantile(0.02)), leastOf(h.quantile(0.98) + 1), true
}

func (h *durations) quantile(q float64) int {
	below := 0
	for i, n := range h.counts {
		if below += int(n); float64(below) > q*float64(h.total) {
			return i
		}
	}
	return durationSteps - 1
}
