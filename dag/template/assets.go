package template

import (
	"context"
	"encoding/json"

	"gust/dag"
	"gust/dag/template/pytime"
	"gust/dag/template/pyvalue"
)

func textOrNone(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// asset is an asset as templates see it: a dict with the fields of Airflow's Asset.
func asset(name, uri, group string, extra json.RawMessage) *pyvalue.Dict {
	d := pyvalue.NewDict(4)
	d.Set("name", name)
	d.Set("uri", uri)
	d.Set("group", group)
	value, err := object(extra, "extra")
	if err != nil {
		value = pyvalue.NewDict(0)
	}
	d.Set("extra", value)
	return d
}

// assets lists the inlets or outlets of the task; an alias is a dict with its name only.
func (v *Vars) assets(of func(*dag.Task) []dag.AssetRef) *pyvalue.List {
	list := &pyvalue.List{}
	if v.Task == nil {
		return list
	}
	for _, ref := range of(v.Task) {
		if ref.Asset != nil {
			list.Items = append(list.Items, asset(ref.Asset.Name, ref.Asset.URI, ref.Asset.Group, ref.Asset.Extra))
			continue
		}
		d := pyvalue.NewDict(1)
		d.Set("name", ref.Alias)
		list.Items = append(list.Items, d)
	}
	return list
}

// triggering are the events that the run was made for: by the asset's URI, a list of events, oldest first.
func (v *Vars) triggering(ctx context.Context) (*pyvalue.Dict, error) {
	byAsset := pyvalue.NewDict(0)
	if v.AssetEvents == nil {
		return byAsset, nil
	}
	events, err := v.AssetEvents(ctx)
	if err != nil {
		return nil, err
	}
	lists := map[string]*pyvalue.List{}
	for i := range events {
		e := &events[i]
		d := pyvalue.NewDict(6)
		d.Set("asset", asset(e.Name, e.URI, "", nil))
		d.Set("timestamp", pytime.OrNone(e.At))
		extra, err := object(e.Extra, "extra")
		if err != nil {
			return nil, err
		}
		d.Set("extra", extra)
		d.Set("source_dag_id", textOrNone(e.Source.DagID))
		d.Set("source_run_id", textOrNone(e.Source.RunID))
		d.Set("source_task_id", textOrNone(e.Source.TaskID))
		if lists[e.URI] == nil {
			lists[e.URI] = &pyvalue.List{}
			byAsset.Set(e.URI, lists[e.URI])
		}
		lists[e.URI].Items = append(lists[e.URI].Items, d)
	}
	return byAsset, nil
}
