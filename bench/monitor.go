package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// metrics reads the daemon's metrics: by name, with labels as they are written.
func (d *daemon) metrics(ctx context.Context) (map[string]float64, error) {
	values := map[string]float64{}
	err := d.ask(ctx, "/metrics", func(body io.Reader) error {
		scan := bufio.NewScanner(body)
		for scan.Scan() {
			name, text, found := strings.Cut(scan.Text(), " ")
			if v, err := strconv.ParseFloat(text, 64); found && err == nil {
				values[name] = v
			}
		}
		return scan.Err()
	})
	return values, err
}

// ask reads something that the daemon serves about itself.
func (d *daemon) ask(ctx context.Context, path string, read func(io.Reader) error) (err error) {
	const file = "monitor.endpoint" // in the home folder
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, firstLine(filepath.Join(d.home, file))+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, d.output)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return read(answer.Body)
}

// parkedMetric counts what the trigger loop holds. It is read anew every two seconds only, so the moment when it is first
// asked for is chosen.
const parkedMetric = "airflow_triggers_running"

// awaitParked waits until so many tasks are parked, as the database has it.
func (d *daemon) awaitParked(ctx context.Context, waits int) error {
	return d.until(ctx, fmt.Sprintf("%d waits are in the database", waits), func() (bool, error) {
		parked, err := countDeferred(ctx, d.home)
		return parked == waits, err
	})
}

// awaitHeld waits until a daemon that has just started holds all waits of its database, and returns when that was. The
// loop that holds them takes things up in their order: when it tells about one wait, it has taken up all.
func (d *daemon) awaitHeld(ctx context.Context, waits int) (at time.Time, err error) {
	if waits > 0 {
		err := d.until(ctx, "a wait is looked at", func() (bool, error) {
			var list []struct {
				NextCheck time.Time `json:"next_check"`
			}
			err := d.ask(ctx, "/api/v2/monitor/triggers?limit=1", func(body io.Reader) error { return json.NewDecoder(body).Decode(&list) })
			return len(list) == 1 && !list[0].NextCheck.IsZero(), err
		})
		if err != nil {
			return at, err
		}
	}
	at = time.Now()
	err = d.until(ctx, fmt.Sprintf("%d waits are held", waits), func() (bool, error) {
		values, err := d.metrics(ctx)
		if err != nil || values[parkedMetric] == float64(waits) {
			return true, err
		}
		at = time.Now() // they come later than expected
		return false, nil
	})
	return at, err
}

// until asks again and again. It fails when the daemon ends.
func (d *daemon) until(ctx context.Context, what string, done func() (bool, error)) error {
	for deadline := time.Now().Add(readyWithin); ; {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-d.ended:
			return fmt.Errorf("gust scheduler ended: %w\n%s", d.err, d.output)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s it is not so that %s\n%s", readyWithin, what, d.output)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}
