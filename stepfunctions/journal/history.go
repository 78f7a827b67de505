package journal

import (
	"bytes"
	"context"
	"errors"
)

// History returns up to limit events, one JSON object each: those with ids from first upwards, or, reversed, from first
// downwards.
func (j *Journal) History(ctx context.Context, execution, first int64, reverse bool, limit int) (events [][]byte, err error) {
	p := &page{first: first, reverse: reverse, limit: limit}
	if reverse {
		err = j.chunks(ctx, p, "SELECT first, events FROM history WHERE execution = ? AND first <= ? ORDER BY first DESC", execution)
		if err == nil && !p.full() {
			err = j.chunks(ctx, p, "SELECT 1, opening FROM executions WHERE id = ? AND opening_last IS NOT NULL AND ? >= 1", execution)
		}
		return p.events, err
	}
	if err = j.chunks(ctx, p, "SELECT 1, opening FROM executions WHERE id = ? AND opening_last >= ?", execution); err == nil && !p.full() {
		err = j.chunks(ctx, p, "SELECT first, events FROM history WHERE execution = ? AND last >= ? ORDER BY first", execution)
	}
	return p.events, err
}

// page collects the events of a page.
type page struct {
	first   int64
	reverse bool
	limit   int
	events  [][]byte
}

func (p *page) full() bool { return len(p.events) >= p.limit }

// chunks adds the events in the chunks that a query finds.
func (j *Journal) chunks(ctx context.Context, p *page, query string, execution int64) (err error) {
	rows, err := j.reader.QueryContext(ctx, query, execution, p.first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for !p.full() && rows.Next() {
		var from int64
		var chunk []byte
		if err := rows.Scan(&from, &chunk); err != nil {
			return err
		}
		p.add(from, bytes.Split(bytes.TrimSuffix(chunk, []byte("\n")), []byte("\n")))
	}
	return rows.Err()
}

// add takes the events of a chunk that belong to the page; from is the id of the chunk's first.
func (p *page) add(from int64, lines [][]byte) {
	for i := range lines {
		at := i
		if p.reverse {
			at = len(lines) - 1 - i
		}
		id := from + int64(at)
		wanted := id >= p.first
		if p.reverse {
			wanted = id <= p.first
		}
		if wanted && !p.full() {
			p.events = append(p.events, lines[at])
		}
	}
}
