package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gust/connections"
	"gust/connections/awsconn/quota"
	"gust/triggers"
)

// Deps is what the trigger needs from the process.
type Deps struct {
	Clients     Clients
	Connections connections.Resolver
	// Concurrency bounds the calls at one time for one group of waits; 0 means 8.
	Concurrency int
	// EventsArrive reports whether events tell just now of the ends of a state machine's executions: then looks are a slow
	// safety net. nil is never.
	EventsArrive func(stateMachineARN string) bool
	// Log gets what concerns more than one task; nil discards it.
	Log *slog.Logger
}

func (d Deps) completed() (Deps, error) {
	if d.Clients == nil || d.Connections == nil {
		return d, errors.New("triggers/stepfunctions: Deps needs Clients and Connections")
	}
	if d.Concurrency == 0 {
		d.Concurrency = 8
	}
	if d.EventsArrive == nil {
		d.EventsArrive = func(string) bool { return false }
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return d, nil
}

// Register adds the triggers to the registry.
func Register(r *triggers.Registry, deps Deps) error {
	deps, err := deps.completed()
	if err != nil {
		return err
	}
	return errors.Join(
		r.Register(&checker{deps: deps, groups: map[string]*group{}, lines: map[lineKey]*line{}}),
		r.Register(&deletions{deps}),
		r.Register(&activities{deps}),
	)
}

// checker looks at waits for executions. Those of one state machine that use one client form a group: it is looked at by
// describing executions or by listing them, whichever costs less of the quota.
type checker struct {
	deps Deps

	mu     sync.Mutex
	groups map[string]*group
	lines  map[lineKey]*line
}

var (
	_ triggers.Placed    = (*checker)(nil)
	_ triggers.Hearer    = (*checker)(nil)
	_ triggers.Explainer = (*checker)(nil)
)

// lineKey is who shares a quota.
type lineKey struct {
	quota.Scope
	operation string
}

func (c *checker) Kind() string { return Kind }

// Key groups the waits for executions of one state machine that use one client.
func (c *checker) Key(raw json.RawMessage) (string, error) {
	args, err := decode(raw)
	if err != nil {
		return "", err
	}
	return groupKey(args), nil
}

func groupKey(args *Args) string {
	machine, ok := machineOf(args.ExecutionARN)
	if !ok {
		return noMachine + " " + args.Params.Key()
	}
	return machine.ARN() + " " + args.Params.Key()
}

// noMachine is the key's machine of what is not the ARN of a Standard execution: Step Functions says what is wrong with
// it.
const noMachine = "-"

// Place names the service behind a key: the connection, the account and the region.
func (c *checker) Place(key string) string {
	machine, params, _ := strings.Cut(key, " ")
	var p struct {
		AWSConnID  string `json:"aws_conn_id"`
		RegionName string `json:"region_name"`
	}
	_ = json.Unmarshal([]byte(params), &p) // a key that is not one of this checker's has a place of its own
	s, ok := quota.ScopeOf("", machine)
	if !ok {
		s.Region = p.RegionName
	}
	return strings.TrimSpace(p.AWSConnID + " " + s.Region + " " + s.Account)
}

// Subject is the execution that a wait is about.
func (c *checker) Subject(raw json.RawMessage) (string, error) {
	args, err := decode(raw)
	if err != nil {
		return "", err
	}
	return args.ExecutionARN, nil
}

func decode(raw json.RawMessage) (*Args, error) {
	args, err := triggers.Decode[Args](Kind, raw)
	if err != nil {
		return nil, err
	}
	if args.ExecutionARN == "" {
		return nil, fmt.Errorf("arguments of a %s trigger: execution_arn is missing", Kind)
	}
	return args, nil
}

// Check looks at the waits of one group as far as the quota allows.
func (c *checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	r := c.round(ctx, now, waits)
	if len(r.looks) == 0 {
		return r.verdicts
	}
	api, info, err := c.deps.Clients.SFN(ctx, c.deps.Connections, r.looks[0].args.Params)
	if err != nil {
		for _, l := range r.looks {
			r.verdicts[l.index] = l.noClient(err)
		}
		return r.verdicts
	}
	r.meet(api, info)
	r.run()
	return r.verdicts
}

// Explain tells how the waits of a key were looked at last.
func (c *checker) Explain(key string) []string {
	c.mu.Lock()
	g := c.groups[key]
	c.mu.Unlock()
	if g == nil {
		return nil
	}
	return g.report()
}

// Memory of groups and lines is bounded: what was not used for long is forgotten, and begins anew.
const (
	maxGroups   = 8192
	groupUnused = time.Hour
)

// group returns the memory of a key.
func (c *checker) group(key string, now time.Time) *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[key]
	if g == nil {
		if len(c.groups) >= maxGroups {
			c.forget(now)
		}
		g = &group{key: key}
		c.groups[key] = g
	}
	g.used = now
	return g
}

func (c *checker) forget(now time.Time) {
	for key, g := range c.groups {
		if now.Sub(g.used) > groupUnused {
			delete(c.groups, key)
		}
	}
	for key := range c.groups { // too many in use: any will do
		if len(c.groups) < maxGroups {
			break
		}
		delete(c.groups, key)
	}
}

func (c *checker) line(s quota.Scope, operation string) *line {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := lineKey{s, operation}
	l := c.lines[key]
	if l == nil {
		if len(c.lines) >= maxGroups {
			clear(c.lines)
		}
		l = &line{}
		c.lines[key] = l
	}
	return l
}
