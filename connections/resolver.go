package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gust/internal/param"
)

// Chain is a Resolver over sources in order: the first that defines a connection wins.
type Chain struct {
	sources []Source
	masker  *Masker
}

// NewResolver returns a resolver over the sources, first come first. The secrets of every connection it returns are
// registered with masker, which may be nil.
func NewResolver(masker *Masker, sources ...Source) *Chain {
	return &Chain{sources: sources, masker: masker}
}

// Connection looks id up in the sources, in order. It returns a *NotFoundError with the ids that are defined when none
// has it. A source that fails ends the look-up with its error: to go on could silently use the wrong credentials.
func (r *Chain) Connection(ctx context.Context, id string) (*Connection, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	for _, s := range r.sources {
		c, err := s.Get(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("look up connection %q: %w", id, err)
		}
		if c == nil {
			continue
		}
		if r.masker != nil {
			r.masker.AddConnection(c)
		}
		return c, nil
	}
	known, err := r.IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up connection %q: %w", id, err)
	}
	return nil, &NotFoundError{ID: id, Known: known, Nearest: param.Nearest(id, known)}
}

// IDs lists the ids that any source defines, sorted.
func (r *Chain) IDs(ctx context.Context) ([]string, error) {
	var all []string
	for _, s := range r.sources {
		ids, err := s.List(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Entry is one definition of a connection, for `gust connections list`.
type Entry struct {
	ID     string
	Source string // Source.Name
	// Shadowed is set when an earlier source defines the id too; this definition is not used.
	Shadowed bool
	// Connection is nil when Err says why it cannot be read.
	Connection *Connection
	Err        error
}

// List returns every definition in every source, by id and then in order of the sources. A definition that cannot be
// read is an Entry with Err; a source that cannot be listed is an error.
func (r *Chain) List(ctx context.Context) ([]Entry, error) {
	var entries []Entry
	seen := map[string]bool{}
	for _, s := range r.sources {
		ids, err := s.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			c, err := s.Get(ctx, id)
			if err == nil && c == nil {
				continue // gone since the listing
			}
			if c != nil && r.masker != nil {
				r.masker.AddConnection(c)
			}
			entries = append(entries, Entry{ID: id, Source: s.Name(), Shadowed: seen[id], Connection: c, Err: err})
			seen[id] = true
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
	return entries, nil
}

// Find returns the definition of id that is used, or a *NotFoundError.
func (r *Chain) Find(ctx context.Context, id string) (Entry, error) {
	for _, s := range r.sources {
		c, err := s.Get(ctx, id)
		if err != nil {
			return Entry{}, fmt.Errorf("look up connection %q: %w", id, err)
		}
		if c != nil {
			if r.masker != nil {
				r.masker.AddConnection(c)
			}
			return Entry{ID: id, Source: s.Name(), Connection: c}, nil
		}
	}
	_, err := r.Connection(ctx, id)
	return Entry{}, err
}

// IsNotFound reports whether err says that a connection is not defined.
func IsNotFound(err error) bool {
	var missing *NotFoundError
	return errors.As(err, &missing)
}
