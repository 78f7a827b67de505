package main

import (
	"context"
	"runtime"

	"gust/dag"
)

const (
	mappedTasks = 10_000
	// mappedLimit is [core] max_map_length of the benchmark's engine.
	mappedLimit = 100_000
)

// mapped measures a task that is mapped over a list of 10,000 items, which a task before it has returned, beside a run
// of as many plain tasks.
func (b *bench) mapped(ctx context.Context) ([]result, error) {
	var plain, mapped, memory []float64
	for range b.profile.repeats {
		s, err := b.runSize(ctx, mappedTasks, 1)
		if err != nil {
			return nil, err
		}
		plain = append(plain, mappedTasks/s.clock.Seconds())
		rate, grown, err := b.runMapped(ctx)
		if err != nil {
			return nil, err
		}
		mapped, memory = append(mapped, rate), append(memory, grown)
	}
	name := number(mappedTasks) + " mapped instances from an XCom"
	rate := result{Name: name, Value: median(mapped), Unit: "tasks/s"}
	return []result{
		rate.slower(median(plain), "plain tasks").atMost(2, "at most 2x slower"),
		{Name: name + ", memory", Value: median(memory), Unit: "bytes/instance"},
	}, nil
}

// runMapped runs a source and the task that is mapped over it, and returns instances a second, and by how many bytes an
// instance the heap had grown when the run was at its largest.
func (b *bench) runMapped(ctx context.Context) (rate, grown float64, err error) {
	d, err := pipeline("mapped", 2, noOps, func(i int) []string {
		if i == 0 {
			return nil
		}
		return []string{taskID(0)}
	})
	if err != nil {
		return 0, 0, err
	}
	source, each := d.Tasks[0], d.Tasks[1]
	source.Operator, source.Params = listOperator, map[string]any{"length": int64(mappedTasks)}
	each.Operator = itemOperator
	each.Mapped = &dag.Mapping{Fields: []dag.MappedField{{Name: "item", Source: &dag.XComRef{TaskID: source.ID, Key: dag.ReturnValue}}}}
	if d.Version, err = d.ContentVersion(); err != nil {
		return 0, 0, err
	}
	dir, err := b.folder(d.ID)
	if err != nil {
		return 0, 0, err
	}
	e, err := startEngine(ctx, dir, noOpParallelism, nil)
	if err != nil {
		return 0, 0, err
	}
	if err := e.deploy(ctx, d); err != nil {
		return 0, 0, withStop(ctx, e, err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	took, err := e.run(ctx, d, 1)
	if err != nil {
		return 0, 0, withStop(ctx, e, err)
	}
	runtime.ReadMemStats(&after)
	e.store.recorded() // forget
	return mappedTasks / took.Seconds(), float64(after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc)) / mappedTasks, withStop(ctx, e, nil)
}
