package connections

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// node is a value of a YAML or JSON document with its place.
type node struct{ *yaml.Node }

type pair struct {
	key   string
	at    node // the key
	value node
}

func (n node) isText() bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!str" }
func (n node) isNull() bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kind names the type of a value without showing it.
func (n node) kind() string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "null"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

func (n node) fail(key, problem, expected string) *FormError {
	return &FormError{Line: n.Line, Col: n.Column, Key: key, Problem: problem, Expected: expected}
}

// maxNodes bounds a document after its YAML aliases are followed.
const maxNodes = 200_000

// pairs lists an object's members in order, YAML merge keys applied. A key that occurs twice is an error.
func (n node) pairs() ([]pair, error) { return n.pairsWithin(0) }

func (n node) pairsWithin(depth int) ([]pair, error) {
	if depth > 20 {
		return nil, n.fail("", "YAML merges are nested too deeply", "")
	}
	var own, merged []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, value := node{n.Content[i]}.target(), node{n.Content[i+1]}.resolve()
		if at.Tag == "!!merge" {
			more, err := value.mergePairs(depth)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		if at.Kind != yaml.ScalarNode {
			return nil, at.fail("", "a key is "+at.kind(), "a text")
		}
		if seen[at.Value] {
			return nil, at.fail("", fmt.Sprintf("the key %q occurs twice", at.Value), "")
		}
		seen[at.Value] = true
		own = append(own, pair{key: at.Value, at: at, value: value})
	}
	for _, p := range merged {
		if !seen[p.key] {
			seen[p.key] = true
			own = append(own, p)
		}
	}
	return own, nil
}

func (n node) mergePairs(depth int) ([]pair, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return n.pairsWithin(depth + 1)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range n.Content {
			more, err := node{item}.resolve().mergePairs(depth + 1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	}
	return nil, n.fail("", "<< merges "+n.kind(), "an object")
}

// target follows an alias.
func (n node) target() node {
	for i := 0; n.Kind == yaml.AliasNode && i < 100; i++ {
		n = node{n.Alias}
	}
	return n
}

// resolve follows an alias and reads YAML 1.1 booleans (yes, no, on, off), as Airflow's YAML reader does.
func (n node) resolve() node {
	n = n.target()
	if n.Kind != yaml.ScalarNode {
		return n
	}
	tag := n.ShortTag()
	value := n.Value
	if tag == "!!str" && n.Style == 0 {
		switch strings.ToLower(n.Value) {
		case "yes", "on":
			tag, value = "!!bool", "true"
		case "no", "off":
			tag, value = "!!bool", "false"
		}
	}
	return node{&yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: n.Line, Column: n.Column, Style: n.Style}}
}

// appendJSON writes the value as Python's json.dumps would: ", " and ": " between, ASCII only, members in order.
func (n node) appendJSON(b *strings.Builder, budget *int) error {
	if *budget--; *budget < 0 {
		return n.fail("", "the document is too large", fmt.Sprintf("at most %d values", maxNodes))
	}
	switch n.Kind {
	case yaml.MappingNode:
		pairs, err := n.pairs()
		if err != nil {
			return err
		}
		b.WriteByte('{')
		for i, p := range pairs {
			if i > 0 {
				b.WriteString(", ")
			}
			writeString(b, p.key)
			b.WriteString(": ")
			if err := p.value.appendJSON(b, budget); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := (node{item}).resolve().appendJSON(b, budget); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		return n.appendScalar(b)
	}
	return nil
}

func (n node) appendScalar(b *strings.Builder) error {
	switch n.Tag {
	case "!!null":
		b.WriteString("null")
	case "!!bool":
		b.WriteString(strings.ToLower(n.Value))
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			b.WriteString(n.Value)
			return nil
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return n.fail("", "not a number", "")
		}
		out, err := json.Marshal(v)
		if err != nil { // .inf, .nan
			return n.fail("", "a number that JSON cannot hold", "a finite number")
		}
		b.Write(out)
	default:
		writeString(b, n.Value)
	}
	return nil
}

func (n node) json() (json.RawMessage, error) {
	var b strings.Builder
	budget := maxNodes
	if err := n.appendJSON(&b, &budget); err != nil {
		return nil, err
	}
	return json.RawMessage(b.String()), nil
}

// writeString writes a JSON string in ASCII.
func writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r < ' ' || r >= utf8.RuneSelf || r == 0x7f:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// jsonNode parses a JSON document, keeping places and the order of members.
func jsonNode(text []byte) (node, error) {
	r := &jsonReader{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	n, err := r.value()
	if err != nil {
		return node{}, r.failure(err)
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		line, col := r.place(r.start())
		return node{}, &FormError{Line: line, Col: col, Problem: "text follows the JSON value", Expected: "one JSON value"}
	}
	return node{n}, nil
}

type jsonReader struct {
	text  []byte
	dec   *json.Decoder
	depth int
	at    int // where the last token that was asked for begins
}

// start is where the next token begins.
func (r *jsonReader) start() int {
	i := int(r.dec.InputOffset())
	for i < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[i]) >= 0 {
		i++
	}
	return i
}

func (r *jsonReader) place(offset int) (line, col int) {
	before := r.text[:min(max(offset, 0), len(r.text))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

func (r *jsonReader) failure(err error) error {
	var syntax *json.SyntaxError
	var form *FormError
	switch {
	case errors.As(err, &form):
		return form
	case errors.As(err, &syntax): // its offset is not that of the text
		line, col := r.place(r.at)
		return &FormError{Line: line, Col: col, Problem: "not JSON: " + syntaxText(syntax)}
	}
	line, col := r.place(len(r.text))
	return &FormError{Line: line, Col: col, Problem: "not JSON: unexpected end"}
}

// syntaxText keeps the context of a syntax error but not the offending character, which may be part of a secret.
func syntaxText(err *json.SyntaxError) string {
	if _, where, ok := strings.Cut(err.Error(), "' "); ok {
		return "unexpected character " + where
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func (r *jsonReader) value() (*yaml.Node, error) {
	r.at = r.start()
	line, col := r.place(r.at)
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: line, Column: col, Style: yaml.DoubleQuotedStyle}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(v)
	case nil:
		n.Tag = "!!null"
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if v == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		if r.depth++; r.depth > 1000 {
			return nil, &FormError{Line: line, Col: col, Problem: "the JSON is nested too deeply"}
		}
		for r.dec.More() { // an object's keys are values of their own
			item, err := r.value()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		r.depth--
		r.at = r.start()
		if _, err := r.dec.Token(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// yamlNode parses a YAML document.
func yamlNode(text []byte) (node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		problem := strings.TrimPrefix(err.Error(), "yaml: ")
		if strings.HasPrefix(problem, "unknown anchor") { // its name may be an unquoted password
			return node{}, &FormError{Problem: `not YAML: a value begins with "*" but is no alias`, Hint: "put it in quotes"}
		}
		e := &FormError{Line: 1, Col: 1, Problem: "not YAML: " + problem} // the parser leaves "line 1" out
		if rest, ok := strings.CutPrefix(problem, "line "); ok {
			number, what, _ := strings.Cut(rest, ": ")
			if line, err := strconv.Atoi(number); err == nil {
				e.Line, e.Col, e.Problem = line, 1, "not YAML: "+what
			}
		}
		return node{}, e
	}
	if len(doc.Content) == 0 {
		return node{&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}}, nil
	}
	return node{doc.Content[0]}.resolve(), nil
}

// objectOf reads an extra's members in order.
func objectOf(extra json.RawMessage) ([]pair, error) {
	n, err := jsonNode(extra)
	if err != nil {
		return nil, err
	}
	if n.Kind != yaml.MappingNode {
		return nil, n.fail("", n.kind(), "a JSON object")
	}
	return n.pairs()
}
