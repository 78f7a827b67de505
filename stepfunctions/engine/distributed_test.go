package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gust/stepfunctions/journal"
	"gust/stepfunctions/mapitems"
)

// TestMapRunStartsNothingWhileTheEngineCloses: a child that may not be started any more is a start that has ended, or the
// driver, and with it the engine, would wait for it for ever.
func TestMapRunStartsNothingWhileTheEngineCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		e := &Engine{config: &Config{}, ctx: ctx, stop: stop, now: time.Now, closed: true}
		d := &mapRunDriver{e: e, run: &journal.MapRun{}, running: map[int64]int64{}, ctx: ctx}
		results := make(chan error, 1)
		ended := make(chan error)
		go func() {
			d.start(mapitems.Batch{}, results)
			ended <- d.halt(results, true)
		}()
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v; the map run must be left as it is", err)
		}
	})
}
