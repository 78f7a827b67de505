package sfnapi

import (
	"fmt"
	"reflect"

	"gust/cmd/gust/awsform"
	"gust/stepfunctions/jsonvalue"
)

// printSkeleton prints an input with every member, for --cli-input-json.
func (c *command) printSkeleton() error {
	if c.output.skel != "input" {
		return &usageError{fmt.Sprintf("--generate-cli-skeleton is %q; expected input", c.output.skel)}
	}
	return awsform.Printer{Format: awsform.Formats[0]}.Print(c.env.Out, skeleton(c.in))
}

func skeleton(t reflect.Type) jsonvalue.Value {
	switch t.Kind() {
	case reflect.Pointer:
		return skeleton(t.Elem())
	case reflect.Struct:
		b := jsonvalue.NewObjectBuilder(8)
		for _, m := range members(t) {
			f, _ := t.FieldByName(m.field())
			b.Set(m.name, skeleton(f.Type))
		}
		return b.Value()
	case reflect.Slice:
		return jsonvalue.NewArray([]jsonvalue.Value{skeleton(t.Elem())})
	case reflect.Bool:
		return jsonvalue.NewBool(true)
	case reflect.String:
		if values := enumeration(t); len(values) > 0 {
			return jsonvalue.NewString(values[0])
		}
		return jsonvalue.NewString("")
	}
	return jsonvalue.NewInt(0)
}
