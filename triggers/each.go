package triggers

import (
	"encoding/json"
	"fmt"
	"sync"
)

// Decode reads the arguments of a trigger. What they must hold beyond their types is the checker's to say.
func Decode[A any](kind string, raw json.RawMessage) (*A, error) {
	var args A
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, fmt.Errorf("arguments of a %s trigger: %w", kind, err)
	}
	return &args, nil
}

// Each looks at every wait on its own, so many at a time, and returns when all have been looked at.
func Each(waits []Wait, atOnce int, look func(*Wait) Verdict) []Verdict {
	verdicts := make([]Verdict, len(waits))
	AtOnce(len(waits), atOnce, func(i int) { verdicts[i] = look(&waits[i]) })
	return verdicts
}

// AtOnce does n things, most of them at a time, and returns when all are done.
func AtOnce(n, most int, do func(i int)) {
	gate := make(chan struct{}, most)
	var group sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		group.Go(func() {
			do(i)
			<-gate
		})
	}
	group.Wait()
}
