package dag_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gust/dag"
)

func TestMappingNumbersCombinations(t *testing.T) {
	t.Parallel()
	m := dag.Mapping{Fields: []dag.MappedField{
		{Name: "x", Value: []any{"a", "b"}}, {Name: "y", Value: map[string]any{"q": int64(2), "p": int64(1), "r": int64(3)}},
	}}
	lengths := make([]int, len(m.Fields))
	for i := range m.Fields {
		n, ok := m.Fields[i].Len()
		if !ok {
			t.Fatalf("field %d has no length", i)
		}
		lengths[i] = n
	}
	if n := m.Count(lengths, 100); n != 6 {
		t.Fatalf("%d instances", n)
	}
	var got []any
	for i := range 6 {
		at := m.Indices(i, lengths)
		x, _ := dag.Item(m.Fields[0].Value, at[0])
		y, _ := dag.Item(m.Fields[1].Value, at[1])
		got = append(got, []any{x, y})
	}
	var want []any
	for _, x := range []any{"a", "b"} {
		for _, y := range []any{[]any{"p", int64(1)}, []any{"q", int64(2)}, []any{"r", int64(3)}} {
			want = append(want, []any{x, y})
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := m.Count([]int{1 << 40, 1 << 40, 0}, 1024); n != 0 {
		t.Errorf("an empty field gives %d instances", n)
	}
	if n := m.Count([]int{1 << 40, 1 << 40}, 1024); n <= 1024 {
		t.Errorf("a huge product became %d", n)
	}
	if _, ok := dag.Item([]any{1}, 1); ok {
		t.Error("an item behind the end was found")
	}
}

func TestAssetConditions(t *testing.T) {
	t.Parallel()
	leaf := func(name string) dag.AssetCondition {
		return dag.AssetCondition{Asset: &dag.Asset{Name: name, URI: name}}
	}
	c := dag.AssetCondition{All: []dag.AssetCondition{leaf("a"), {Any: []dag.AssetCondition{leaf("b"), {Alias: "c"}, leaf("a")}}}}
	if got := c.String(); got != "(a & (b | AssetAlias(c) | a))" {
		t.Error(got)
	}
	if refs := c.Refs(); len(refs) != 3 {
		t.Errorf("refs: %v", refs)
	}
	is := func(names ...string) func(string) bool {
		return func(name string) bool {
			for _, n := range names {
				if n == name {
					return true
				}
			}
			return false
		}
	}
	for _, x := range []struct {
		assets, aliases []string
		want            bool
	}{
		{nil, nil, false}, {[]string{"b"}, []string{"c"}, false}, {[]string{"a"}, nil, true}, // a is in both parts
	} {
		if got := c.Satisfied(is(x.assets...), is(x.aliases...)); got != x.want {
			t.Errorf("%v: %v", x, got)
		}
	}
}
