package sqlquery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gust/connections"
	"gust/connections/sqlconn"
	"gust/triggers"
)

// Kind is the trigger's kind.
const Kind = "sqlquery.condition"

// Args describes the wait for an answer.
type Args struct {
	sqlconn.Target
	SQL    string        `json:"sql"`
	Params any           `json:"params,omitempty"`
	Check  Check         `json:"check"`
	Pace   triggers.Pace `json:"pace"`
	// Holds calls the Python functions of Check, on a worker; nil: there are none.
	Holds Holds `json:"-"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// lookTimeout bounds one look of a parked wait: a slow query holds up the other waits for its database.
const lookTimeout = 2 * time.Minute

// Look asks once. It returns "" when the answer ends the wait, otherwise why not.
func Look(ctx context.Context, pool *sqlconn.Pool, r connections.Resolver, a *Args) (unmet string, err error) {
	statements, err := pool.Split(ctx, r, a.Target, a.SQL)
	if err != nil {
		return "", err
	}
	if len(statements) == 0 {
		return "", errors.New("sql is empty")
	}
	results, err := pool.Run(ctx, r, a.Target, sqlconn.Request{
		Statements: statements, Params: a.Params, Fetch: sqlconn.FetchOne,
	})
	if err != nil {
		return "", err
	}
	return a.Check.unmet(ctx, &results[len(results)-1], a.Holds)
}

// Deps is what the trigger needs from the process.
type Deps struct {
	Pool        *sqlconn.Pool
	Connections connections.Resolver
}

// Register adds the trigger to the registry.
func Register(r *triggers.Registry, deps Deps) error {
	if deps.Pool == nil || deps.Connections == nil {
		return errors.New("triggers/sqlquery: Deps needs a Pool and Connections")
	}
	return r.Register(&checker{deps})
}

type checker struct{ deps Deps }

func (c *checker) Kind() string { return Kind }

// Key groups the waits for one database.
func (c *checker) Key(raw json.RawMessage) (string, error) {
	a, err := decode(raw)
	if err != nil {
		return "", err
	}
	return a.Key(), nil
}

func decode(raw json.RawMessage) (*Args, error) {
	var a Args
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber() // parameters keep their digits
	if err := dec.Decode(&a); err != nil {
		return nil, fmt.Errorf("arguments of a %s trigger: %w", Kind, err)
	}
	return &a, nil
}

// concurrency bounds the queries at one time in one database.
const concurrency = 4

// Check asks for every answer once.
func (c *checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	return triggers.Each(waits, concurrency, func(w *triggers.Wait) triggers.Verdict {
		a, err := decode(w.Args)
		if err != nil {
			return triggers.Verdict{Err: err}
		}
		return c.verdict(ctx, now, w.State, a)
	})
}

// state is what a wait remembers: how many errors in a row it met that may pass.
type state struct {
	Errors int `json:"errors,omitempty"`
}

// maxErrors is how many errors in a row end a wait, although each of them might have passed.
const maxErrors = 20

func (c *checker) verdict(ctx context.Context, now time.Time, raw json.RawMessage, a *Args) triggers.Verdict {
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	unmet, err := Look(look, c.deps.Pool, c.deps.Connections, a)
	again := triggers.Verdict{Again: now.Add(a.Pace.Next(now))}
	switch {
	case ctx.Err() != nil:
		return triggers.Verdict{Again: now}
	case err != nil && look.Err() != nil:
		return triggers.Verdict{Err: fmt.Errorf("the query took more than %s; with mode: reschedule or mode: poke it may take longer: %w", lookTimeout, err)}
	case sqlconn.Passing(err):
		return bear(again, raw, err)
	case err != nil:
		return triggers.Verdict{Err: err}
	case unmet != "":
		if len(raw) > 0 {
			again.State = json.RawMessage(`{}`)
		}
		return again
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

// bear lets a wait go on after an error that may pass.
func bear(again triggers.Verdict, raw json.RawMessage, err error) triggers.Verdict {
	var s state
	if len(raw) > 0 {
		if bad := json.Unmarshal(raw, &s); bad != nil {
			s = state{}
		}
	}
	if s.Errors++; s.Errors > maxErrors {
		return triggers.Verdict{Err: fmt.Errorf("%d looks in a row have failed: %w", s.Errors, err)}
	}
	next, bad := json.Marshal(s)
	if bad != nil {
		return triggers.Verdict{Err: bad}
	}
	again.State = next
	if s.Errors == 1 {
		again.Log = "The database cannot be asked just now, waiting on: " + err.Error()
	}
	return again
}
