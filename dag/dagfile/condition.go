package dagfile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gust/dag"
)

// conditionParser reads a condition on assets that is written as a text: URIs, or names of a datasets file, combined by
// "&", "|" and parentheses. As in Python "&" binds tighter.
type conditionParser struct {
	b     *builder
	v     *value
	path  string
	text  string
	names map[string]string // of the datasets file; nil: URIs are written out
	i     int
	depth int
	bad   bool
}

const maxConditionDepth = 100

func (p *conditionParser) parse() (*dag.AssetCondition, bool) {
	c := p.either()
	if p.skip(); !p.bad && p.i < len(p.text) {
		p.fail(p.i, fmt.Sprintf("unexpected %q", p.text[p.i:p.i+1]), "\"&\", \"|\" or the end")
	}
	if p.bad {
		return nil, false
	}
	return &c, true
}

func (p *conditionParser) fail(at int, message, expected string) {
	if p.bad {
		return
	}
	p.bad = true
	column := utf8.RuneCountInString(p.text[:at]) + 1
	p.b.fail(p.b.inside(p.v, 1, column), p.path, Problem{
		Message: "the condition cannot be read: " + message, Expected: expected,
	})
}

func (p *conditionParser) skip() {
	for p.i < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.i]) >= 0 {
		p.i++
	}
}

// take consumes a character if it is next.
func (p *conditionParser) take(c byte) bool {
	p.skip()
	if p.bad || p.i >= len(p.text) || p.text[p.i] != c {
		return false
	}
	p.i++
	return true
}

func (p *conditionParser) either() dag.AssetCondition {
	parts := []dag.AssetCondition{p.both()}
	for p.take('|') {
		parts = append(parts, p.both())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return dag.AssetCondition{Any: parts}
}

func (p *conditionParser) both() dag.AssetCondition {
	parts := []dag.AssetCondition{p.term()}
	for p.take('&') {
		parts = append(parts, p.term())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return dag.AssetCondition{All: parts}
}

func (p *conditionParser) term() dag.AssetCondition {
	open := p.i
	if p.take('(') {
		if p.depth++; p.depth > maxConditionDepth {
			p.fail(open, "it is nested too deep", "")
			return dag.AssetCondition{}
		}
		c := p.either()
		p.depth--
		if !p.take(')') {
			p.fail(min(p.i, len(p.text)), "a parenthesis is not closed", "\")\"")
		}
		return c
	}
	p.skip()
	start := p.i
	for p.i < len(p.text) && strings.IndexByte(" \t\r\n&|()", p.text[p.i]) < 0 {
		p.i++
	}
	word := p.text[start:p.i]
	if word == "" || p.bad {
		p.fail(start, "an asset is missing", "a URI or a name")
		return dag.AssetCondition{}
	}
	uri := word
	if p.names != nil {
		var ok bool
		if uri, ok = p.b.assetByName(p.b.inside(p.v, 1, utf8.RuneCountInString(p.text[:start])+1), p.path, word, p.names); !ok {
			p.bad = true
			return dag.AssetCondition{}
		}
	} else if !strings.Contains(word, "://") {
		p.fail(start, fmt.Sprintf("%q is not a URI", clip(word)), "a URI such as \"s3://bucket/key\"")
		return dag.AssetCondition{}
	}
	return dag.AssetCondition{Asset: &dag.Asset{Name: uri, URI: uri}}
}
