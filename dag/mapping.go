package dag

import (
	"cmp"
	"slices"
)

// ReturnValue is the XCom key under which a task's return value is pushed.
const ReturnValue = "return_value"

// Mapping is dynamic task mapping (Airflow: expand): the task runs once for each item of its fields, with several
// fields once for each combination. The instances are numbered from 0 by MapIndex; the last field varies fastest.
type Mapping struct {
	// Fields are sorted by name, so that equal files number their instances equally. There is at least one.
	Fields []MappedField `json:"fields"`
	// IndexTemplate is Airflow's map_index_template, rendered when an instance has ended; "" shows the number.
	IndexTemplate string `json:"map_index_template,omitempty"`
}

// MappedField is one parameter whose value is an item of a list, or a [key, value] pair of an object.
type MappedField struct {
	// Name is the operator's parameter.
	Name string `json:"name"`
	// Value is the list or object as written; nil when Source is set. Items are pure JSON and are not templates.
	Value any `json:"value,omitempty"`
	// Source is the XCom that holds the list or object.
	Source *XComRef `json:"source,omitempty"`
}

// XComRef names a value that an upstream task pushes. Of a mapped task it is the list of the values of all its
// instances by MapIndex, without those that are absent or null.
type XComRef struct {
	TaskID string `json:"task_id"`
	// Key is the XCom's key, ReturnValue unless written otherwise.
	Key string `json:"key"`
	// Item, when set, picks one key of an object ("+task['key']" in a file).
	Item *string `json:"item,omitempty"`
}

// Len is the number of items of a literal field; false when the value comes from an XCom.
func (f *MappedField) Len() (int, bool) {
	if f.Source != nil {
		return 0, false
	}
	n, ok := Items(f.Value)
	return n, ok
}

// Items is how many instances a value maps to; false when it is neither a list nor an object.
func Items(value any) (int, bool) {
	switch v := value.(type) {
	case []any:
		return len(v), true
	case map[string]any:
		return len(v), true
	}
	return 0, false
}

// Item is item i of a list, or the [key, value] pair i of an object, by key.
func Item(value any, i int) (any, bool) {
	switch v := value.(type) {
	case []any:
		if i >= 0 && i < len(v) {
			return v[i], true
		}
	case map[string]any:
		if i < 0 || i >= len(v) {
			return nil, false
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, cmp.Compare)
		return []any{keys[i], v[keys[i]]}, true
	}
	return nil, false
}

// Count is the number of instances for these lengths of the fields. It stops at the first number above limit, so that
// it cannot overflow; limit must be positive.
func (m *Mapping) Count(lengths []int, limit int) int {
	n := 1
	for _, l := range lengths {
		if l == 0 {
			return 0
		}
	}
	for _, l := range lengths {
		if n *= l; n > limit {
			return n
		}
	}
	return n
}

// Indices are the items, one for each field, that instance index gets.
func (m *Mapping) Indices(index int, lengths []int) []int {
	out := make([]int, len(lengths))
	for i := len(lengths) - 1; i >= 0; i-- {
		if lengths[i] > 0 {
			out[i] = index % lengths[i]
			index /= lengths[i]
		}
	}
	return out
}

// Sources are the XComs that must be there before the number of instances is known, in the order of the fields.
func (m *Mapping) Sources() []XComRef {
	var out []XComRef
	for i := range m.Fields {
		if s := m.Fields[i].Source; s != nil {
			out = append(out, *s)
		}
	}
	return out
}
