// Package timed is the trigger that waits for a moment.
package timed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gust/triggers"
)

// Kind is the trigger's kind.
const Kind = "timed.moment"

// Args describes the wait for a moment.
type Args struct {
	Moment time.Time `json:"moment"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Register adds the trigger to the registry.
func Register(r *triggers.Registry) error { return r.Register(checker{}) }

type checker struct{}

func (checker) Kind() string { return Kind }

// Key puts all moments together: a look at one costs nothing.
func (checker) Key(raw json.RawMessage) (string, error) {
	_, err := decode(raw)
	return "", err
}

func decode(raw json.RawMessage) (*Args, error) {
	args, err := triggers.Decode[Args](Kind, raw)
	if err != nil {
		return nil, err
	}
	if args.Moment.IsZero() {
		return nil, fmt.Errorf("arguments of a %s trigger: moment is missing", Kind)
	}
	return args, nil
}

// Fire is the event of a moment that has come.
func (checker) Fire(raw json.RawMessage, _ time.Time) (*triggers.Event, error) {
	args, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return triggers.NewEvent(args)
}

// Check fires the waits whose moment has come; the others are looked at again exactly then.
func (checker) Check(_ context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	verdicts := make([]triggers.Verdict, len(waits))
	for i, w := range waits {
		args, err := decode(w.Args)
		switch {
		case err != nil:
			verdicts[i].Err = err
		case now.Before(args.Moment):
			verdicts[i].Again = args.Moment
		default:
			verdicts[i].Event, verdicts[i].Err = triggers.NewEvent(args)
		}
	}
	return verdicts
}
