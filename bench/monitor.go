package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// metrics reads the daemon's metrics: by name, with labels as they are written. It fails while the daemon serves none.
func (d *daemon) metrics(ctx context.Context) (values map[string]float64, err error) {
	const file = "monitor.endpoint" // in the home folder, while they are served
	endpoint := firstLine(filepath.Join(d.home, file))
	if endpoint == "" {
		return nil, fmt.Errorf("the daemon serves no metrics: %s is absent", file)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	values = map[string]float64{}
	scan := bufio.NewScanner(answer.Body)
	for scan.Scan() {
		name, text, found := strings.Cut(scan.Text(), " ")
		if v, err := strconv.ParseFloat(text, 64); found && err == nil {
			values[name] = v
		}
	}
	return values, scan.Err()
}

const parkedMetric = "airflow_triggers_running"

// awaitParked waits until the daemon holds so many waits.
func (d *daemon) awaitParked(ctx context.Context, waits int) error {
	deadline := time.Now().Add(readyWithin)
	for {
		values, err := d.metrics(ctx)
		held, told := values[parkedMetric]
		switch {
		case err == nil && told && held == float64(waits):
			return nil
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("the daemon holds %.0f of %d waits after %s\n%s", held, waits, readyWithin, d.output), err)
		}
		select {
		case <-d.ended:
			return fmt.Errorf("gust scheduler ended: %w\n%s", d.err, d.output)
		default:
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}
