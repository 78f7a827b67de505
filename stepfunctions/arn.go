package stepfunctions

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gust/stepfunctions/server"
)

// arn is a parsed ARN of this service: arn:PARTITION:states:REGION:ACCOUNT:KIND:REST.
type arn struct {
	text, partition, region, account, kind, rest string
}

// parseARN reads an ARN and checks that it names one of the given kinds of resource.
func parseARN(text string, kinds ...string) (arn, error) {
	parts := strings.SplitN(text, ":", 7)
	if len(parts) < 2 || parts[0] != "arn" || parts[1] != "aws" && !strings.HasPrefix(parts[1], "aws-") {
		return arn{}, server.Errorf("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: %s'", text)
	}
	if len(parts) < 7 || parts[2] != "states" || parts[6] == "" {
		return arn{}, server.Errorf("InvalidArn", "Invalid Arn: 'Invalid ARN: %s'", text)
	}
	a := arn{text: text, partition: parts[1], region: parts[3], account: parts[4], kind: parts[5], rest: parts[6]}
	for _, kind := range kinds {
		if a.kind == kind {
			return a, nil
		}
	}
	return a, server.Errorf("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: %s'", a.kind)
}

// machineARN reads the ARN of a state machine; labelled ones are refused.
func machineARN(text string) (arn, error) {
	a, err := parseARN(text, "stateMachine")
	if err == nil && strings.Contains(a.rest, "/") {
		return a, &server.Error{
			Code: "ValidationException", Message: "This operation does not support labeled state machine ARNs",
			Fields: map[string]string{"reason": "API_DOES_NOT_SUPPORT_LABELED_ARNS"},
		}
	}
	return a, err
}

// executionARN reads the ARN of a standard execution.
func executionARN(text string) (arn, error) { return parseARN(text, "execution") }

func regionOf(text string) string {
	parts := strings.SplitN(text, ":", 5)
	if len(parts) < 5 {
		return ""
	}
	return parts[3]
}

// partition returns the ARN partition of a region.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func makeARN(region, account, kind, rest string) string {
	return fmt.Sprintf("arn:%s:states:%s:%s:%s:%s", partition(region), region, account, kind, rest)
}

// maxName is the longest name of a machine or execution.
const maxName = 80

// validName reports whether a name has none of the characters that AWS refuses.
func validName(name string) bool {
	for _, r := range name {
		switch {
		case strings.ContainsRune("<>{}[]?*\"#%\\^|~`$&,;:/ ", r), unicode.IsControl(r), r >= 0x7F && r <= 0x9F:
			return false
		case r == utf8.RuneError, r >= 0xD800 && r <= 0xDFFF, r == 0xFFFE, r == 0xFFFF, r == 0x10FFFF, unicode.IsSpace(r):
			return false
		}
	}
	return true
}

// checkName checks the name of a machine or execution.
func checkName(name string) error {
	var v violations
	v.length("name", name, 1, maxName)
	if err := v.err(); err != nil {
		return err
	}
	if !validName(name) {
		return server.Errorf("InvalidName", "Invalid Name: '%s'", name)
	}
	return nil
}

// violations collects broken constraints and words them like AWS.
type violations []string

func (v *violations) add(value, field, constraint string) {
	*v = append(*v, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: Member must %s", value, field, constraint))
}

// required checks that a field was given.
func (v *violations) required(field string, given bool) {
	if !given {
		v.add("null", field, "not be null")
	}
}

// length checks the number of characters of a text.
func (v *violations) length(field, value string, low, high int) {
	n := utf8.RuneCountInString(value)
	if n < low {
		v.add("'"+value+"'", field, fmt.Sprintf("have length greater than or equal to %d", low))
	}
	if n > high {
		shown := value
		if n > 1024 {
			shown = string([]rune(value)[:1024]) + "..."
		}
		v.add("'"+shown+"'", field, fmt.Sprintf("have length less than or equal to %d", high))
	}
}

// between checks a number.
func (v *violations) between(field string, value, low, high int) {
	if value < low {
		v.add(fmt.Sprintf("'%d'", value), field, fmt.Sprintf("have value greater than or equal to %d", low))
	}
	if value > high {
		v.add(fmt.Sprintf("'%d'", value), field, fmt.Sprintf("have value less than or equal to %d", high))
	}
}

// oneOf checks a text against the values that AWS names, in AWS's order.
func (v *violations) oneOf(field, value string, allowed ...string) {
	for _, a := range allowed {
		if a == value {
			return
		}
	}
	v.add("'"+value+"'", field, fmt.Sprintf("satisfy enum value set: [%s]", strings.Join(allowed, ", ")))
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
