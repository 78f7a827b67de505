package sfnapi

import (
	_ "embed"
	"reflect"
	"strings"
	"sync"
	"unicode"
)

// shapesText lists the members of the API's structures in the order of its model, which is that of the AWS CLI's output; the
// SDK's types have them in another. "!" marks those that are required.
//
//go:embed shapes.txt
var shapesText string

// member is one member of a structure.
type member struct {
	// name is the name on the wire, such as stateMachineArn.
	name     string
	required bool
}

// field is the member in the SDK's structure.
func (m member) field() string { return strings.ToUpper(m.name[:1]) + m.name[1:] }

// flag is the member's flag. The output of a task clashes with the flag for the output's form, as in the AWS CLI.
func (m member) flag(in reflect.Type) string {
	if m.name == "output" && in.Name() == "SendTaskSuccessInput" {
		return "task-output"
	}
	return kebab(m.name)
}

var shapes = sync.OnceValue(func() map[string][]member {
	all := map[string][]member{}
	for line := range strings.Lines(shapesText) {
		words := strings.Fields(line)
		members := make([]member, 0, len(words)-1)
		for _, word := range words[1:] {
			name, required := strings.CutSuffix(word, "!")
			members = append(members, member{name, required})
		}
		all[words[0]] = members
	}
	return all
})

// members are those of a structure of the SDK.
func members(t reflect.Type) []member { return shapes()[t.Name()] }

// kebab turns StartExecution and stateMachineArn into start-execution and state-machine-arn.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
