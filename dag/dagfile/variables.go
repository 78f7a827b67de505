package dagfile

import (
	"fmt"
	"strconv"
	"strings"

	"gust/internal/param"
)

// variableArguments reads variables_as_arguments: [{variable: V, attribute: A}], which sets parameter A to the Airflow
// variable V if there is one. dag-factory looks when it reads the file; here a template looks when the task runs, so
// that a changed variable takes effect.
func (p *operatorParams) variableArguments(s *scope) {
	b, path := p.b, p.n.path+".variables_as_arguments"
	v := p.n.cfg.get("variables_as_arguments")
	if v.isNull() || p.spec == nil {
		return
	}
	if v = b.plain(v, path); v.kind != kindList {
		b.mismatch(v, path, "a list of {variable: ..., attribute: ...}")
		return
	}
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		variable, attribute := item.get("variable"), item.get("attribute")
		if variable.isNull() || attribute.isNull() {
			b.mismatch(item, at, "{variable: ..., attribute: ...}")
			continue
		}
		name, ok := b.text(variable, at+".variable")
		key, good := b.text(attribute, at+".attribute")
		if ok && good {
			p.variableArgument(s, name, key, attribute, at+".attribute")
		}
	}
}

func (p *operatorParams) variableArgument(s *scope, variable, key string, at *value, path string) {
	b := p.b
	f, ok := p.schemaField(key)
	if !ok {
		b.fail(at.pos, path, Problem{Message: "unknown parameter of " + p.spec.Name, Nearest: b.nearest(key, p.schema.Names())})
		return
	}
	if !f.Template || f.Type != "string" && f.Type != "any" {
		b.fail(at.pos, path, Problem{
			Message: fmt.Sprintf("%s of %s is not a templated text, which could take a variable's value", key, p.spec.Name),
		})
		return
	}
	given := p.find(f.Name)
	if a, inherited := s.args[key]; given == nil && inherited {
		given = &a
	}
	text := "{{ var.value.get(" + pythonQuoted(variable) + ") }}"
	if given != nil {
		old, isText := given.val.text()
		if !isText || param.HasTemplate(old) {
			b.fail(at.pos, path, Problem{
				Message: "the parameter's own value, for when there is no variable, is not a plain text",
				Hint:    "write a template with var.value.get in the parameter instead",
			})
			return
		}
		text = "{{ var.value.get(" + pythonQuoted(variable) + ", " + pythonQuoted(old) + ") }}"
	}
	for _, name := range append([]string{f.Name}, f.Aliases...) {
		delete(p.vals, name)
	}
	p.vals[f.Name] = argument{textEntry(f.Name, at, text).val, path}
}

// pythonQuoted is a text as a literal of templates.
func pythonQuoted(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return "'" + strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), "'", `\'`) + "'"
}
