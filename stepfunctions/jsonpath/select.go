package jsonpath

import (
	"errors"
	"fmt"

	"gust/stepfunctions/jsonvalue"
)

// maxSelected bounds what one path may collect.
const maxSelected = 1_000_000

// selectAll follows the steps from v and collects everything they select, skipping what does not exist, also where the
// path is still definite: $.missing[*] yields [] at AWS.
func (p *Path) selectAll(v jsonvalue.Value) ([]jsonvalue.Value, error) {
	current := []jsonvalue.Value{v}
	for i := range p.steps {
		s := &p.steps[i]
		next := []jsonvalue.Value{}
		for _, item := range current {
			if s.deep {
				descend(item, func(d jsonvalue.Value) { next = s.collect(next, d, v) })
			} else {
				next = s.collect(next, item, v)
			}
			if len(next) > maxSelected {
				return nil, &NotFoundError{Path: p.text, Reason: "the path selects too many values"}
			}
		}
		current = next
	}
	return current, nil
}

// descend visits v and everything below it, parents first.
func descend(v jsonvalue.Value, visit func(jsonvalue.Value)) {
	visit(v)
	for _, item := range v.Items() {
		if item.Kind() == jsonvalue.Array || item.Kind() == jsonvalue.Object {
			descend(item, visit)
		}
	}
}

// collect appends what one step selects in v. root is the value filters mean by "$".
func (s *step) collect(dst []jsonvalue.Value, v, root jsonvalue.Value) []jsonvalue.Value {
	switch s.kind {
	case stepName, stepIndex:
		if item, ok := s.one(v); ok {
			dst = append(dst, item)
		}
	case stepNames:
		for _, name := range s.names {
			if item, ok := v.Get(name); ok {
				dst = append(dst, item)
			}
		}
	case stepIndices:
		for _, i := range s.indices {
			if item, ok := (&step{kind: stepIndex, indices: []int{i}}).one(v); ok {
				dst = append(dst, item)
			}
		}
	case stepSlice:
		if v.Kind() == jsonvalue.Array {
			from, to := s.bounds(v.Len())
			dst = append(dst, v.Items()[from:to]...)
		}
	case stepWildcard:
		dst = append(dst, v.Items()...)
	case stepFilter:
		dst = s.filtered(dst, v, root)
	}
	return dst
}

func (s *step) filtered(dst []jsonvalue.Value, v, root jsonvalue.Value) []jsonvalue.Value {
	if v.Kind() == jsonvalue.Object {
		if s.filter.match(v, root) {
			dst = append(dst, v)
		}
		return dst
	}
	for _, item := range v.Items() {
		if s.filter.match(item, root) {
			dst = append(dst, item)
		}
	}
	return dst
}

// bounds turns a slice's optional, possibly negative ends into indices of an array of n items.
func (s *step) bounds(n int) (from, to int) {
	clamp := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	to = n
	if s.from != nil {
		from = clamp(*s.from)
	}
	if s.to != nil {
		to = clamp(*s.to)
	}
	return from, max(from, to)
}

// functions are the Jayway functions that make sense at the end of a path.
var functions = map[string]func(jsonvalue.Value) (jsonvalue.Value, error){
	"length": length,
	"size":   length,
	"keys":   keys,
	"min":    aggregate,
	"max":    aggregate,
	"sum":    aggregate,
	"avg":    aggregate,
	"stddev": aggregate,
}

func length(v jsonvalue.Value) (jsonvalue.Value, error) {
	switch v.Kind() {
	case jsonvalue.Array, jsonvalue.Object:
		return jsonvalue.NewInt(int64(v.Len())), nil
	case jsonvalue.String:
		return jsonvalue.NewInt(int64(len([]rune(v.Text())))), nil
	}
	return jsonvalue.Value{}, fmt.Errorf("length() cannot be applied to a %s", v.Kind())
}

func keys(v jsonvalue.Value) (jsonvalue.Value, error) {
	if v.Kind() != jsonvalue.Object {
		return jsonvalue.Value{}, fmt.Errorf("keys() cannot be applied to a %s", v.Kind())
	}
	names := make([]jsonvalue.Value, v.Len())
	for i := range names {
		names[i] = jsonvalue.NewString(v.Key(i))
	}
	return jsonvalue.NewArray(names), nil
}

// aggregate refuses min(), max(), sum(), avg() and stddev() as AWS does: its JSON provider hides the numbers from Jayway,
// which then sees an empty array.
func aggregate(jsonvalue.Value) (jsonvalue.Value, error) {
	return jsonvalue.Value{}, errors.New("Aggregation function attempted to calculate value using empty array")
}
