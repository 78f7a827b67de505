package interp

import (
	"fmt"

	"gust/stepfunctions/asl"
	"gust/stepfunctions/jsonvalue"
)

// The limits of variables, in bytes of JSON text: one Assign field, with each of its variables, and all variables of an
// execution.
const (
	maxAssignBytes    = MaxPayloadBytes
	maxVariablesBytes = 10 << 20
)

// variable looks a variable up in the thread's scope and the scopes around it.
func (t *thread) variable(name string) (jsonvalue.Value, bool) {
	for ; t != nil; t = t.parent {
		if v, ok := t.variables.Get(name); ok {
			return v, true
		}
	}
	return jsonvalue.Value{}, false
}

// assignable reports why variables cannot be set in the thread's scope.
func (x *Execution) assignable(t *thread, values jsonvalue.Value) *failure {
	if values.Len() == 0 {
		return nil
	}
	if size := len(values.String()); size > maxAssignBytes {
		return newFailure(asl.ErrDataLimitExceeded, fmt.Sprintf("The variables assigned by the state '%s' have a size of %d "+
			"bytes, which exceeds the maximum of %d bytes for one Assign field.", t.state.Name, size, maxAssignBytes))
	}
	if total := x.variableBytes + growth(t.variables, values); total > maxVariablesBytes {
		return newFailure(asl.ErrDataLimitExceeded, fmt.Sprintf("The variables of the execution have a size of %d bytes after "+
			"the state '%s', which exceeds the maximum of %d bytes.", total, t.state.Name, maxVariablesBytes))
	}
	return nil
}

// growth is how many bytes of names and values it takes more to set variables.
func growth(variables, values jsonvalue.Value) int {
	n := 0
	for i, v := range values.Items() {
		n += len(v.String())
		if old, ok := variables.Get(values.Key(i)); ok {
			n -= len(old.String())
		} else {
			n += len(values.Key(i))
		}
	}
	return n
}

// merged is an object with the fields of another one set.
func merged(object, values jsonvalue.Value) jsonvalue.Value {
	b := jsonvalue.NewObjectBuilder(object.Len() + values.Len())
	for i, v := range object.Items() {
		b.Set(object.Key(i), v)
	}
	for i, v := range values.Items() {
		b.Set(values.Key(i), v)
	}
	return b.Value()
}

// assign sets variables in the thread's scope.
func (x *Execution) assign(t *thread, values jsonvalue.Value) {
	if values.Len() == 0 {
		return
	}
	n := growth(t.variables, values)
	t.variableBytes += n
	x.variableBytes += n
	t.variables = merged(t.variables, values)
}
