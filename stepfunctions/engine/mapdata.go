package engine

import (
	"errors"
	"io"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/mapitems"
)

// maxHeldBytes is how much of the children's inputs is kept between counting them and starting them. Larger ones are
// read twice.
const maxHeldBytes = 8 << 20

// batchSource gives the inputs of a map run's children in order. It goes through all of them once before the first one is
// given out: totals and percentages need the number of items, and data that cannot be read must start nothing.
type batchSource struct {
	d *mapRunDriver
	x *interp.Execution
	// items and children are how many there are.
	items, children int64

	held []mapitems.Batch
	all  bool
	at   int

	reader  *mapitems.Reader
	batcher *mapitems.Batcher
	ready   []mapitems.Batch
	ended   bool
}

func newBatchSource(d *mapRunDriver) (*batchSource, error) {
	info, err := d.e.info(&d.parent, d.machine.Role)
	if err != nil {
		return nil, err
	}
	s := &batchSource{d: d}
	if s.x, err = interp.Restore(d.machine.Machine, info, d.state); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	size := 0
	for {
		batch, ok, err := s.read()
		if err != nil {
			s.close()
			return nil, err
		}
		if !ok {
			break
		}
		s.items += batch.Items
		s.children++
		if size += len(batch.Input); size <= maxHeldBytes {
			s.held = append(s.held, batch)
		}
	}
	s.close()
	if size <= maxHeldBytes {
		s.all = true
		return s, nil
	}
	s.held = nil
	return s, s.open()
}

// open begins to read the items.
func (s *batchSource) open() (err error) {
	spec := &s.d.spec
	if spec.Reader == nil {
		s.reader, err = mapitems.Values(spec.Items)
	} else {
		r := spec.Reader
		s.reader, err = s.d.e.data.Read(s.d.ctx, mapitems.Source{
			Resource: r.Resource, Parameters: r.Parameters, InputType: r.InputType, Transformation: r.Transformation,
			ManifestType: r.ManifestType, CSVDelimiter: r.CSVDelimiter, CSVHeaderLocation: r.CSVHeaderLocation,
			ItemsPointer: r.ItemsPointer, CSVHeaders: r.CSVHeaders, MaxItems: r.MaxItems,
		})
	}
	if err != nil {
		return err
	}
	var batching *mapitems.Batching
	if b := spec.Batcher; b != nil {
		batching = &mapitems.Batching{MaxItems: b.MaxItems, MaxBytes: b.MaxBytes, Input: b.Input}
	}
	s.batcher, s.ready, s.ended = mapitems.NewBatcher(batching), nil, false
	return nil
}

// read returns the next batch from the data.
func (s *batchSource) read() (b mapitems.Batch, ok bool, err error) {
	for len(s.ready) == 0 {
		if s.ended {
			return b, false, nil
		}
		item, err := s.reader.Next()
		if errors.Is(err, io.EOF) {
			s.ended = true
			if last, ok := s.batcher.Flush(); ok {
				return last, true, nil
			}
			continue
		}
		if err != nil {
			return b, false, err
		}
		value, err := s.x.MapItem(s.d.spec.ID, item.Index, item.Value, item.Key, item.Source)
		if err != nil {
			return b, false, err
		}
		if s.ready, err = s.batcher.Add(value); err != nil {
			return b, false, err
		}
	}
	b, s.ready = s.ready[0], s.ready[1:]
	return b, true, nil
}

// next returns the next batch.
func (s *batchSource) next() (b mapitems.Batch, ok bool, err error) {
	if !s.all {
		return s.read()
	}
	if s.at == len(s.held) {
		return b, false, nil
	}
	b = s.held[s.at]
	s.held[s.at] = mapitems.Batch{}
	s.at++
	return b, true, nil
}

func (s *batchSource) close() {
	if s.reader != nil {
		s.reader.Close()
		s.reader = nil
	}
}

// results writes or collects the results of the children and returns the JSON text of the state's result.
func (d *mapRunDriver) results() (string, error) {
	var writing mapitems.Writing
	if w := d.spec.Writer; w != nil {
		writing = mapitems.Writing{Resource: w.Resource, Parameters: w.Parameters, Transformation: w.Transformation, OutputType: w.OutputType}
	}
	if writing.Resource == "" {
		var results []mapitems.Result
		err := d.e.journal.MapRunChildren(d.e.ctx, d.run.ID, func(c *journal.Execution) error {
			results = append(results, d.result(c))
			return nil
		})
		if err != nil {
			return "", err
		}
		v, err := writing.Collect(results)
		return v.String(), err
	}
	writer, err := d.e.data.NewResultWriter(writing, d.spec.ARN)
	if err != nil {
		return "", err
	}
	err = d.e.journal.MapRunChildren(d.e.ctx, d.run.ID, func(c *journal.Execution) error {
		d.run.Written++
		return writer.Add(d.result(c))
	})
	if err != nil {
		writer.Abandon()
		return "", err
	}
	destination, err := writer.Close()
	if err != nil {
		return "", err
	}
	return destination.Output(d.spec.ARN).String(), nil
}

// result is a child's end for the results.
func (d *mapRunDriver) result(c *journal.Execution) mapitems.Result {
	r := mapitems.Result{
		ExecutionARN: c.ARN, Name: c.Name, StateMachineARN: c.MachineARN, Status: c.Status, Input: c.Input,
		Output: orEmpty(c.Output), Error: c.Error, Cause: c.Cause, Started: c.Started, Stopped: c.Stopped,
		RedriveCount: int64(c.Redrives),
	}
	r.RedriveStatus, r.RedriveStatusReason = RedriveStatus(c, d.e.now())
	return r
}
