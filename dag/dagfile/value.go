package dagfile

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// value is a YAML value with its position: aliases resolved, merge keys applied, scalars read as YAML 1.1. Values are
// shared (an anchor's value by all its aliases) and never changed once built.
type value struct {
	kind  kind
	style uint8 // a yaml.Style; all of them fit
	size  int32 // nodes in this value, aliases counted each time
	pos   pos
	// until is where the next node begins: no part of a scalar lies behind it. Zero at the end of the file.
	until place
	data  any // bool, int64, *big.Int, float64, string or time.Time
	items []*value
	keys  []entry
	index map[string]int // of keys, for dicts that are not small
}

// entry is a key of a dict. Keys that are not strings carry their JSON text and kind.
type entry struct {
	key  string
	kind kind
	pos  pos
	val  *value
}

const smallDict = 16

func newDict(at pos, keys []entry) *value {
	v := &value{kind: kindDict, pos: at, keys: keys, size: 1}
	for i := range keys {
		v.size = satAdd(v.size, keys[i].val.size)
	}
	if len(keys) > smallDict {
		v.index = make(map[string]int, len(keys))
		for i := range keys {
			v.index[keys[i].key] = i
		}
	}
	return v
}

func satAdd(a, b int32) int32 { return int32(min(int64(a)+int64(b), math.MaxInt32)) }

// find returns the entry under key, or nil.
func (v *value) find(key string) *entry {
	if v == nil || v.kind != kindDict {
		return nil
	}
	if v.index != nil {
		if i, ok := v.index[key]; ok {
			return &v.keys[i]
		}
		return nil
	}
	for i := range v.keys {
		if v.keys[i].key == key {
			return &v.keys[i]
		}
	}
	return nil
}

// get returns the value under key, or nil.
func (v *value) get(key string) *value {
	if e := v.find(key); e != nil {
		return e.val
	}
	return nil
}

func (v *value) isNull() bool { return v == nil || v.kind == kindNull }

func (v *value) text() (string, bool) {
	s, ok := v.data.(string)
	return s, ok && v.kind == kindText
}

// typeName returns the import path of a __type__ object, or "".
func (v *value) typeName() string {
	if t := v.get("__type__"); t != nil && t.kind == kindText {
		return t.data.(string)
	}
	return ""
}

// describe prints the value for a message, short and on one line.
func (v *value) describe() string {
	switch v.kind {
	case kindNull:
		return "null"
	case kindText:
		return fmt.Sprintf("string %q", clip(v.data.(string)))
	case kindList:
		return fmt.Sprintf("a list of %d", len(v.items))
	case kindDict:
		if name := v.typeName(); name != "" {
			return "an object of type " + clip(name)
		}
		return "a dict"
	case kindDate, kindDateTime:
		return v.kind.String() + " " + pythonText(v.kind, v.data)
	case kindBool:
		return fmt.Sprintf("bool %v", v.data)
	}
	return "number " + pythonText(v.kind, v.data)
}

func clip(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:97]) + "..."
	}
	return s
}

// Limits of a document.
const (
	maxDepth = 200
	// maxNodes and maxRatio bound a document after its aliases are expanded: it must exceed both to be refused, the
	// latter as a multiple of the values it holds as written.
	maxNodes = 100_000
	maxRatio = 10
)

// converter turns the nodes of one document into values.
type converter struct {
	src     *source
	rep     *reporter
	anchors map[*yaml.Node]*value // nil while the anchored node is being converted
	last    *value                // the scalar read last, to set its until
	nodes   int                   // values converted, aliases not counted
	path    []step
}

// step is one part of a key path: a key, or the index of a list item.
type step struct {
	key   string
	index int
}

func pathText(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		if i == 20 {
			return b.String() + "..."
		}
		switch {
		case s.key == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}

func (c *converter) at(n *yaml.Node) pos { return pos{c.src, place{int32(n.Line), int32(n.Column)}} }

func (c *converter) errorf(at pos, format string, args ...any) {
	c.rep.errorf(at, pathText(c.path), format, args...)
}

// begin notes that a node starts at p, which bounds the scalar before it.
func (c *converter) begin(p pos) {
	if c.last != nil {
		c.last.until = p.place
		c.last = nil
	}
}

func (c *converter) convert(n *yaml.Node, depth int) *value {
	at := c.at(n)
	if depth > maxDepth {
		c.errorf(at, "nested more than %d levels deep", maxDepth)
		return &value{kind: kindNull, pos: at, size: 1}
	}
	c.begin(at)
	if n.Kind == yaml.AliasNode {
		if v, known := c.anchors[n.Alias]; known && v == nil {
			c.errorf(at, "anchor %q contains itself", n.Value)
			return &value{kind: kindNull, pos: at, size: 1}
		}
		return c.convert(n.Alias, depth)
	}
	if n.Anchor != "" {
		if v := c.anchors[n]; v != nil {
			return v
		}
		c.anchors[n] = nil
	}
	v := c.node(n, at, depth)
	if n.Anchor != "" {
		c.anchors[n] = v
	}
	return v
}

func (c *converter) node(n *yaml.Node, at pos, depth int) *value {
	c.nodes++
	if n.Style&yaml.TaggedStyle != 0 && !c.knownTag(n, at) {
		return &value{kind: kindNull, pos: at, size: 1}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		v := &value{kind: kindList, pos: at, size: 1, items: make([]*value, len(n.Content))}
		for i, item := range n.Content {
			c.path = append(c.path, step{index: i})
			v.items[i] = c.convert(item, depth+1)
			c.path = c.path[:len(c.path)-1]
			v.size = satAdd(v.size, v.items[i].size)
		}
		return v
	case yaml.MappingNode:
		return combined(c.joined(c.mapping(n, at, depth)))
	}
	v := c.scalar(n, at)
	c.last = v
	return v
}

// knownTag reports whether an explicit tag is one of YAML's own.
func (c *converter) knownTag(n *yaml.Node, at pos) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!binary", "!!map", "!!seq", "!!merge",
		"!!omap", "!!set":
		return true
	case "!!python/tuple", "!!python/list", "!!python/dict", "!!python/str", "!!python/unicode", "!!python/int",
		"!!python/float", "!!python/bool", "!!python/none", "!!python/long":
		return true
	}
	p := Problem{Message: fmt.Sprintf("unknown tag %s", n.ShortTag())}
	switch n.ShortTag() {
	case "!and", "!or", "!join":
		p.Hint = fmt.Sprintf("dag-factory 1.0 removed it; write the key __%s__", n.ShortTag()[1:])
	case "!include":
		p.Hint = "files cannot be included; use an anchor, the default block or defaults.yml"
	}
	c.rep.fail(at, pathText(c.path), p)
	return false
}

func (c *converter) scalar(n *yaml.Node, at pos) *value {
	v := &value{pos: at, style: uint8(n.Style), size: 1, kind: kindText, data: n.Value}
	tag := ""
	if n.Style&yaml.TaggedStyle != 0 {
		tag = n.ShortTag()
	} else if n.Style != 0 {
		return v
	}
	if tag == "!!str" || tag == "!!binary" || strings.HasPrefix(tag, "!!python/") {
		return v
	}
	k, data, err := plainScalar(n.Value)
	if err != nil {
		c.errorf(at, "%s", err)
		return &value{kind: kindNull, pos: at, size: 1}
	}
	v.kind, v.data = k, data
	want := map[string]kind{"!!int": kindInt, "!!float": kindFloat, "!!bool": kindBool, "!!null": kindNull}
	if expected, checked := want[tag]; checked && k != expected {
		if f, isInt := data.(int64); isInt && expected == kindFloat {
			v.kind, v.data = kindFloat, float64(f)
			return v
		}
		c.errorf(at, "%q is not a %s", clip(n.Value), expected)
	}
	return v
}

// mapping converts a mapping: merge keys first, then its own keys, which override them in place.
func (c *converter) mapping(n *yaml.Node, at pos, depth int) *value {
	m := keyed{keys: make([]entry, 0, len(n.Content)/2)}
	if len(n.Content)/2 > smallDict {
		m.index = make(map[string]int, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !isMerge(key) {
			continue
		}
		c.begin(c.at(key))
		for _, e := range c.merge(key, n.Content[i+1], depth) {
			if m.find(e.key) < 0 {
				m.add(e)
			}
		}
	}
	merged := len(m.keys)
	var overridden map[string]pos // merged keys that came again
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if isMerge(key) {
			continue
		}
		e, ok := c.key(key, depth)
		if !ok {
			c.convert(n.Content[i+1], depth+1)
			continue
		}
		if depth == 0 {
			c.rep.dagID = ""
			if dagKey(e.key) {
				c.rep.dagID = e.key
			}
		}
		c.path = append(c.path, step{key: e.key})
		j := m.find(e.key)
		if first, again := overridden[e.key]; again {
			c.duplicate(e, first)
		} else if j >= merged {
			c.duplicate(e, m.keys[j].pos)
		}
		e.val = c.convert(n.Content[i+1], depth+1)
		c.path = c.path[:len(c.path)-1]
		if j < 0 {
			m.add(e)
			continue
		}
		if j < merged {
			if overridden == nil {
				overridden = map[string]pos{}
			}
			overridden[e.key] = e.pos
		}
		m.keys[j] = e
	}
	return newDict(at, m.keys)
}

func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.Tag == "!!merge" }

func (c *converter) duplicate(e entry, first pos) {
	_, line, _ := c.src.locate(first)
	c.errorf(e.pos, "duplicate key %q; it is already given in line %d", clip(e.key), line)
}

// keyed is a growing list of entries with look-up by key; index is nil for small ones.
type keyed struct {
	keys  []entry
	index map[string]int
}

func (m *keyed) find(key string) int {
	if m.index != nil {
		if i, ok := m.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range m.keys {
		if m.keys[i].key == key {
			return i
		}
	}
	return -1
}

func (m *keyed) add(e entry) {
	if m.index == nil && len(m.keys) == smallDict {
		m.index = make(map[string]int, 2*smallDict)
		for i := range m.keys {
			m.index[m.keys[i].key] = i
		}
	}
	if m.index != nil {
		m.index[e.key] = len(m.keys)
	}
	m.keys = append(m.keys, e)
}

// key converts a key to its text. Keys of other types keep the text JSON gives them.
func (c *converter) key(n *yaml.Node, depth int) (entry, bool) {
	at := c.at(n)
	k := c.convert(n, depth+1)
	switch k.kind {
	case kindText:
		return entry{key: k.data.(string), kind: kindText, pos: at}, true
	case kindList, kindDict:
		c.errorf(at, "a key must be a string, not %s", k.describe())
		return entry{}, false
	case kindNull:
		return entry{key: "null", kind: kindNull, pos: at}, true
	case kindBool:
		return entry{key: fmt.Sprint(k.data), kind: kindBool, pos: at}, true
	}
	return entry{key: pythonText(k.kind, k.data), kind: k.kind, pos: at}, true
}

// merge returns the entries that "<<: value" brings in; of several dicts the first with a key wins.
func (c *converter) merge(key, n *yaml.Node, depth int) []entry {
	v := c.convert(n, depth+1)
	switch v.kind {
	case kindDict:
		return v.keys
	case kindList:
		var all []entry
		for _, item := range v.items {
			if item.kind != kindDict {
				c.errorf(item.pos, "a merge key takes dicts, not %s", item.describe())
				continue
			}
			all = append(all, item.keys...)
		}
		return all
	}
	c.errorf(c.at(key), "a merge key takes a dict or a list of dicts, not %s", v.describe())
	return nil
}

// number returns a value as float64.
func (v *value) number() (float64, bool) {
	switch n := v.data.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(n).Float64()
		return f, true
	}
	return 0, false
}

// moment returns a date or datetime.
func (v *value) moment() (time.Time, bool) {
	t, ok := v.data.(time.Time)
	return t, ok
}
