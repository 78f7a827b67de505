package intrinsic

import (
	"math"
	"slices"
	"unicode/utf16"

	"gust/stepfunctions/jsonvalue"
)

// arrayUnique drops repeated items. What is left has the order in which a Java hash set yields it, as measured at AWS:
// [true, false] becomes [false, true].
func arrayUnique(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	type entry struct {
		hash  uint32
		value jsonvalue.Value
	}
	seen := map[uint32][]jsonvalue.Value{}
	entries := []entry{}
next:
	for _, item := range items {
		h := javaHash(item)
		h ^= h >> 16
		for _, other := range seen[h] {
			if jsonvalue.Equal(item, other) {
				continue next
			}
		}
		seen[h] = append(seen[h], item)
		entries = append(entries, entry{h, item})
	}
	// A table grows when three quarters of it are full.
	capacity := uint32(16)
	for uint32(len(entries))*4 > capacity*3 {
		capacity *= 2
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return int(a.hash&(capacity-1)) - int(b.hash&(capacity-1)) })
	unique := make([]jsonvalue.Value, len(entries))
	for i, e := range entries {
		unique[i] = e.value
	}
	return jsonvalue.NewArray(unique), nil
}

// javaHash is the hashCode of a value as Java's collections, strings and boxed numbers define it.
func javaHash(v jsonvalue.Value) uint32 {
	switch v.Kind() {
	case jsonvalue.Bool:
		if v.Bool() {
			return 1231
		}
		return 1237
	case jsonvalue.Number:
		return numberHash(v)
	case jsonvalue.String:
		return stringHash(v.Text())
	case jsonvalue.Array:
		h := uint32(1)
		for _, item := range v.Items() {
			h = 31*h + javaHash(item)
		}
		return h
	case jsonvalue.Object:
		h := uint32(0)
		for i, item := range v.Items() {
			h += stringHash(v.Key(i)) ^ javaHash(item)
		}
		return h
	}
	return 0 // null
}

// numberHash gives equal numbers the same hash, also where Java tells 1 and 1.0 apart.
func numberHash(v jsonvalue.Value) uint32 {
	f, _ := v.Float()
	if f == math.Trunc(f) && math.Abs(f) < 1<<62 {
		n := int64(f)
		if n >= math.MinInt32 && n <= math.MaxInt32 {
			return uint32(n)
		}
		return uint32(n) ^ uint32(uint64(n)>>32)
	}
	bits := math.Float64bits(f)
	return uint32(bits) ^ uint32(bits>>32)
}

func stringHash(s string) uint32 {
	var h uint32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(unit)
	}
	return h
}
