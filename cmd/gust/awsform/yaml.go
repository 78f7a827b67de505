package awsform

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"gust/stepfunctions/jsonvalue"
)

// yamlText writes YAML with sorted keys; a lone scalar is written as JSON. Unlike the AWS CLI it does not fold long lines.
func yamlText(b *strings.Builder, v jsonvalue.Value) error {
	if scalar(v) {
		b.Write(append(appendJSON(nil, v, "\n"), '\n'))
		return nil
	}
	if isObject(v) && v.Len() == 0 {
		return nil
	}
	enc := yaml.NewEncoder(b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(node(v)); err != nil {
		return err
	}
	return enc.Close()
}

func node(v jsonvalue.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch v.Kind() {
	case jsonvalue.Object:
		n.Kind = yaml.MappingNode
		for _, key := range sortedKeys(v) {
			item, _ := v.Get(key)
			n.Content = append(n.Content, stringNode(key), node(item))
		}
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
	case jsonvalue.Array:
		n.Kind = yaml.SequenceNode
		for _, item := range v.Items() {
			n.Content = append(n.Content, node(item))
		}
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
	case jsonvalue.String:
		return stringNode(v.Text())
	case jsonvalue.Null:
		n.Tag, n.Value = "!!null", "null"
	case jsonvalue.Bool:
		n.Tag, n.Value = "!!bool", v.String()
	case jsonvalue.Number:
		n.Tag, n.Value = "!!float", number(v)
		if v.IsIntLiteral() {
			n.Tag = "!!int"
		}
	}
	return n
}

// stringNode is a text; one that would be read as something else is quoted with single quotes.
func stringNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	var bare yaml.Node
	plain := yaml.Unmarshal([]byte(s), &bare) == nil && len(bare.Content) == 1 &&
		bare.Content[0].Kind == yaml.ScalarNode && bare.Content[0].Tag == "!!str" && bare.Content[0].Value == s
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }):
		n.Style = yaml.DoubleQuotedStyle
	case !plain:
		n.Style = yaml.SingleQuotedStyle
	}
	return n
}
