package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// parked measures what a daemon takes that does nothing but wait, and how long it takes until it waits again after a
// start.
func (b *bench) parked(ctx context.Context) ([]result, error) {
	var results []result
	base := 0.0
	for _, waits := range append([]int{0}, b.profile.parked...) {
		o, err := b.parkMany(ctx, waits)
		if err != nil {
			return results, fmt.Errorf("%d waits: %w", waits, err)
		}
		if waits == 0 {
			base = o.resident
			continue
		}
		name := count(waits) + " waits"
		each := (o.resident - base) * 1e6 / float64(waits)
		memory := result{Name: name + ", memory (RSS)", Value: o.resident, Unit: "MB",
			Note: fmt.Sprintf("at rest; %.0f MB at its peak, %.0f MB without a wait", o.peak, base)}
		recovery := result{Name: name + ", from the start to all parked", Value: o.recovery.Seconds(), Unit: "s"}
		if waits == 1_000_000 {
			memory, recovery = memory.atMost(600, "under 600 MB"), recovery.atMost(10, "under 10 s")
		}
		results = append(results, memory, result{Name: name + ", memory of each", Value: each, Unit: "B"}, recovery)
		b.grow("memory of parked waits", "MB", waits, o.resident-base)
		b.grow("recovery of parked waits", "s", waits, o.recovery.Seconds())
	}
	return results, nil
}

// parkedOutcome is a daemon that waits.
type parkedOutcome struct {
	recovery       time.Duration
	resident, peak float64 // MB
}

// parkMany starts a daemon on so many waits, each a sensor in a run of a hundred or a thousand.
func (b *bench) parkMany(ctx context.Context, waits int) (o parkedOutcome, err error) {
	p := &parkedHome{dagID: "parked", tasks: 100, runs: max(1, waits/100)}
	if waits >= 1_000_000 {
		p.tasks, p.runs = 1000, waits/1000
	}
	yaml := waitYAML(p.dagID, p.tasks, func(int) string {
		return "      operator: DateTimeSensorAsync\n      target_time: \"2100-01-01T00:00:00Z\"\n"
	})
	if waits == 0 {
		p.tasks = 0
		yaml = gustYAML(p.dagID, "", 100, false)
	}
	if err := b.seed(ctx, p, yaml); err != nil {
		return o, err
	}
	d, err := startDaemon(ctx, b.gust, p.home, p.pipelines)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	held, err := d.awaitHeld(ctx, waits)
	if err != nil {
		return o, err
	}
	o.recovery = held.Sub(d.began)
	if err := pause(ctx, b.profile.rest); err != nil {
		return o, err
	}
	if o.resident, err = residentMB(d.pid()); err != nil {
		return o, err
	}
	o.peak, err = peakMB(d.pid())
	return o, err
}
