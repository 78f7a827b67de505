package sfncmd

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnwatch"
)

func (h *Host) tail() *cobra.Command {
	var (
		follow, full bool
		lines        int
	)
	cmd := &cobra.Command{
		Use: "tail EXECUTION_ARN", Short: "Read the history of an execution as a timeline",
		Long: `Read the history of an execution as a timeline: when, how long after its start, in which state, what happened. On a
terminal long texts are cut to its width; --full shows them whole. With -f it goes on until the execution has ended.`,
		Example: "  gust sfn tail arn:aws:states:us-east-1:123456789012:execution:hello:first\n" +
			"  gust sfn tail arn:aws:states:us-east-1:123456789012:execution:hello:first -f -n 20",
		Args: h.Arguments("EXECUTION_ARN"),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the execution has ended")
	cmd.Flags().BoolVar(&full, "full", false, "do not cut texts to the width of the terminal")
	cmd.Flags().IntVarP(&lines, "lines", "n", 0, "begin with the last `N` events (default: all)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if kind := resourceOf(args[0]); kind != "execution" {
			return host.Usagef("%q is not the ARN of a standard execution; expected arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME", args[0])
		}
		client, release, err := h.Client(cmd, 0)
		if err != nil {
			return err
		}
		defer release()
		return h.tell(cmd.Context(), client, args[0], follow, full, lines)
	}
	return cmd
}

func (h *Host) tell(ctx context.Context, client *sfn.Client, executionARN string, follow, full bool, lines int) error {
	screen := h.Screen(h.Out)
	columns, _ := screen.Size()
	if full {
		columns = 0
	}
	timeline := sfnwatch.NewTimeline(columns)
	show := func(line string) error {
		_, err := fmt.Fprintln(screen, line)
		return err
	}
	var held []string // the last of a history that is not shown from the beginning
	pace := sfnwatch.PaceOf(loopback(client))
	// What there is comes first, so that only its last lines are shown; then what follows.
	for _, more := range []bool{false, follow} {
		for e, err := range sfnwatch.HistoryAfter(ctx, client, executionARN, timeline.Last(), more, pace) {
			if err != nil {
				return err
			}
			text, class := timeline.Line(&e)
			text = h.Paint(screen.Colours(), class, text)
			if more || lines <= 0 {
				if err := show(text); err != nil {
					return err
				}
				continue
			}
			if held = append(held, text); len(held) > lines {
				held = held[1:]
			}
		}
		for _, line := range held {
			if err := show(line); err != nil {
				return err
			}
		}
		held = nil
		if !follow || timeline.Execution().Status != "RUNNING" {
			return nil
		}
	}
	return nil
}
