package stepfunctions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gust/stepfunctions/server"
)

// violations collects broken constraints and words them like AWS.
type violations []string

func (v *violations) add(value, field, constraint string) {
	*v = append(*v, fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: Member must %s", value, field, constraint))
}

// shown is a value in a message.
func shown(value string) string { return "'" + value + "' " }

// required checks that a field was given.
func (v *violations) required(field string, given bool) {
	if !given {
		v.add("null ", field, "not be null")
	}
}

// text checks that a text was given and how many characters it has.
func (v *violations) text(field string, value *string, low, high int) {
	v.required(field, value != nil)
	v.length(field, value, low, high)
}

// length checks the number of characters of a text that may be missing.
func (v *violations) length(field string, value *string, low, high int) {
	if value != nil {
		v.size(shown(*value), field, utf8.RuneCountInString(*value), low, high)
	}
}

// secret is length for fields whose values AWS leaves out of messages.
func (v *violations) secret(field string, value *string, low, high int) {
	if value != nil {
		v.size("", field, utf8.RuneCountInString(*value), low, high)
	}
}

// payload checks the number of bytes of an input or output, which messages leave out.
func (v *violations) payload(field string, value *string, high int) {
	if value != nil {
		v.size("", field, len(*value), 0, high)
	}
}

// size checks a length.
func (v *violations) size(value, field string, n, low, high int) {
	if n < low {
		v.add(value, field, fmt.Sprintf("have length greater than or equal to %d", low))
	}
	if n > high {
		v.add(value, field, fmt.Sprintf("have length less than or equal to %d", high))
	}
}

// between checks a number.
func (v *violations) between(field string, value *int64, low, high int64) {
	if value == nil {
		return
	}
	if *value < low {
		v.add(fmt.Sprintf("'%d' ", *value), field, fmt.Sprintf("have value greater than or equal to %d", low))
	}
	if *value > high {
		v.add(fmt.Sprintf("'%d' ", *value), field, fmt.Sprintf("have value less than or equal to %d", high))
	}
}

// percentage words a number that is not between 0 and 100.
func (v *violations) percentage(field string, value float64) {
	text := "'" + strconv.FormatFloat(value, 'f', -1, 64) + "' "
	if value < 0 {
		v.add(text, field, "have value greater than or equal to 0")
		return
	}
	v.add(text, field, "have value less than or equal to 100")
}

// oneOf checks a text against the values that AWS names.
func (v *violations) oneOf(field string, value *string, allowed ...string) {
	if value == nil || slices.Contains(allowed, *value) {
		return
	}
	allowed = slices.Clone(allowed)
	slices.SortFunc(allowed, func(a, b string) int { return slices.Compare(hashPath(a), hashPath(b)) })
	v.add(shown(*value), field, fmt.Sprintf("satisfy enum value set: [%s]", strings.Join(allowed, ", ")))
}

// hashPath is the place of a text in the hash trie whose order AWS's messages list enumerations in: the Java hash code,
// five bits at a time from the lowest. The order of all enumerations in messages that were recorded from AWS is this one.
func hashPath(text string) []uint32 {
	var h uint32
	for _, c := range text {
		h = 31*h + uint32(c)
	}
	path := make([]uint32, 0, 7)
	for i := range 7 {
		path = append(path, h>>(5*i)&31)
	}
	return path
}

// err returns the ValidationException of what was found, or nil.
func (v *violations) err() error {
	switch n := len(*v); n {
	case 0:
		return nil
	case 1:
		return server.Errorf("ValidationException", "1 validation error detected: %s", (*v)[0])
	default:
		return server.Errorf("ValidationException", "%d validation errors detected: %s", n, strings.Join(*v, "; "))
	}
}
