package connections

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Formats of `gust connections export` and import.
const (
	FormatJSON = "json"
	FormatYAML = "yaml"
	FormatEnv  = "env"
)

// Export writes connections in a file format of `airflow connections export`, secrets included, sorted by id:
// FormatJSON, FormatYAML or FormatEnv. In the env format serialization chooses "uri" (also "") or "json" for the
// values; the others take none.
func Export(conns []*Connection, format, serialization string) ([]byte, error) {
	conns = slices.SortedFunc(slices.Values(conns), func(a, b *Connection) int { return cmp.Compare(a.ID, b.ID) })
	if serialization != "" && serialization != "uri" && serialization != "json" {
		return nil, fmt.Errorf("unexpected serialization format %q; expected uri or json", serialization)
	}
	if serialization != "" && format != FormatEnv {
		return nil, errors.New("a serialization format may only be used with the file format env")
	}
	switch format {
	case FormatEnv:
		var b strings.Builder
		for _, c := range conns {
			value := c.URI()
			if serialization == "json" {
				value = c.JSON()
			}
			b.WriteString(c.ID + "=" + value + "\n")
		}
		return []byte(b.String()), nil
	case FormatJSON:
		return exportJSON(conns), nil
	case FormatYAML:
		return exportYAML(conns)
	}
	return nil, fmt.Errorf("unsupported file format %q; expected json, yaml or env", format)
}

// member is one line of an exported connection; value is *string, int or nil.
type member struct {
	key   string
	value any
}

// exported lists all fields, as Airflow exports them: absent ones as null, the extra as a text.
func (c *Connection) exported() []member {
	members := []member{
		{"conn_type", &c.Type}, {"description", nil}, {"login", c.Login}, {"password", c.Password}, {"host", c.Host},
		{"port", nil}, {"schema", c.Schema}, {"extra", nil},
	}
	if c.Description != "" {
		members[1].value = &c.Description
	}
	if c.Port != 0 {
		members[5].value = c.Port
	}
	if len(c.Extra) > 0 {
		members[7].value = new(string(c.Extra))
	}
	return members
}

func exportJSON(conns []*Connection) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range conns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		writeString(&b, c.ID)
		b.WriteString(": {")
		for j, m := range c.exported() {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n    ")
			writeString(&b, m.key)
			b.WriteString(": ")
			switch v := m.value.(type) {
			case *string:
				if v == nil {
					b.WriteString("null")
				} else {
					writeString(&b, *v)
				}
			case int:
				b.WriteString(strconv.Itoa(v))
			default:
				b.WriteString("null")
			}
		}
		b.WriteString("\n  }")
	}
	if len(conns) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

func exportYAML(conns []*Connection) ([]byte, error) {
	all := map[string]map[string]any{}
	for _, c := range conns {
		one := map[string]any{}
		for _, m := range c.exported() {
			one[m.key] = m.value
		}
		all[c.ID] = one
	}
	return yaml.Marshal(all)
}

// Import reads connections in a file format; name is shown in errors and its ending tells the format (.json, .yaml,
// .yml, .env). They are returned by id. Every problem is reported.
func Import(name string, data []byte) ([]*Connection, error) {
	byID, err := readFile(name, data)
	if err != nil {
		return nil, err
	}
	var conns []*Connection
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		if entry := byID[id]; entry.err != nil {
			errs = append(errs, entry.err)
		} else {
			conns = append(conns, entry.conn)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return conns, nil
}
