package intrinsic

import (
	"errors"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// errPlaceholders is a template whose {} are not as many as the other arguments.
var errPlaceholders = errors.New("number of arguments do not match the occurrences of {}.")

// templateError is a template with a brace that has no partner.
type templateError struct{ missing, found byte }

func (e *templateError) Error() string {
	return "matching '" + string(e.missing) + "' not found for '" + string(e.found) + "'."
}

// format replaces each {} by the next argument. A brace that stands for itself is written \{ or \}.
func format(in *invocation) (jsonvalue.Value, error) {
	template, err := in.text(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	if in.raw[0] != "" {
		// The escapes of a literal are still needed.
		template = in.raw[0]
	}
	var b strings.Builder
	next := 1
	for i := 0; i < len(template); i++ {
		switch c := template[i]; {
		case c == '\\' && i+1 < len(template) && escapable(template[i+1]):
			i++
			b.WriteByte(template[i])
		case c == '{' && i+1 < len(template) && template[i+1] == '}':
			i++
			if next < len(in.args) {
				b.WriteString(plain(in.args[next]))
			}
			next++
		case c == '{':
			return jsonvalue.Value{}, &templateError{missing: '}', found: '{'}
		case c == '}':
			return jsonvalue.Value{}, &templateError{missing: '{', found: '}'}
		default:
			b.WriteByte(c)
		}
	}
	if next != len(in.args) {
		return jsonvalue.Value{}, errPlaceholders
	}
	return jsonvalue.NewString(b.String()), nil
}

// plain is the text of a value: a string as it is, anything else as JSON.
func plain(v jsonvalue.Value) string {
	if v.Kind() == jsonvalue.String {
		return v.Text()
	}
	return v.String()
}
