package dag

import (
	"encoding/json"
	"strings"
	"time"
)

// Asset is something that tasks produce and DAGs wait for (Airflow: Asset, before Airflow 3 Dataset). Its Name is its
// identity; a file that gives only one of Name and URI means the same text for both.
type Asset struct {
	Name  string          `json:"name"`
	URI   string          `json:"uri"`
	Group string          `json:"group,omitempty"`
	Extra json.RawMessage `json:"extra,omitempty"` // object or nil
}

// AssetRef is an asset, or an alias that stands for those that events name, as a task's inlet or outlet.
type AssetRef struct {
	Asset *Asset `json:"asset,omitempty"`
	Alias string `json:"alias,omitempty"`
}

// AssetEvent says that an asset was updated.
type AssetEvent struct {
	// ID counts up; the scheduler gives it.
	ID   int64     `json:"id"`
	Name string    `json:"name"`
	URI  string    `json:"uri"`
	At   time.Time `json:"timestamp"`
	// Source is the task instance whose success it was; zero for an event from outside.
	Source  Key             `json:"source"`
	Extra   json.RawMessage `json:"extra,omitempty"` // object or nil
	Aliases []string        `json:"aliases,omitempty"`
}

// AssetCondition says which assets must have been updated before a DAG runs. Exactly one field is set.
type AssetCondition struct {
	Asset *Asset           `json:"asset,omitempty"`
	Alias string           `json:"alias,omitempty"`
	All   []AssetCondition `json:"all,omitempty"`
	Any   []AssetCondition `json:"any,omitempty"`
}

// Satisfied evaluates the condition; updated tells of an asset by name, aliased of an alias, whether there was an event
// since the DAG last ran for it.
func (c *AssetCondition) Satisfied(updated, aliased func(name string) bool) bool {
	switch {
	case c.Asset != nil:
		return updated(c.Asset.Name)
	case c.Alias != "":
		return aliased(c.Alias)
	case len(c.All) > 0:
		for i := range c.All {
			if !c.All[i].Satisfied(updated, aliased) {
				return false
			}
		}
		return true
	}
	for i := range c.Any {
		if c.Any[i].Satisfied(updated, aliased) {
			return true
		}
	}
	return false
}

// Refs lists the assets and aliases of the condition, each once, in the order of the file.
func (c *AssetCondition) Refs() []AssetRef {
	var out []AssetRef
	seen := map[string]bool{}
	var walk func(*AssetCondition)
	walk = func(c *AssetCondition) {
		key := "alias " + c.Alias
		if c.Asset != nil {
			key = "asset " + c.Asset.Name
		}
		if (c.Asset != nil || c.Alias != "") && !seen[key] {
			seen[key] = true
			out = append(out, AssetRef{Asset: c.Asset, Alias: c.Alias})
		}
		for i := range c.All {
			walk(&c.All[i])
		}
		for i := range c.Any {
			walk(&c.Any[i])
		}
	}
	walk(c)
	return out
}

// String writes the condition as Airflow's expressions: (a & (b | c)).
func (c *AssetCondition) String() string {
	join := func(parts []AssetCondition, by string) string {
		texts := make([]string, len(parts))
		for i := range parts {
			texts[i] = parts[i].String()
		}
		return "(" + strings.Join(texts, by) + ")"
	}
	switch {
	case c.Asset != nil:
		return c.Asset.Name
	case c.Alias != "":
		return "AssetAlias(" + c.Alias + ")"
	case len(c.All) > 0:
		return join(c.All, " & ")
	}
	return join(c.Any, " | ")
}
