package asl

import (
	"slices"
	"testing"
)

func TestComparisonsAreAllOperators(t *testing.T) {
	t.Parallel()
	var want []string
	for name := range operators {
		want = append(want, name)
		if _, _, ok := operator(name + "Path"); ok {
			want = append(want, name+"Path")
		}
	}
	got := slices.Clone(comparisons)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
