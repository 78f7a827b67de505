package server

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Effect says what a fault does to a request.
type Effect string

// The effects. Latency and Delay may accompany every other one.
const (
	// Latency only delays the request.
	Latency Effect = "latency"
	// Throttle answers ThrottlingException "Rate exceeded".
	Throttle Effect = "throttle"
	// ServerError answers HTTP 500.
	ServerError Effect = "error"
	// DropBefore closes the connection before the operation has any effect.
	DropBefore Effect = "drop-before"
	// DropAfter carries the operation out and closes the connection without an answer.
	DropAfter Effect = "drop-after"
)

// Fault is a rule: it applies to requests of an operation, as often as it says.
type Fault struct {
	// Operation is the operation's name; empty means every operation.
	Operation string
	// Effect is what happens.
	Effect Effect
	// Delay passes before everything else.
	Delay time.Duration
	// Skip lets that many matching requests pass first.
	Skip int
	// Count is how many requests the fault hits; 0 means all that follow.
	Count int
	// Probability is how likely the fault hits a matching request; 0 means certainly. A request that it misses counts
	// neither for Skip nor for Count.
	Probability float64
}

// Faults are what goes wrong in a server on purpose. The zero value is nothing; it is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	rules []*Fault
	// random decides about rules with a probability.
	random *rand.Rand
	// buckets throttle; nil does not.
	buckets *buckets
	// stale makes answers old; nil does not.
	stale *staleness
}

// SetSeed makes what happens by chance the same each time.
func (f *Faults) SetSeed(seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.random = rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // faults need no secrecy
}

// misses reports whether chance spares a request from a rule. The mutex is held.
func (f *Faults) misses(probability float64) bool {
	if probability <= 0 {
		return false
	}
	if f.random == nil {
		f.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) //nolint:gosec // faults need no secrecy
	}
	return f.random.Float64() >= probability
}

// Set replaces all rules; no arguments end all faults.
func (f *Faults) Set(rules ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
	for _, r := range rules {
		f.rules = append(f.rules, &r)
	}
}

// next picks the fault of a request; nil when there is none.
func (f *Faults) next(operation string) *Fault {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.rules {
		if (r.Operation != "" && r.Operation != operation) || f.misses(r.Probability) {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		hit := *r
		if r.Count > 0 {
			if r.Count--; r.Count == 0 {
				f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
			}
		}
		return &hit
	}
	return nil
}

// before applies what comes before the operation and reports whether the operation is to be carried out.
func (f *Fault) before(w http.ResponseWriter, r *http.Request) bool {
	if f == nil {
		return true
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return false
		}
	}
	switch f.Effect {
	case Throttle:
		writeError(w, Errorf("ThrottlingException", "Rate exceeded"))
	case ServerError:
		writeError(w, &Error{Code: "InternalFailure", Status: http.StatusInternalServerError,
			Message: "The request processing has failed because of an unknown error, exception or failure."})
	case DropBefore:
		drop(w)
	default:
		return true
	}
	return false
}

func (f *Fault) dropsAfter() bool { return f != nil && f.Effect == DropAfter }

// drop closes the connection without an answer.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// HTTP/2 cannot be hijacked; this aborts the stream instead.
		panic(http.ErrAbortHandler)
	}
	_ = conn.Close() // nothing depends on a clean end
}
