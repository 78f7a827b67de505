package dagfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"gust/dag"
)

const (
	assetWords     = "a URI, or an asset such as {__type__: airflow.sdk.Asset, uri: \"s3://bucket/key\"}"
	conditionWords = "a list of assets, {__and__: [...]}, {__or__: [...]}, or {datasets: ...}"
)

// combinators say how the parts of an asset condition belong together; true means all of them.
var combinators = map[string]bool{"__and__": true, "__or__": false}

// combinator returns the entry of a dict that combines assets, or nil.
func combinator(v *value) *entry {
	for _, key := range [...]string{"__and__", "__or__"} {
		if e := v.find(key); e != nil {
			return e
		}
	}
	return nil
}

// isAssetSchedule reports whether a schedule waits for assets. A text does when it names a URI.
func isAssetSchedule(v *value) bool {
	if text, ok := v.text(); ok {
		return strings.Contains(text, "://")
	}
	if v.kind == kindList || v.find("datasets") != nil || v.find("file") != nil || combinator(v) != nil {
		return true
	}
	class := className(v.typeName())
	return class == "list" || isAssetClass(class)
}

func isAssetClass(class string) bool {
	switch class {
	case "Asset", "Dataset", "AssetAlias", "DatasetAlias", "AssetAll", "AssetAny", "DatasetAll", "DatasetAny",
		"AssetOrTimeSchedule", "DatasetOrTimeSchedule", "AssetTriggeredTimetable", "DatasetTriggeredTimetable":
		return true
	}
	return false
}

// assetSchedule reads every form of a schedule on assets, those of Airflow 2 and 3 together.
func (b *builder) assetSchedule(v *value, path string) (dag.Schedule, bool) {
	switch class := className(v.typeName()); class {
	case "AssetOrTimeSchedule", "DatasetOrTimeSchedule":
		a, ok := b.bind(v, path, []string{"timetable", "assets", "datasets"}, false, false)
		if !ok {
			return dag.Schedule{}, false
		}
		when, at := a.arg("timetable")
		on, onPath := a.arg("assets")
		if on == nil {
			on, onPath = a.arg("datasets")
		}
		if when == nil || on == nil {
			b.fail(v.pos, path, Problem{Message: class + " needs a timetable and assets"})
			return dag.Schedule{}, false
		}
		return b.assetsAndTime(on, onPath, nil, when, at)
	case "AssetTriggeredTimetable", "DatasetTriggeredTimetable":
		a, ok := b.bind(v, path, []string{"assets"}, false, false)
		if !ok {
			return dag.Schedule{}, false
		}
		on, at := a.arg("assets")
		if on == nil {
			b.errorf(v.pos, path, "missing required argument %q of %s", "assets", class)
			return dag.Schedule{}, false
		}
		return b.assetsAndTime(on, at, nil, nil, "")
	}
	if v.kind == kindDict && v.typeName() == "" && combinator(v) == nil {
		return b.datasetSchedule(v, path)
	}
	return b.assetsAndTime(v, path, nil, nil, "")
}

// datasetSchedule reads {datasets: ..., file: ..., timetable: ...}.
func (b *builder) datasetSchedule(v *value, path string) (dag.Schedule, bool) {
	known := []string{"datasets", "file", "timetable"}
	for _, e := range v.keys {
		if e.key != "datasets" && e.key != "file" && e.key != "timetable" {
			b.fail(e.pos, path+"."+e.key, Problem{
				Message: "unknown key of a schedule", Expected: "one of " + strings.Join(known, ", "),
				Nearest: b.nearest(e.key, known),
			})
			return dag.Schedule{}, false
		}
	}
	var names map[string]string
	if file := v.get("file"); !file.isNull() {
		var ok bool
		if names, ok = b.assetFile(file, path+".file"); !ok {
			return dag.Schedule{}, false
		}
	}
	on := v.get("datasets")
	if on.isNull() {
		b.fail(v.pos, path, Problem{Message: "missing \"datasets\"", Expected: "URIs, names, or a condition"})
		return dag.Schedule{}, false
	}
	when, at := v.get("timetable"), path+".timetable"
	if when.isNull() {
		when = nil
	}
	return b.assetsAndTime(on, path+".datasets", names, when, at)
}

// assetsAndTime makes the schedule of a condition and, unless when is nil, a timetable. names are those of a datasets
// file; nil: none.
func (b *builder) assetsAndTime(on *value, path string, names map[string]string, when *value, at string) (dag.Schedule, bool) {
	s := dag.Schedule{Kind: dag.ScheduleAsset}
	c, ok := b.condition(on, path, names)
	if when != nil {
		s.Kind = dag.ScheduleAssetOrTime
		clock, good := b.readSchedule(when, at)
		if good && (clock.Assets != nil || clock.Kind == dag.ScheduleNone) {
			b.fail(when.pos, at, Problem{Message: "the timetable does not follow the clock", Expected: "a cron expression or a timetable"})
			good = false
		}
		s.Time, ok = &clock, ok && good
	}
	if !ok || c == nil {
		return s, false
	}
	s.Assets, s.Text = c, c.String()
	if when != nil {
		s.Text += " or " + s.Time.Text
	}
	return s, true
}

// condition reads a condition on assets. Nil without a problem means that there is nothing in it.
func (b *builder) condition(v *value, path string, names map[string]string) (*dag.AssetCondition, bool) {
	if e := combinator(v); e != nil {
		if len(v.keys) > 1 {
			b.errorf(e.pos, path, "%s must be the only key of its dict", e.key)
			return nil, false
		}
		path += "." + e.key
		items := b.plain(e.val, path)
		if items.kind != kindList {
			b.mismatch(items, path, "a list of assets")
			return nil, false
		}
		return b.conditions(items, path, names, combinators[e.key])
	}
	v = b.plain(v, path)
	switch class := className(v.typeName()); {
	case v.kind == kindList:
		return b.conditions(v, path, names, true)
	case class == "AssetAll", class == "DatasetAll", class == "AssetAny", class == "DatasetAny":
		a, ok := b.bind(v, path, nil, true, false)
		if !ok {
			return nil, false
		}
		list := &value{kind: kindList, pos: v.pos, items: a.rest}
		return b.conditions(list, path+".__args__", names, strings.HasSuffix(class, "All"))
	case v.kind == kindText:
		text := v.data.(string)
		if names == nil && !strings.ContainsAny(strings.TrimSpace(text), "&|() \t\n") {
			break // one URI, whatever it looks like
		}
		p := conditionParser{b: b, v: v, path: path, text: text, names: names}
		return p.parse()
	}
	ref, ok := b.asset(v, path)
	if !ok {
		return nil, false
	}
	return &dag.AssetCondition{Asset: ref.Asset, Alias: ref.Alias}, true
}

// conditions reads the parts of a condition; blank ones are left out.
func (b *builder) conditions(list *value, path string, names map[string]string, all bool) (*dag.AssetCondition, bool) {
	var parts []dag.AssetCondition
	good := true
	for i, item := range list.items {
		if isBlank(item) {
			continue
		}
		c, ok := b.condition(item, fmt.Sprintf("%s[%d]", path, i), names)
		good = good && ok
		if c != nil {
			parts = append(parts, *c)
		}
	}
	switch {
	case !good:
		return nil, false
	case len(parts) == 0:
		b.fail(list.pos, path, Problem{Message: "the list of assets is empty", Expected: "at least one asset, or schedule: null"})
		return nil, false
	case len(parts) == 1:
		return &parts[0], true
	case all:
		return &dag.AssetCondition{All: parts}, true
	}
	return &dag.AssetCondition{Any: parts}, true
}

// isBlank reports whether an item of a list of assets is one that dag-factory leaves out.
func isBlank(v *value) bool {
	text, isText := v.text()
	text = strings.TrimSpace(text)
	return v.isNull() || isText && (text == "" || strings.EqualFold(text, "none"))
}

// asset reads one asset or alias: a URI or an object.
func (b *builder) asset(v *value, path string) (dag.AssetRef, bool) {
	if uri, ok := v.text(); ok {
		return b.uriAsset(v, path, uri)
	}
	names, positional := []string{"name", "uri", "group", "extra", "watchers"}, 2
	switch className(v.typeName()) {
	case "Asset":
	case "Dataset":
		names = []string{"uri", "extra", "name", "group", "watchers"}
	case "AssetAlias", "DatasetAlias":
		return b.assetAlias(v, path)
	default:
		b.mismatch(v, path, assetWords)
		return dag.AssetRef{}, false
	}
	if args := v.get("__args__"); args != nil && len(args.items) > positional {
		b.errorf(args.pos, path+".__args__", "%s takes at most %d positional arguments", className(v.typeName()), positional)
		return dag.AssetRef{}, false
	}
	a, good := b.bind(v, path, names, false, false)
	var asset dag.Asset
	for key, to := range map[string]*string{"name": &asset.Name, "uri": &asset.URI, "group": &asset.Group} {
		if x, at := a.arg(key); x != nil {
			s, ok := b.text(x, at)
			*to, good = s, good && ok
		}
	}
	if x, at := a.arg("extra"); x != nil {
		if raw, ok := b.json(x, at); !ok {
			good = false
		} else if _, isDict := raw.(map[string]any); !isDict {
			b.mismatch(x, at, "a dict")
			good = false
		} else {
			asset.Extra = b.jsonText(raw, x, at)
		}
	}
	if x, at := a.arg("watchers"); x != nil {
		b.warn(x.pos, at, Problem{
			Message: "has no effect: asset watchers run Python triggers", Hint: "let a DAG with a sensor have the asset as its outlet",
		})
	}
	if !good {
		return dag.AssetRef{}, false
	}
	return b.named(v, path, asset)
}

// named completes the name and URI of an asset, of which either may be left out.
func (b *builder) named(v *value, path string, asset dag.Asset) (dag.AssetRef, bool) {
	if asset.Name == "" {
		asset.Name = asset.URI
	}
	if asset.URI == "" {
		asset.URI = asset.Name
	}
	switch {
	case strings.TrimSpace(asset.Name) == "":
		b.fail(v.pos, path, Problem{Message: "the asset has neither a name nor a URI", Expected: assetWords})
		return dag.AssetRef{}, false
	case len(asset.Name) > maxAssetLength, len(asset.URI) > maxAssetLength:
		b.errorf(v.pos, path, "the name or URI of an asset has more than %d characters", maxAssetLength)
		return dag.AssetRef{}, false
	case strings.HasPrefix(strings.ToLower(asset.URI), "airflow:"):
		b.errorf(v.pos, path, "%q: the scheme airflow is reserved", clip(asset.URI))
		return dag.AssetRef{}, false
	}
	return dag.AssetRef{Asset: &asset}, true
}

// maxAssetLength is how long the names and URIs of Airflow's assets may be.
const maxAssetLength = 1500

func (b *builder) uriAsset(v *value, path, uri string) (dag.AssetRef, bool) {
	uri = strings.TrimSpace(uri)
	return b.named(v, path, dag.Asset{Name: uri, URI: uri})
}

func (b *builder) assetAlias(v *value, path string) (dag.AssetRef, bool) {
	a, ok := b.bind(v, path, []string{"name", "group"}, false, false)
	if !ok {
		return dag.AssetRef{}, false
	}
	x, at := a.arg("name")
	if x == nil {
		b.errorf(v.pos, path, "missing required argument %q of %s", "name", a.class)
		return dag.AssetRef{}, false
	}
	name, ok := b.text(x, at)
	if ok && strings.TrimSpace(name) == "" {
		b.errorf(x.pos, at, "the name of the alias is empty")
		ok = false
	}
	return dag.AssetRef{Alias: name}, ok
}

// assetRefs reads a task's inlets or outlets: a list of assets, or {file: ..., datasets: [names]}.
func (b *builder) assetRefs(v *value, path string) ([]dag.AssetRef, bool) {
	var names map[string]string
	if v.find("file") != nil || v.find("datasets") != nil {
		if file := v.get("file"); !file.isNull() {
			var ok bool
			if names, ok = b.assetFile(file, path+".file"); !ok {
				return nil, false
			}
		}
		v, path = v.get("datasets"), path+".datasets"
		if v.isNull() {
			return nil, true
		}
	}
	v = b.plain(v, path)
	items := v.items
	if v.kind != kindList {
		if isAssetClass(className(v.typeName())) {
			items = []*value{v}
		} else {
			b.mismatch(v, path, "a list of assets")
			return nil, false
		}
	}
	var out []dag.AssetRef
	good := true
	for i, item := range items {
		at := path
		if v.kind == kindList {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		if isBlank(item) {
			continue
		}
		ref, ok := b.inletOrOutlet(item, at, names)
		good = good && ok
		out = append(out, ref)
	}
	return out, good
}

func (b *builder) inletOrOutlet(item *value, path string, names map[string]string) (dag.AssetRef, bool) {
	text, isText := item.text()
	if !isText || names == nil {
		return b.asset(item, path)
	}
	uri, ok := b.assetByName(item.pos, path, text, names)
	if !ok {
		return dag.AssetRef{}, false
	}
	return b.uriAsset(item, path, uri)
}

func (b *builder) assetByName(at pos, path, name string, names map[string]string) (string, bool) {
	uri, ok := names[name]
	if !ok {
		b.fail(at, path, Problem{
			Message: fmt.Sprintf("the datasets file has no dataset %q", clip(name)), Nearest: b.nearest(name, sortedKeys(names)),
		})
	}
	return uri, ok
}

// assetFile reads a datasets file: {datasets: [{name: ..., uri: ...}]}. As dag-factory does, its text is taken as it is:
// no environment variables are expanded.
func (b *builder) assetFile(v *value, path string) (map[string]string, bool) {
	name, ok := b.text(v, path)
	if !ok {
		return nil, false
	}
	name = b.beside(name)
	b.depends[name] = true
	text, err := os.ReadFile(name)
	if err != nil {
		b.errorf(v.pos, path, "cannot read the datasets file: %v", err)
		return nil, false
	}
	var doc struct {
		Datasets []struct {
			Name string `yaml:"name"`
			URI  string `yaml:"uri"`
		} `yaml:"datasets"`
	}
	if err := decodeYAML(text, &doc); err != nil {
		b.errorf(v.pos, path, "the datasets file %s cannot be read: %s", name, strings.TrimPrefix(firstLine(err.Error()), "yaml: "))
		return nil, false
	}
	names := make(map[string]string, len(doc.Datasets))
	for i, d := range doc.Datasets {
		if d.Name == "" || d.URI == "" {
			b.errorf(v.pos, path, "item %d of the datasets file %s lacks a name or a uri", i, name)
			return nil, false
		}
		names[d.Name] = d.URI
	}
	if len(names) == 0 {
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("the datasets file %s names no datasets", name), Expected: "datasets: [{name: ..., uri: ...}]",
		})
		return nil, false
	}
	return names, true
}

// decodeYAML decodes a document of a foreign file; a panic of the parser is its error.
func decodeYAML(text []byte, to any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser failed: %v", r)
		}
	}()
	return yaml.Unmarshal(text, to)
}

func firstLine(s string) string {
	line, rest, more := strings.Cut(s, "\n")
	if more && strings.HasSuffix(line, ":") {
		next, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		return line + " " + next
	}
	return line
}

// beside is the path of a file that a pipeline file names: a relative one is beside it.
func (b *builder) beside(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(filepath.Dir(b.path), name)
}
