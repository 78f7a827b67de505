package engine

import (
	"context"
	"fmt"
	"sync"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/journal"
)

// maxCompiled bounds how many compiled definitions are kept.
const maxCompiled = 512

// Compiled is a revision ready to run.
type Compiled struct {
	// Machine is the definition.
	Machine *asl.Machine
	// Role is the role to run with.
	Role string
	// activities and children tell that it has activity tasks, and tasks that wait for other executions.
	activities, children bool
}

// MachineCache keeps machines by ARN and compiled definitions by revision.
type MachineCache struct {
	journal *journal.Journal

	mu       sync.RWMutex
	byARN    map[string]*journal.Machine
	compiled map[int64]*Compiled
}

func newMachineCache(j *journal.Journal) *MachineCache {
	return &MachineCache{journal: j, byARN: map[string]*journal.Machine{}, compiled: map[int64]*Compiled{}}
}

// Get returns a machine, or journal.ErrNotFound. The result must not be changed.
func (c *MachineCache) Get(ctx context.Context, arn string) (*journal.Machine, error) {
	c.mu.RLock()
	m := c.byARN[arn]
	c.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	// The lock is held while reading, so that a concurrent change cannot be overwritten by what was read before it.
	c.mu.Lock()
	defer c.mu.Unlock()
	m, err := c.journal.MachineGet(ctx, arn)
	if err != nil {
		return nil, err
	}
	if len(c.byARN) >= maxCompiled {
		clear(c.byARN)
	}
	c.byARN[arn] = m
	return m, nil
}

// Forget drops a machine that was changed.
func (c *MachineCache) Forget(arn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byARN, arn)
}

// Revision returns the compiled definition of a revision.
func (c *MachineCache) Revision(ctx context.Context, id int64) (*Compiled, error) {
	c.mu.RLock()
	m := c.compiled[id]
	c.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	r, err := c.journal.RevisionGet(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load revision %d: %w", id, err)
	}
	parsed, problems := asl.Parse(r.Definition)
	if parsed == nil {
		return nil, fmt.Errorf("the stored definition of revision %d is no longer valid: %s", id, problems.Errors())
	}
	m = &Compiled{Machine: parsed, Role: r.RoleARN}
	for _, s := range parsed.All() {
		if s.Task != nil {
			m.activities = m.activities || s.Task.Resource.Kind == asl.Activity
			m.children = m.children || startsExecution(&s.Task.Resource)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.compiled) >= maxCompiled {
		clear(c.compiled)
	}
	c.compiled[id] = m
	return m, nil
}
