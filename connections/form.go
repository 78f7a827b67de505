package connections

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"gust/internal/param"
)

// FormError says why a connection text cannot be read. It never contains a value that may be secret.
type FormError struct {
	// File is the file the text is in, or "".
	File string
	// Line and Col are the place in the file or text, counted from 1; 0 when unknown.
	Line, Col int
	// ID is the connection's id, or "".
	ID string
	// Key leads to the value, dotted ("extra.region_name"), or is "".
	Key string
	// Problem is what is wrong, Expected what would be right, Nearest the name that was probably meant, Hint what to
	// do next. All but Problem may be empty.
	Problem, Expected, Nearest, Hint string
}

func (e *FormError) Error() string {
	var b strings.Builder
	switch {
	case e.File != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Col)
	case e.File != "":
		b.WriteString(e.File + ": ")
	}
	if e.ID != "" {
		fmt.Fprintf(&b, "connection %q: ", e.ID)
	}
	if e.File == "" && e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Col)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	if e.Expected != "" {
		b.WriteString("; expected " + e.Expected)
	}
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// formKeys are the keys of the JSON and YAML forms.
var formKeys = []string{
	"conn_type", "description", "host", "login", "password", "schema", "port", "extra", "extra_dejson", "uri", "conn_id",
}

// fromNode reads the object form of a connection.
func fromNode(id string, n node) (*Connection, error) {
	c, err := readObject(id, n)
	if err != nil {
		var form *FormError
		if errors.As(err, &form) && form.ID == "" {
			form.ID = id
		}
		return nil, err
	}
	return c, nil
}

func readObject(id string, n node) (*Connection, error) {
	if n.Kind != yaml.MappingNode {
		return nil, n.fail("", "the connection is "+n.kind(), "an object or a URI")
	}
	pairs, err := n.pairs()
	if err != nil {
		return nil, err
	}
	c := &Connection{ID: id}
	given := map[string]bool{}
	for _, p := range pairs {
		if !slices.Contains(formKeys, p.key) {
			e := p.at.fail("", fmt.Sprintf("unknown key %q", p.key), "one of "+strings.Join(formKeys[:8], ", "))
			e.Nearest = param.Nearest(p.key, formKeys)
			return nil, e
		}
		if p.value.isNull() {
			continue
		}
		if err := c.setKey(p); err != nil {
			return nil, err
		}
		given[p.key] = true
	}
	if given["uri"] {
		return c.fromURIKey(n, given)
	}
	if given["extra"] && given["extra_dejson"] {
		return nil, n.fail("", "extra and extra_dejson are both given", "one of them")
	}
	return c, nil
}

func (c *Connection) setKey(p pair) error {
	switch p.key {
	case "extra", "extra_dejson":
		return c.setExtraNode(p)
	case "port":
		return c.setPort(p)
	}
	if !p.value.isText() {
		e := p.value.fail(p.key, "wrong type: "+p.value.kind(), "a text")
		e.Hint = "put the value in quotes"
		return e
	}
	value := p.value.Value
	switch p.key {
	case "conn_type":
		c.Type = normalType(value)
	case "description":
		c.Description = value
	case "host":
		c.Host = &value
	case "login":
		c.Login = &value
	case "password":
		c.Password = &value
	case "schema":
		c.Schema = &value
	case "conn_id":
		if value != c.ID {
			problem := fmt.Sprintf("%q does not match the connection's id %q", value, c.ID)
			return p.value.fail("conn_id", problem, "the same id, or none")
		}
	case "uri":
		parsed, err := ParseURI(c.ID, value)
		if err != nil {
			var form *FormError
			if errors.As(err, &form) && form.Line == 0 {
				form.Line, form.Col = p.value.Line, p.value.Column
			}
			return err
		}
		parsed.Description = c.Description
		*c = *parsed
	}
	return nil
}

// fromURIKey checks an object that holds a URI: next to it only the id and a description may stand.
func (c *Connection) fromURIKey(n node, given map[string]bool) (*Connection, error) {
	for _, key := range formKeys {
		if given[key] && key != "uri" && key != "conn_id" && key != "description" {
			problem := "uri and " + key + " are both given; you can't mix these two ways"
			return nil, n.fail("", problem, "a URI or individual values")
		}
	}
	return c, nil
}

func (c *Connection) setPort(p pair) error {
	n, err := strconv.Atoi(strings.TrimSpace(p.value.Value))
	switch {
	case p.value.Kind != yaml.ScalarNode || p.value.Tag == "!!bool":
		return p.value.fail("port", "wrong type: "+p.value.kind(), "an integer")
	case err != nil:
		problem := "expected integer value for `port`, but got " + p.value.kind() + " that is none"
		return p.value.fail("port", problem, "digits, such as 5432")
	case n < 0 || n > 65535:
		return p.value.fail("port", fmt.Sprintf("%d is out of range", n), "0 to 65535")
	}
	c.Port = n
	return nil
}

func (c *Connection) setExtraNode(p pair) error {
	switch {
	case p.value.isText():
		if p.value.Value == "" {
			return nil
		}
		err := c.setExtraText(p.value.Value, p.key)
		var form *FormError
		if errors.As(err, &form) {
			form.Line, form.Col = p.value.Line, p.value.Column
		}
		return err
	case p.value.Kind != yaml.MappingNode:
		problem := "encountered JSON value in `extra` which does not parse as a dictionary: " + p.value.kind()
		return p.value.fail(p.key, problem, "an object")
	}
	raw, err := p.value.json()
	if err != nil {
		return err
	}
	c.Extra = raw
	return nil
}

// setExtraText takes an extra as JSON text, kept as written.
func (c *Connection) setExtraText(raw, key string) error {
	n, err := jsonNode([]byte(raw))
	var form *FormError
	switch {
	case errors.As(err, &form):
		return &FormError{
			ID: c.ID, Key: key,
			Problem:  fmt.Sprintf("encountered non-JSON in `extra` field at character %d of it", form.Col),
			Expected: "a JSON object",
		}
	case n.Kind != yaml.MappingNode:
		return &FormError{
			ID: c.ID, Key: key, Problem: "encountered JSON value in `extra` which does not parse as a dictionary: " + n.kind(),
			Expected: "a JSON object",
		}
	}
	if _, err := n.json(); err != nil { // a key that occurs twice
		if errors.As(err, &form) {
			return &FormError{ID: c.ID, Key: key, Problem: "in `extra`, " + form.Problem, Expected: form.Expected}
		}
		return err
	}
	c.Extra = json.RawMessage(raw)
	return nil
}

// ParseJSON reads Airflow's JSON form of a connection: an object with any of conn_type, description, host, login,
// password, schema, port and extra (an object, or a text that holds one), or with uri alone. An unknown key is an
// error. Errors are *FormError with the place in the text.
func ParseJSON(id, text string) (*Connection, error) {
	n, err := jsonNode([]byte(strings.TrimSpace(text)))
	if err != nil {
		var form *FormError
		if errors.As(err, &form) {
			form.ID = id
		}
		return nil, err
	}
	return fromNode(id, n)
}

// Parse reads either form: a text that begins with "{" is JSON, any other a URI. Space around it does not count.
func Parse(id, text string) (*Connection, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, &FormError{ID: id, Problem: "the text is empty", Expected: "a URI (" + uriShape + ") or a JSON object"}
	case text[0] == '{':
		return ParseJSON(id, text)
	}
	return ParseURI(id, text)
}

// JSON returns the connection as Airflow's as_json does, secrets included: absent fields, the id and an empty extra
// are left out.
func (c *Connection) JSON() string {
	var b strings.Builder
	b.WriteByte('{')
	member := func(key string) {
		if b.Len() > 1 {
			b.WriteString(", ")
		}
		writeString(&b, key)
		b.WriteString(": ")
	}
	put := func(key string, value *string) {
		if value != nil {
			member(key)
			writeString(&b, *value)
		}
	}
	if c.Type != "" {
		put("conn_type", &c.Type)
	}
	if c.Description != "" {
		put("description", &c.Description)
	}
	put("host", c.Host)
	put("login", c.Login)
	put("password", c.Password)
	put("schema", c.Schema)
	if c.Port != 0 {
		member("port")
		b.WriteString(strconv.Itoa(c.Port))
	}
	if pairs, err := objectOf(c.Extra); err == nil && len(pairs) > 0 {
		member("extra")
		b.Write(c.Extra)
	}
	b.WriteByte('}')
	return b.String()
}
