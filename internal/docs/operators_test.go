package docs

import (
	"fmt"
	"strings"
	"testing"

	"gust/internal/app"
	"gust/internal/param"
	"gust/operators"
)

const operatorsHead = `# Operators and sensors

This page is generated from the declarations in the code: ` + "`go test ./internal/docs -update`" + ` writes it.
` + "`gust operators show NAME`" + ` prints the same in a terminal.

A task names its operator by the class name or by any of the import paths listed, and gives the parameters beside it.
Every task also has the [task arguments](pipelines.md#task-arguments). A parameter marked ✓ under "templated" is
[rendered](pipelines.md#templates) before the task runs. A duration is a number of seconds, a timedelta, or a text such
as ` + "`90s`" + `.

`

// TestOperatorsPage holds docs/operators.md to the registry.
func TestOperatorsPage(t *testing.T) {
	t.Parallel()
	registry, err := app.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(operatorsHead)
	var plain, sensing []*operators.Spec
	for _, s := range registry.Specs() {
		if s.Sensor {
			sensing = append(sensing, s)
		} else {
			plain = append(plain, s)
		}
	}
	index(&b, "Operators", plain)
	index(&b, "Sensors", sensing)
	ofAWS := shared(withField(registry.Specs(), "aws_conn_id"))
	ofSensors := shared(sensing)
	b.WriteString("## Every AWS task\n\nWhat the connection can say is in [connections.md](connections.md#aws).\n\n")
	table(&b, ofAWS)
	b.WriteString("## Every sensor\n\nHow sensors wait is in [pipelines.md](pipelines.md#sensors).\n\n")
	table(&b, ofSensors)
	for _, s := range append(plain, sensing...) {
		describe(&b, s, ofAWS, ofSensors)
	}
	check(t, "docs/operators.md", strings.TrimRight(b.String(), "\n")+"\n")
}

func index(b *strings.Builder, title string, specs []*operators.Spec) {
	fmt.Fprintf(b, "%s:\n\n", title)
	for _, s := range specs {
		fmt.Fprintf(b, "- [%s](#%s)\n", s.Name, anchor(s.Name))
	}
	b.WriteString("\n")
}

func withField(specs []*operators.Spec, name string) []*operators.Spec {
	var found []*operators.Spec
	for _, s := range specs {
		if _, ok := s.Schema().Field(name); ok {
			found = append(found, s)
		}
	}
	return found
}

// shared are the parameters that all specs declare alike.
func shared(specs []*operators.Spec) []param.Field {
	var fields []param.Field
	for _, f := range specs[0].Schema().Fields {
		all := true
		for _, s := range specs[1:] {
			other, ok := s.Schema().Field(f.Name)
			all = all && ok && row(other) == row(&f)
		}
		if all {
			fields = append(fields, f)
		}
	}
	return fields
}

func row(f *param.Field) string {
	name := "`" + f.Name + "`"
	for _, alias := range f.Aliases {
		name += ", `" + alias + "`"
	}
	typ := f.Type
	if len(f.Enum) > 0 {
		typ = strings.Join(f.Enum, ", ")
	}
	def := "`" + f.Default + "`"
	switch {
	case f.Required:
		def = "required"
	case f.Default == "":
		def = ""
	}
	templated := ""
	if f.Template {
		templated = "✓"
	}
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ")
	doc := markdown(escape.Replace(f.Doc))
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", name, escape.Replace(typ), def, templated, doc)
}

// markdown keeps templates in a text from being read as something else.
func markdown(text string) string {
	out := ""
	for {
		before, rest, found := strings.Cut(text, "{{")
		inside, after, closed := strings.Cut(rest, "}}")
		if !found || !closed {
			return out + text
		}
		out += before + "`{{" + inside + "}}`"
		text = after
	}
}

func table(b *strings.Builder, fields []param.Field) {
	b.WriteString("| parameter | type | default | templated | meaning |\n|---|---|---|---|---|\n")
	for i := range fields {
		b.WriteString(row(&fields[i]) + "\n")
	}
	b.WriteString("\n")
}

func describe(b *strings.Builder, s *operators.Spec, ofAWS, ofSensors []param.Field) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", s.Name, wrap(s.Doc))
	if len(s.Aliases) > 0 {
		b.WriteString("Also written as:\n\n")
		for _, alias := range s.Aliases {
			fmt.Fprintf(b, "- `%s`\n", alias)
		}
		b.WriteString("\n")
	}
	common := map[string]bool{}
	var more []string
	add := func(applies bool, fields []param.Field, text string) {
		if !applies {
			return
		}
		for _, f := range fields {
			common[f.Name] = true
		}
		more = append(more, text)
	}
	_, aws := s.Schema().Field("aws_conn_id")
	add(aws, ofAWS, "[every AWS task](#every-aws-task)")
	add(s.Sensor, ofSensors, "[every sensor](#every-sensor)")
	var own []param.Field
	for _, f := range s.Schema().Fields {
		if !common[f.Name] {
			own = append(own, f)
		}
	}
	if len(own) > 0 {
		table(b, own)
	}
	if len(more) > 0 {
		fmt.Fprintf(b, "And the parameters of %s.\n\n", strings.Join(more, " and "))
	} else if len(own) == 0 {
		b.WriteString("It has no parameters.\n\n")
	}
	for _, l := range s.Links {
		fmt.Fprintf(b, "Link \"%s\": XCom `%s`.\n", l.Name, l.XComKey)
	}
	if len(s.Links) > 0 {
		b.WriteString("\n")
	}
}

// wrap breaks a text into lines.
func wrap(text string) string {
	var lines []string
	line := ""
	for _, word := range words(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > columns {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// words are what a line must not be broken in: a span of code is one.
func words(text string) []string {
	var all []string
	open := false
	for _, word := range strings.Fields(text) {
		if open {
			all[len(all)-1] += " " + word
		} else {
			all = append(all, word)
		}
		open = open != (strings.Count(word, "`")%2 == 1)
	}
	return all
}
