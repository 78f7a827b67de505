package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gust/dag"
	"gust/internal/param"
	"gust/store"
)

// Asset is an asset, or an alias of assets, as the pipelines use it.
type Asset struct {
	dag.Asset
	IsAlias bool
	// Producers are the tasks that have it as an outlet, "dag.task"; Consumers the DAGs that are scheduled by it.
	Producers, Consumers []string
	// producing are the DAGs of Producers.
	producing []string
}

// Assets lists the assets and aliases of the pipelines as they are now, assets first, by name.
func (a *App) Assets(ctx context.Context) ([]Asset, error) {
	loaded, err := a.Pipelines(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]*Asset{}
	for _, d := range slices.Concat(loaded.DAGs, loaded.Kept) {
		assetsOf(d, found)
	}
	out := make([]Asset, 0, len(found))
	for _, as := range found {
		out = append(out, *as)
	}
	slices.SortFunc(out, func(x, y Asset) int {
		if x.IsAlias != y.IsAlias {
			if y.IsAlias {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Name, y.Name)
	})
	return out, nil
}

// assetsOf adds the assets of a DAG.
func assetsOf(d *dag.DAG, found map[string]*Asset) {
	add := func(ref dag.AssetRef) *Asset {
		key, named := "alias "+ref.Alias, Asset{Asset: dag.Asset{Name: ref.Alias}, IsAlias: true}
		if ref.Asset != nil {
			key, named = "asset "+ref.Asset.Name, Asset{Asset: *ref.Asset}
		}
		have := found[key]
		if have == nil {
			have = &named
			found[key] = have
		}
		if ref.Asset != nil && len(have.Extra) == 0 {
			have.Extra = ref.Asset.Extra
		}
		return have
	}
	once := func(list []string, name string) []string {
		if slices.Contains(list, name) {
			return list
		}
		return append(list, name)
	}
	for _, t := range d.Tasks {
		for _, o := range t.Outlets {
			as := add(o)
			as.Producers, as.producing = once(as.Producers, d.ID+"."+t.ID), once(as.producing, d.ID)
		}
		for _, in := range t.Inlets {
			add(in)
		}
	}
	if d.Schedule.Assets != nil {
		for _, ref := range d.Schedule.Assets.Refs() {
			as := add(ref)
			as.Consumers = once(as.Consumers, d.ID)
		}
	}
}

// NoAssetError says that no pipeline names such an asset.
type NoAssetError struct {
	Named, Nearest string
}

func (e *NoAssetError) Error() string {
	text := fmt.Sprintf("no pipeline has an asset %q", e.Named)
	if e.Nearest != "" {
		return text + fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return text + "; `gust assets list` shows them"
}

// FindAsset finds an asset by its name, or by its URI when name is "".
func (a *App) FindAsset(ctx context.Context, name, uri string) (*Asset, error) {
	list, err := a.Assets(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list {
		if list[i].IsAlias {
			continue
		}
		have, want := list[i].Name, name
		if name == "" {
			have, want = list[i].URI, uri
		}
		if have == want {
			return &list[i], nil
		}
		names = append(names, have)
	}
	named := name
	if name == "" {
		named = uri
	}
	return nil, &NoAssetError{Named: named, Nearest: param.Nearest(named, names)}
}

// Materialize triggers the DAG whose task updates the asset, as Airflow does. There must be exactly one.
func (a *App) Materialize(ctx context.Context, as *Asset, conf json.RawMessage) (*dag.Run, error) {
	switch len(as.producing) {
	case 0:
		return nil, fmt.Errorf("no task updates the asset %q, so no DAG can be run for it; `gust assets create-event --name %s` makes an event",
			as.Name, as.Name)
	case 1:
		return a.Trigger(ctx, TriggerRequest{DagID: as.producing[0], By: dag.ByCLI, Conf: conf})
	}
	return nil, fmt.Errorf("%d DAGs update the asset %q (%s); choose one with `gust dags trigger`", len(as.producing), as.Name,
		strings.Join(as.producing, ", "))
}

// CreateAssetEvent asks the daemon for an event of an asset, as if a task had updated it.
func (a *App) CreateAssetEvent(ctx context.Context, as *Asset, extra json.RawMessage) error {
	err := a.Store.AssetRequest(ctx, &dag.AssetEvent{
		Name: as.Name, URI: as.URI, At: a.Now().UTC().Truncate(time.Microsecond), Extra: extra,
	})
	if err == nil {
		a.Wake()
	}
	return err
}

// DeleteDAG deletes a DAG with its runs. It comes back while its file defines it.
func (a *App) DeleteDAG(ctx context.Context, id string) error {
	err := a.Store.DagDelete(ctx, id)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("DAG %s has unfinished runs; end them with `gust runs mark %s RUN_ID failed`: %w", id, id, err)
	}
	if err == nil {
		a.Wake()
	}
	return err
}
