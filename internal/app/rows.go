package app

import (
	"context"
	"errors"

	"gust/connections"
	"gust/internal/variables"
	"gust/store"
)

// connectionRows shows the store's connections to package connections, which does not know the store.
type connectionRows struct{ store.Connections }

var _ connections.Rows = connectionRows{}

func (r connectionRows) ConnectionGet(ctx context.Context, id string) (*connections.Row, error) {
	row, err := r.Connections.ConnectionGet(ctx, id)
	if err != nil {
		return nil, connectionError(err)
	}
	return &connections.Row{ID: row.ID, Type: row.Type, Sealed: row.Sealed}, nil
}

func (r connectionRows) ConnectionList(ctx context.Context) ([]connections.Row, error) {
	rows, err := r.Connections.ConnectionList(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]connections.Row, len(rows))
	for i, row := range rows {
		out[i] = connections.Row{ID: row.ID, Type: row.Type, Sealed: row.Sealed}
	}
	return out, nil
}

func (r connectionRows) ConnectionPut(ctx context.Context, row *connections.Row, overwrite bool) error {
	return connectionError(r.Connections.ConnectionPut(ctx, &store.ConnectionRow{ID: row.ID, Type: row.Type, Sealed: row.Sealed}, overwrite))
}

func (r connectionRows) ConnectionDelete(ctx context.Context, id string) error {
	return connectionError(r.Connections.ConnectionDelete(ctx, id))
}

// connectionError adds the error that package connections tests for to the store's.
func connectionError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errors.Join(connections.ErrNotFound, err)
	case errors.Is(err, store.ErrExists):
		return errors.Join(connections.ErrExists, err)
	}
	return err
}

// variableRows shows the store's variables to package variables.
type variableRows struct{ store.Variables }

var _ variables.Rows = variableRows{}

func (r variableRows) VariableGet(ctx context.Context, key string) (*variables.Row, error) {
	v, err := r.Variables.VariableGet(ctx, key)
	if err != nil {
		return nil, variableError(err)
	}
	row := variables.Row(*v)
	return &row, nil
}

func (r variableRows) VariableList(ctx context.Context) ([]variables.Row, error) {
	rows, err := r.Variables.VariableList(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]variables.Row, len(rows))
	for i, v := range rows {
		out[i] = variables.Row(v)
	}
	return out, nil
}

func (r variableRows) VariableSet(ctx context.Context, row *variables.Row) error {
	v := store.Variable(*row)
	return r.Variables.VariableSet(ctx, &v)
}

func (r variableRows) VariableDelete(ctx context.Context, key string) error {
	return variableError(r.Variables.VariableDelete(ctx, key))
}

func variableError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errors.Join(variables.ErrNotFound, err)
	}
	return err
}
