package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const head = `# Gust: every setting with its default. Leave out what you do not change.
#
# A variable GUST__SECTION__KEY overrides a setting: GUST__CORE__PARALLELISM=8. "gust config list" prints what counts.
# Durations are seconds or texts such as 90s and 1h30m. Relative paths start at this file's folder, or where it says so
# at the home folder (GUST_HOME, default: .gust beside this file).
`

const referenceHead = `# Settings

Settings of the process are read from config.yaml: the file that --config or GUST_CONFIG names, else the one in the working
directory, else the defaults below count. A variable GUST__SECTION__KEY overrides a setting, for example
GUST__CORE__PARALLELISM=8. What is unknown or of the wrong type is an error that names file, line, column and the nearest
valid name. "gust config list" prints what counts and where it comes from.

Durations are numbers of seconds or texts such as 90s and 1h30m. Relative paths start at the folder of config.yaml, or where
it says so at the home folder: GUST_HOME, default .gust beside config.yaml.

`

// Sample is a configuration file that holds every setting with its default and its explanation: config.yaml of the
// repository.
func Sample() ([]byte, error) {
	sections, err := schema()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(head)
	for _, s := range within(sections, "") {
		writeSample(&b, sections, s, "")
	}
	return []byte(b.String()), nil
}

func writeSample(b *strings.Builder, all []section, s *section, indent string) {
	fmt.Fprintf(b, "\n%s# %s\n%s%s:\n", indent, s.doc, indent, s.leaf())
	for i, one := range s.settings {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%s  # %s\n%s  %s: %s\n", indent, one.doc, indent, one.key, one.literal())
	}
	for _, inner := range within(all, s.name) {
		writeSample(b, all, inner, indent+"  ")
	}
}

// Reference is the documentation page of all settings, in Markdown: docs/SETTINGS.md of the repository.
func Reference() (string, error) {
	sections, err := schema()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, s := range sections {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| setting | default | meaning |\n|---|---|---|\n", s.name, s.doc)
		for _, one := range s.settings {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s Expects %s. |\n", one.key, one.literal(), cell(one.doc), cell(one.expected()))
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(text)
}

// literal is the default as YAML.
func (s *setting) literal() string {
	if s.typ != reflect.TypeFor[string]() {
		return s.standard
	}
	text, err := yaml.Marshal(s.standard)
	if err != nil {
		return strconv.Quote(s.standard)
	}
	return strings.TrimSpace(string(text))
}
