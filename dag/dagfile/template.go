package dagfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"gust/internal/param"
)

// child steps from a value to a key or list index.
func child(v *value, path, key string) (*value, string) {
	if v.kind == kindList {
		i, err := strconv.Atoi(key)
		if err == nil && i >= 0 && i < len(v.items) {
			return v.items[i], fmt.Sprintf("%s[%d]", path, i)
		}
		return nil, path + "." + key
	}
	return v.get(key), path + "." + key
}

// templates compiles the templates of templated parameters and looks for template files.
func (p *operatorParams) templates() {
	for _, key := range p.order {
		a := p.vals[key]
		f, _ := p.schema.Field(key)
		if key == "bash_command" {
			p.b.warnExpanded(a)
		}
		switch {
		case f.Template:
		case len(f.Ext) > 0: // a text in a language of its own, or the name of its file
			if v := p.b.plain(a.val, a.path); v.kind == kindText && f.NamesFile(v.data) {
				p.text(key, v, a.path)
			}
			continue
		default:
			p.untemplated(a.val, a.path, f.Name)
			continue
		}
		p.template(p.b.plain(a.val, a.path), a.path, f.Ext)
	}
}

// template checks the texts in a value, its lists and the values of its dicts.
func (p *operatorParams) template(v *value, path string, ext []string) {
	switch v.kind {
	case kindList:
		for i, item := range v.items {
			p.template(item, fmt.Sprintf("%s[%d]", path, i), ext)
		}
	case kindDict:
		for _, e := range v.keys {
			p.template(e.val, path+"."+e.key, ext)
		}
	case kindText:
		text := v.data.(string)
		if !param.HasTemplate(text) {
			if slices.ContainsFunc(ext, func(x string) bool { return strings.HasSuffix(text, x) }) {
				p.file(v, path, text)
			}
			return
		}
		if p.b.checker == nil {
			return
		}
		if err := p.b.checker.Check(text); err != nil {
			p.b.templateError(v, path, err)
		}
	}
}

// untemplated warns about a template where none is rendered.
func (p *operatorParams) untemplated(v *value, path, name string) {
	if text, ok := v.text(); ok && param.HasTemplate(text) {
		p.b.warn(v.pos, path, Problem{
			Message: fmt.Sprintf("the template is not rendered: %s of %s is not a templated parameter", name,
				p.spec.Name),
		})
	}
}

// templateError places an error at its line and column in the file where the text's layout allows.
func (b *builder) templateError(v *value, path string, err error) {
	at, message := v.pos, err.Error()
	var te TemplateError
	if errors.As(err, &te) {
		line, col := te.Position()
		if line > 0 {
			at = b.inside(v, line, max(col, 1))
			message = withoutPosition(message, line, col)
		}
	}
	b.fail(at, path, Problem{Message: "the template does not compile: " + message})
}

// withoutPosition drops the position that a template error may begin with: the problem says where it is in the file.
func withoutPosition(message string, line, col int) string {
	return strings.TrimPrefix(message, fmt.Sprintf("line %d, column %d: ", line, col))
}

// inside is the position of a line and column of a text in its file: exact for one line and for literal blocks (|), the
// beginning of the value otherwise.
func (b *builder) inside(v *value, row, column int) pos {
	at, line, col := v.pos, int32(row), int32(column)
	text := v.data.(string)
	switch {
	case yaml.Style(v.style)&yaml.LiteralStyle != 0:
		at.line += line
		indented := v.pos.src.line(at.line)
		at.col = indent(indented) + col
		if lines := strings.Split(text, "\n"); row <= len(lines) {
			// Spaces that belong to the text are not indentation.
			at.col -= indent(lines[row-1])
		}
	case v.until.line == v.pos.line || !strings.Contains(text, "\n") && strings.Contains(v.pos.src.line(v.pos.line), text):
		at.col += col - 1
		if yaml.Style(v.style)&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			at.col++
		}
	}
	return at
}

func indent(line string) int32 { return int32(len(line) - len(strings.TrimLeft(line, " "))) }

// file checks that a template file exists, where a worker will look for it, and that it compiles.
func (p *operatorParams) file(v *value, path, name string) {
	file, text, ok := p.b.lookUp(v, path, name, "template file", "a command that ends like a file name needs a space at its end")
	if ok {
		p.checkFile(file, text, path)
	}
}

// text reads the file that a parameter names instead of giving its text.
func (p *operatorParams) text(key string, v *value, path string) {
	file, text, ok := p.b.lookUp(v, path, v.data.(string), "file", "or the text itself instead of a name")
	if ok {
		p.files[key] = &source{path: file, text: []byte(text)}
	}
}

// lookUp reads a file where a worker will look for it. As with Jinja's loader a name stays inside the folders: ".." does
// not lead out, and a leading "/" is the root of each folder.
func (b *builder) lookUp(v *value, path, name, what, hint string) (file, text string, ok bool) {
	local := filepath.FromSlash(strings.TrimLeft(name, "/"))
	if !filepath.IsLocal(local) {
		b.fail(v.pos, path, Problem{
			Message: fmt.Sprintf("the %s %q lies outside of its folder", what, clip(name)),
			Hint:    "add the folder to template_searchpath; " + hint,
		})
		return "", "", false
	}
	var paths []string
	for _, dir := range append([]string{filepath.Dir(b.path)}, b.d.TemplateSearchPath...) {
		candidate := filepath.Join(dir, local)
		paths = append(paths, candidate)
		b.depends[candidate] = true
		text, err := os.ReadFile(candidate)
		switch {
		case err == nil:
			return candidate, string(text), true
		case !errors.Is(err, fs.ErrNotExist):
			b.errorf(v.pos, path, "cannot read the %s: %v", what, err)
			return "", "", false
		}
	}
	b.fail(v.pos, path, Problem{
		Message:  fmt.Sprintf("there is no %s %q", what, clip(name)),
		Expected: "a file at " + strings.Join(paths, " or "),
		Hint:     hint,
	})
	return "", "", false
}

func (p *operatorParams) checkFile(file, text, path string) {
	b := p.b
	if b.checker == nil || !param.HasTemplate(text) {
		return
	}
	err := b.checker.Check(text)
	if err == nil {
		return
	}
	at, message := pos{&source{path: file, text: []byte(text)}, place{1, 1}}, err.Error()
	var te TemplateError
	if errors.As(err, &te) {
		if line, col := te.Position(); line > 0 {
			at.place = place{int32(line), int32(max(col, 1))}
			message = withoutPosition(message, line, col)
		}
	}
	b.fail(at, path, Problem{Message: "the template does not compile: " + message})
}

// warnExpanded warns about variables of the shell that were expanded when the file was read: the command will not see
// those of its own environment.
func (b *builder) warnExpanded(a argument) {
	text, ok := a.val.text()
	if !ok {
		return
	}
	until := a.val.until
	if until.line == 0 {
		until.line = math.MaxInt32
	}
	for _, e := range a.val.pos.src.expanded(a.val.pos.place, until) {
		if !strings.Contains(text, e.value) {
			continue
		}
		b.warn(pos{a.val.pos.src, e.start}, a.path, Problem{
			Message: fmt.Sprintf("$%s was replaced by its value when the file was read, not when the command runs", e.name),
			Hint:    "set it in env under another name to have the shell expand it",
		})
	}
}
