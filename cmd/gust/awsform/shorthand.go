package awsform

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// ShorthandError is a text that is not the AWS CLI's shorthand syntax.
type ShorthandError struct {
	Text string
	// At is where reading stopped, in bytes.
	At      int
	Problem string
}

func (e *ShorthandError) Error() string {
	return fmt.Sprintf("%s\n%s\n%s^", e.Problem, e.Text, strings.Repeat(" ", e.At))
}

// ParseShorthand reads key=value,key=value; a value is a word, a quoted text, words joined by commas (a=b,c), [list] or
// {object}. All scalars come out as texts: what they should be is up to their place.
func ParseShorthand(text string) (jsonvalue.Value, error) {
	p := &shorthand{text: text}
	return p.pairs(0)
}

// maxShorthandDepth is how deep lists and objects may nest.
const maxShorthandDepth = 100

// The words of the syntax. A word that follows a comma ends at an equals sign: it may turn out to be the next key.
var (
	firstWord    = regexp.MustCompile(`^(?:\\,|[!#-&(-+\--<>-Z\\-z|-\x{10ffff}])(?:\\,|[\s\v!#-&(-+\--\\^-|~-\x{10ffff}])*`)
	laterWord    = regexp.MustCompile(`^(?:\\,|[!#-&(-+\--<>-Z\\-z|-\x{10ffff}])(?:\\,|[\s\v!#-&(-+\--<>-\x{10ffff}])*`)
	singleQuoted = regexp.MustCompile(`^'(?:\\'|[^'])*'`)
	doubleQuoted = regexp.MustCompile(`^"(?:\\"|[^"])*"`)
	keyWord      = regexp.MustCompile(`^[-A-Za-z0-9_.#/:]*`)
)

type shorthand struct {
	text  string
	at    int
	depth int
}

func (p *shorthand) wrong(format string, args ...any) error {
	return &ShorthandError{p.text, p.at, fmt.Sprintf(format, args...)}
}

func (p *shorthand) rest() string { return p.text[p.at:] }
func (p *shorthand) end() bool    { return p.at >= len(p.text) }

// peek is the next byte, 0 at the end.
func (p *shorthand) peek() byte {
	if p.end() {
		return 0
	}
	return p.text[p.at]
}

func (p *shorthand) space() {
	p.at += len(p.rest()) - len(strings.TrimLeft(p.rest(), " \t\r\n\v\f"))
}

func (p *shorthand) accept(c byte) bool {
	p.space()
	if p.end() || p.text[p.at] != c {
		return false
	}
	p.at++
	p.space()
	return true
}

// pairs reads key=value,... up to closing, which it leaves; 0 is the end of the text.
func (p *shorthand) pairs(closing byte) (jsonvalue.Value, error) {
	seen := map[string]bool{}
	b := jsonvalue.NewObjectBuilder(4)
	for closing == 0 || p.peek() != closing {
		start := p.at
		key := keyWord.FindString(p.rest())
		p.at += len(key)
		if seen[key] && closing == 0 {
			p.at = start
			return jsonvalue.Value{}, p.wrong("the key %q occurs twice; objects of a list are separated with a space", key)
		}
		seen[key] = true
		if !p.accept('=') {
			return jsonvalue.Value{}, p.wrong("an equals sign was expected after the key %q", key)
		}
		v, err := p.value(closing == 0)
		if err != nil {
			return v, err
		}
		b.Set(key, v)
		p.space()
		if p.end() && closing == 0 || closing != 0 && p.peek() == closing {
			break
		}
		if !p.accept(',') {
			return jsonvalue.Value{}, p.wrong("a comma was expected here")
		}
	}
	return b.Value(), nil
}

// value reads a value; at the top one without brackets may be a list of words.
func (p *shorthand) value(top bool) (jsonvalue.Value, error) {
	if p.depth++; p.depth > maxShorthandDepth {
		return jsonvalue.Value{}, p.wrong("lists and objects nest more than %d levels deep", maxShorthandDepth)
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept('['):
		return p.list()
	case p.accept('{'):
		v, err := p.pairs('}')
		if err == nil {
			p.at++ // pairs stops before the bracket
			p.space()
		}
		return v, err
	case top && !p.end():
		return p.words()
	}
	return p.first()
}

func (p *shorthand) list() (jsonvalue.Value, error) {
	var items []jsonvalue.Value
	for p.peek() != ']' {
		v, err := p.value(false)
		if err != nil {
			return v, err
		}
		items = append(items, v)
		p.space()
		if p.peek() != ']' && !p.accept(',') {
			return jsonvalue.Value{}, p.wrong("a comma or ] was expected here")
		}
	}
	p.at++
	return jsonvalue.NewArray(items), nil
}

// words reads a word, or a list of them: b and b,c of a=b,c,d=e. What is a word of the list and what the next key shows
// only at the equals sign; then the last comma is given back.
func (p *shorthand) words() (jsonvalue.Value, error) {
	first, err := p.first()
	if err != nil {
		return first, err
	}
	words := []jsonvalue.Value{first}
	if !p.accept(',') {
		return first, nil
	}
	for {
		w, err := p.later()
		if err == nil {
			p.space()
			if p.end() {
				words = append(words, w)
				break
			}
			if p.accept(',') {
				words = append(words, w)
				continue
			}
			err = p.wrong("a comma was expected here")
		}
		if p.end() {
			return w, err
		}
		p.at = strings.LastIndexByte(p.text[:p.at+1], ',')
		break
	}
	if len(words) == 1 {
		return first, nil
	}
	return jsonvalue.NewArray(words), nil
}

// first reads a quoted text or a word, which may be empty.
func (p *shorthand) first() (jsonvalue.Value, error) {
	v, err := p.word(firstWord)
	if errors.Is(err, errNoWord) {
		return jsonvalue.NewString(""), nil
	}
	return v, err
}

func (p *shorthand) later() (jsonvalue.Value, error) {
	v, err := p.word(laterWord)
	if errors.Is(err, errNoWord) {
		err = p.wrong("a value was expected here")
	}
	return v, err
}

var errNoWord = errors.New("no word")

func (p *shorthand) word(plain *regexp.Regexp) (jsonvalue.Value, error) {
	quote := string(p.peek())
	if quote == "'" || quote == `"` {
		form := singleQuoted
		if quote == `"` {
			form = doubleQuoted
		}
		found := form.FindString(p.rest())
		if found == "" {
			return jsonvalue.Value{}, p.wrong("this quote is not closed")
		}
		p.at += len(found)
		text := strings.ReplaceAll(found[1:len(found)-1], `\`+quote, quote)
		return jsonvalue.NewString(strings.ReplaceAll(text, `\\`, `\`)), nil
	}
	found := plain.FindString(p.rest())
	if found == "" {
		return jsonvalue.Value{}, errNoWord
	}
	p.at += len(found)
	return jsonvalue.NewString(strings.TrimRight(strings.ReplaceAll(found, `\,`, ","), " \t\r\n\v\f")), nil
}
