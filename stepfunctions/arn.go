package stepfunctions

import (
	"strconv"
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

// qualified cuts a machine's ARN into the unqualified ARN and its qualifier, which is a version's number or an alias.
func (a arn) qualified() (machine, qualifier string) {
	_, qualifier, _ = strings.Cut(a.rest, ":")
	if qualifier == "" {
		return a.text, ""
	}
	return strings.TrimSuffix(a.text, ":"+qualifier), qualifier
}

// versionNumber reads a qualifier as a version's number; 0 when it is none.
func versionNumber(qualifier string) int64 {
	n, err := strconv.ParseInt(qualifier, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != qualifier {
		return 0
	}
	return n
}

// maxName is the longest name of a machine, execution, activity or alias.
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

// checkName checks the characters of a name.
func checkName(name string) error {
	if !validName(name) {
		return server.Errorf("InvalidName", "Invalid Name: '%s'", name)
	}
	return nil
}
