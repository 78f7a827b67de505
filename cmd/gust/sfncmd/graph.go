package sfncmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnapi"
	"gust/cmd/gust/sfnwatch"
	"gust/internal/graphdraw"
)

// graphFormats are the forms of a drawing, with the endings of files that mean them.
var graphFormats = []struct {
	name    string
	endings []string
	draw    func(*graphdraw.Graph) string
}{
	{"text", []string{".txt"}, func(g *graphdraw.Graph) string { return g.Text(nil) }},
	{"mermaid", []string{".mmd", ".mermaid"}, (*graphdraw.Graph).Mermaid},
	{"svg", []string{".svg"}, (*graphdraw.Graph).SVG},
	{"dot", []string{".dot", ".gv"}, (*graphdraw.Graph).DOT},
}

func (h *Host) graph() *cobra.Command {
	var save, format string
	cmd := &cobra.Command{
		Use: "graph FILE|STATE_MACHINE_ARN|EXECUTION_ARN", Short: "Draw a state machine, or an execution with the outcome of each state",
		Long: `Draw a definition, a state machine or an execution, whose states are coloured by what came of them: green succeeded, red
failed, orange failed and caught, pink aborted. A loop back to an earlier state is named behind ↺. Choice is ◇, Parallel ∥,
Map ⁝, Wait ◷, Fail ✗. FILE may be - for standard input.

It is drawn in the terminal, or printed as Mermaid, SVG or DOT, or saved in the form that the file's ending says.`,
		Example: "  gust sfn graph hello.asl.json\n  gust sfn graph arn:aws:states:us-east-1:123456789012:execution:hello:first --format mermaid\n" +
			"  gust sfn graph hello.asl.json --save hello.svg",
		Args: h.Arguments("FILE|STATE_MACHINE_ARN|EXECUTION_ARN"),
	}
	cmd.Flags().StringVar(&format, "format", "", "print as `FORM`: text, mermaid, svg or dot")
	cmd.Flags().StringVarP(&save, "save", "s", "", "write to this `FILE`; its ending chooses the form: .txt, .mmd, .mermaid, .svg, .dot, .gv")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		draw, err := drawing(format, save)
		if err != nil {
			return err
		}
		g, err := h.graphOf(cmd, args[0])
		if err != nil {
			return err
		}
		switch {
		case save != "":
			if err := os.WriteFile(save, []byte(draw(g)), 0o644); err != nil { //nolint:gosec // a drawing is no secret
				return err
			}
			_, err = fmt.Fprintf(h.Out, "File %s saved\n", save)
		case draw != nil:
			_, err = io.WriteString(h.Out, draw(g))
		default:
			colours := h.Screen(h.Out).Colours()
			_, err = io.WriteString(h.Out, g.Text(func(n graphdraw.Node, text string) string { return h.Paint(colours, n.Class, text) }))
		}
		return err
	}
	return cmd
}

// drawing is the form that was asked for, nil when none was.
func drawing(format, save string) (func(*graphdraw.Graph) string, error) {
	ending := filepath.Ext(save)
	for _, f := range graphFormats {
		if format == f.name {
			return f.draw, nil
		}
		for _, e := range f.endings {
			if format == "" && ending == e {
				return f.draw, nil
			}
		}
	}
	switch {
	case format != "":
		return nil, host.Usagef("--format is %q; expected one of text, mermaid, svg, dot", format)
	case save != "":
		return nil, host.Usagef("%s: the ending %q says no form; expected .txt, .mmd, .mermaid, .svg, .dot or .gv, or --format", save, ending)
	}
	return nil, nil //nolint:nilnil // no form: the terminal's
}

// graphOf is the graph of a file, or of what an ARN names.
func (h *Host) graphOf(cmd *cobra.Command, target string) (*graphdraw.Graph, error) {
	if !isARN(target) {
		definition, err := h.read(target)
		if err != nil {
			return nil, err
		}
		if err := check(target, definition, false); err != nil {
			return nil, err
		}
		return sfnwatch.Graph(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(target), ".json"), ".asl"), definition, nil)
	}
	client, release, err := h.Client(cmd, 0)
	if err != nil {
		return nil, err
	}
	defer release()
	switch kind := resourceOf(target); kind {
	case "stateMachine":
		machine, err := client.DescribeStateMachine(cmd.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &target})
		if err != nil {
			return nil, sfnapi.Describe("DescribeStateMachine", err)
		}
		return sfnwatch.Graph(aws.ToString(machine.Name), aws.ToString(machine.Definition), nil)
	case "execution":
		return executionGraph(cmd.Context(), client, target)
	}
	return nil, host.Usagef("%q names neither a state machine nor a standard execution", target)
}

func executionGraph(ctx context.Context, client *sfn.Client, executionARN string) (*graphdraw.Graph, error) {
	machine, err := client.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: &executionARN})
	if err != nil {
		return nil, sfnapi.Describe("DescribeStateMachineForExecution", err)
	}
	x := sfnwatch.NewExecution()
	for e, err := range sfnwatch.History(ctx, client, executionARN, false, sfnwatch.Pace{}) {
		if err != nil {
			return nil, err
		}
		x.Add(&e)
	}
	name := executionARN[strings.LastIndexByte(executionARN, ':')+1:]
	return sfnwatch.Graph(aws.ToString(machine.Name)+" "+name, aws.ToString(machine.Definition), x.Classes())
}
