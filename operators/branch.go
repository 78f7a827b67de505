package operators

import (
	"fmt"
	"slices"
	"strings"

	"gust/dag"
	"gust/internal/param"
)

// CheckFollow checks that every name is a direct downstream task of the task, or a group that holds one, as Result.Follow
// asks. A task without a spec follows anything.
func CheckFollow(spec *dag.Task, names ...string) error {
	if spec == nil || len(names) == 0 {
		return nil
	}
	known := slices.Clone(spec.Downstream)
	for _, task := range spec.Downstream {
		for i := range len(task) {
			if task[i] == '.' && !slices.Contains(known, task[:i]) {
				known = append(known, task[:i])
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return &param.Error{
				Problem:  fmt.Sprintf("%q is not a direct downstream task of %s", name, spec.ID),
				Expected: "one of " + strings.Join(known, ", "), Nearest: param.Nearest(name, known),
			}
		}
	}
	return nil
}
