package footprint

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// garbage is how much a large heap may grow between two collections, in bytes.
	garbage = 128 << 20
	// leastPercent bounds how often it is collected.
	leastPercent = 20
	// step is the least change that is worth setting.
	step = 5
)

// Bound keeps a large heap from growing to twice its size between two collections: what a million parked waits leave
// behind hardly changes. A heap of less than 128 MB is collected as always. GOGC, when it is set, counts instead.
func Bound() {
	if os.Getenv("GOGC") != "" {
		return
	}
	b := &bound{percent: 100}
	b.collected()
}

// bound is garbage itself: every collection finds it, and it comes back for the next.
type bound struct {
	percent int
	_       [48]byte // large enough not to share a block with others
}

func (b *bound) collected() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if p := percent(live[0].Value.Uint64()); p >= b.percent+step || p <= b.percent-step || p == 100 && b.percent != 100 {
		b.percent = p
		debug.SetGCPercent(p)
	}
	runtime.SetFinalizer(b, (*bound).collected)
}

// percent is by how much a heap of this size may grow.
func percent(live uint64) int {
	return int(max(leastPercent, min(100, garbage*100/max(live, 1))))
}
