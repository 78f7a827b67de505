package dagfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"gust/dag"
)

// fileLoader reads one file.
type fileLoader struct {
	*Loader
	*reporter
	path       string
	src        *source
	depends    map[string]bool
	env        map[string]bool
	order      []string // DAG ids in file order
	dags       []*dag.DAG
	validUntil time.Time
}

func (f *fileLoader) result() *File {
	out := &File{
		Path: f.path, Problems: f.sorted(), ValidUntil: f.validUntil,
		Depends: slices.Sorted(maps.Keys(f.depends)), Env: slices.Sorted(maps.Keys(f.env)),
	}
	for _, id := range f.order {
		if f.failed[id] {
			out.Failed = append(out.Failed, id)
		}
	}
	if !f.broken {
		out.DAGs = slices.DeleteFunc(f.dags, func(d *dag.DAG) bool { return f.failed[d.ID] })
	}
	return out
}

func (f *fileLoader) load() {
	start := pos{f.src, place{1, 1}}
	if IsDefaultsName(f.path) {
		f.warn(start, "", Problem{Message: "the file holds defaults for the files beside and below it, not DAGs"})
		if root := parse(f.src, f.reporter); root != nil && root.kind != kindDict {
			f.fail(root.pos, "", Problem{Message: "the file holds " + root.describe(), Expected: "a mapping of DAG keys"})
		}
		return
	}
	root := parse(f.src, f.reporter)
	if root == nil {
		return
	}
	if root.kind != kindDict {
		f.fail(root.pos, "", Problem{Message: "the file holds " + root.describe(), Expected: "a mapping of DAG ids to DAGs"})
		return
	}
	defaults := f.defaultsFor(f.path)
	block := f.block(root)
	for i := range root.keys {
		e := &root.keys[i]
		if !f.isDAG(e) {
			continue
		}
		f.dagID = e.key
		f.order = append(f.order, e.key)
		b := newBuilder(f, e)
		b.build(f.configure(e.val, block, defaults))
		f.dagID = ""
	}
}

// block returns the file's default block, or an empty dict.
func (f *fileLoader) block(root *value) *value {
	v := root.get("default")
	if v.isNull() {
		return newDict(root.pos, nil)
	}
	if v.kind != kindDict {
		f.fail(v.pos, "default", Problem{Message: "wrong type: " + v.describe(), Expected: "a dict of DAG keys"})
		return newDict(root.pos, nil)
	}
	return v
}

// isDAG reports whether a top-level key defines a DAG, with a warning for those that do not look like anything.
func (f *fileLoader) isDAG(e *entry) bool {
	if !dagKey(e.key) {
		if e.key == "task_groups" {
			f.warn(e.pos, e.key, Problem{
				Message: "has no effect at the top of a file", Hint: "move it into the DAG or the default block",
			})
		}
		return false
	}
	if e.val.kind == kindDict && e.val.typeName() == "" {
		return true
	}
	p := Problem{Message: "skipped: it is not a DAG but " + e.val.describe(), Expected: "a dict"}
	if _, known := dagKeys[e.key]; known {
		p.Hint = "DAG keys belong under a DAG id or the default block"
	}
	f.warn(e.pos, e.key, p)
	return false
}

// dagKey reports whether a top-level key may name a DAG: everything but the reserved words and the anchor holders.
func dagKey(key string) bool {
	return key != "default" && key != "task_groups" && !isAnchorHolder(key)
}

func isAnchorHolder(key string) bool {
	return key == "vars" || strings.HasPrefix(key, "x-")
}

// parse reads the one document of a source. Problems are reported; nil means that there is nothing to go on with.
func parse(src *source, rep *reporter) *value {
	doc, extra, err := parseYAML(src.text)
	switch {
	case errors.Is(err, io.EOF):
		rep.fail(pos{src, place{1, 1}}, "", Problem{Message: "the file is empty", Expected: "a mapping of DAG ids to DAGs"})
		return nil
	case err != nil:
		reportSyntax(src, rep, err)
		return nil
	case extra > 0:
		rep.fail(pos{src, place{int32(extra), 1}}, "", Problem{
			Message: "a second YAML document begins here", Expected: "one document per file",
			Hint: "remove the \"---\" and put all DAGs into one mapping, or split the file",
		})
		return nil
	}
	c := &converter{src: src, rep: rep, anchors: map[*yaml.Node]*value{}}
	root := c.convert(doc, 0)
	rep.dagID = ""
	if root.size > maxNodes && int(root.size)/maxRatio > c.nodes {
		rep.errorf(root.pos, "", "aliases expand the file's %d values to %d", c.nodes, root.size)
		return nil
	}
	return root
}

// parseYAML parses one document. extra is the line of a second one. The parser is foreign code that reads untrusted
// text, so that a panic in it is an error of the file.
func parseYAML(text []byte) (root *yaml.Node, extra int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser failed: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, 0, err
	}
	switch err := d.Decode(&second); {
	case err == nil:
		return nil, max(second.Line, 1), nil
	case !errors.Is(err, io.EOF):
		return nil, 0, err
	}
	if len(doc.Content) == 0 {
		return nil, 0, io.EOF
	}
	return doc.Content[0], 0, nil
}
