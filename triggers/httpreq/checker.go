package httpreq

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"gust/connections"
	"gust/triggers"
)

// Kind is the trigger's kind.
const Kind = "httpreq.response"

// Args describes the wait for a response.
type Args struct {
	Request Request `json:"request"`
	Check   Check   `json:"check"`
	// Again are the beginnings of statuses that mean "not yet" ("404", "5").
	Again []string      `json:"again,omitempty"`
	Pace  triggers.Pace `json:"pace"`
	// Confirm has the last word on a response that meets the conditions; it is for a look on a worker. Nil: nothing more.
	Confirm func(ctx context.Context, r *Response) (unmet string, err error) `json:"-"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Deps is what the trigger needs from the process.
type Deps struct {
	Client      *Client
	Connections connections.Resolver
}

// lookTimeout bounds one look that has no timeout of its own.
const lookTimeout = time.Minute

// Look asks once. It returns "" when the response meets the check, otherwise why not.
func (c *Client) Look(ctx context.Context, resolver connections.Resolver, a *Args) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	r, err := c.Do(ctx, resolver, &a.Request)
	var status *StatusError
	if errors.As(err, &status) {
		text := strconv.Itoa(status.Status)
		if slices.ContainsFunc(a.Again, func(code string) bool { return strings.HasPrefix(text, code) }) {
			return "the status is " + text, nil
		}
	}
	if err != nil {
		return "", err
	}
	if unmet, err := a.Check.Unmet(r); unmet != "" || err != nil || a.Confirm == nil {
		return unmet, err
	}
	return a.Confirm(ctx, r)
}

// Register adds the trigger to the registry.
func Register(r *triggers.Registry, deps Deps) error {
	if deps.Client == nil || deps.Connections == nil {
		return errors.New("triggers/httpreq: Deps needs a Client and Connections")
	}
	return r.Register(&checker{deps})
}

type checker struct{ deps Deps }

func (c *checker) Kind() string { return Kind }

// Key groups the waits for one endpoint.
func (c *checker) Key(raw json.RawMessage) (string, error) {
	a, err := decode(raw)
	if err != nil {
		return "", err
	}
	return a.Request.ConnID + "\x00" + a.Request.Endpoint, nil
}

func decode(raw json.RawMessage) (*Args, error) { return triggers.Decode[Args](Kind, raw) }

// concurrency bounds the requests at one time to one endpoint.
const concurrency = 4

// Check asks for every response once.
func (c *checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	return triggers.Each(waits, concurrency, func(w *triggers.Wait) triggers.Verdict {
		a, err := decode(w.Args)
		if err != nil {
			return triggers.Verdict{Err: err}
		}
		return c.verdict(ctx, now, a)
	})
}

func (c *checker) verdict(ctx context.Context, now time.Time, a *Args) triggers.Verdict {
	unmet, err := c.deps.Client.Look(ctx, c.deps.Connections, a)
	switch {
	case ctx.Err() != nil:
		return triggers.Verdict{Again: now}
	case err != nil:
		return triggers.Verdict{Err: err}
	case unmet != "":
		return triggers.Verdict{Again: now.Add(a.Pace.Next(now))}
	}
	event, err := c.Fire(nil, now)
	return triggers.Verdict{Event: event, Err: err}
}

// Fire is the event of every good end.
func (c *checker) Fire(json.RawMessage, time.Time) (*triggers.Event, error) {
	return triggers.NewEvent(struct {
		Status string `json:"status"`
	}{"success"})
}
