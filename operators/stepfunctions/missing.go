package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/internal/param"
)

// explained adds to the error of a state machine that does not exist where it was looked for and which one was probably
// meant. To list them needs a permission of its own; without it only the place is added.
func (w *start) explained(ctx context.Context, err error) error {
	var missing *types.StateMachineDoesNotExist
	if !errors.As(err, &missing) {
		return err
	}
	place := w.info.Region
	if w.info.Endpoint != "" {
		place += " at " + w.info.Endpoint
	}
	hint := ""
	// One page: it is a hint, not a search.
	if out, listErr := w.api.ListStateMachines(ctx, &sfn.ListStateMachinesInput{MaxResults: 1000}); listErr == nil {
		hint = nearestMachine(w.machine.Name, out.StateMachines)
	}
	return fmt.Errorf("there is no state machine %q of account %s in %s%s (%w)", w.machine.Name, w.machine.Account, place, hint, err)
}

// nearestMachine is the question after an unknown state machine, or what there is when none is near.
func nearestMachine(wanted string, machines []types.StateMachineListItem) string {
	names := make([]string, len(machines))
	for i := range machines {
		names[i] = aws.ToString(machines[i].Name)
	}
	if len(names) == 0 {
		return ", where there are none"
	}
	if near := param.Nearest(wanted, names); near != "" {
		if near == wanted { // of another account or region than the ARN says
			return fmt.Sprintf("; did you mean %s?", aws.ToString(machines[slices.Index(names, near)].StateMachineArn))
		}
		return fmt.Sprintf("; did you mean %q?", near)
	}
	const most = 10
	more := ""
	if len(names) > most {
		names, more = names[:most], ", ..."
	}
	return "; there are " + strings.Join(names, ", ") + more
}
