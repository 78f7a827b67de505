package sfncmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnbatch"
)

type manyFlags struct {
	machine, format, prefix, state string
	rate                           float64
	concurrency, maxErrors         int
}

func (h *Host) startMany() *cobra.Command {
	f := &manyFlags{}
	cmd := &cobra.Command{
		Use: "start-many FILE --state-machine-arn ARN", Short: "Start an execution for each input of a file",
		Long: `Start an execution for each input of a file: a JSON value on each line, an array (.json), or CSV whose lines become objects
of texts (.csv). FILE may be - for standard input.

The name of each execution follows from the file's name, the input's place and the input. What was started is written down
in FILE.started (or --state): the same command goes on where an earlier one was stopped, and nothing starts twice, because
the service knows the names too. Exits with 1 when an execution could not be started; the same command tries those again.`,
		Example: "  gust sfn start-many orders.jsonl --state-machine-arn arn:aws:states:us-east-1:123456789012:stateMachine:hello --rate 20",
		Args:    h.Arguments("FILE"),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.machine, "state-machine-arn", "", "the `ARN` of the state machine, a version or an alias (required)")
	flags.StringVar(&f.format, "format", "", "the `FORM` of the file: jsonl, csv or json (default: by its ending)")
	flags.StringVar(&f.prefix, "name-prefix", "", "begin the names of executions with this `TEXT` (default: the file's name)")
	flags.StringVar(&f.state, "state", "", "remember what was started in this `FILE` (default: FILE.started, nothing for -)")
	flags.Float64Var(&f.rate, "rate", 50, "start at most `N` in a second, 0: without bound")
	flags.IntVar(&f.concurrency, "concurrency", 8, "send at most `N` requests at once")
	flags.IntVar(&f.maxErrors, "max-errors", 10, "give up after `N` executions that could not be started, 0: never")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return h.runMany(cmd, args[0], f) }
	return cmd
}

// settle checks the flags and fills those that follow from the file.
func (f *manyFlags) settle(path string) error {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if path == "-" {
		base = "stdin"
	} else if f.state == "" {
		f.state = path + ".started"
	}
	if f.prefix == "" {
		f.prefix = sfnbatch.Prefix(base)
	}
	if f.format == "" {
		f.format = sfnbatch.FormatOf(path)
	}
	switch {
	case f.machine == "":
		return host.Usagef("sfn start-many: missing --state-machine-arn ARN")
	case !slices.Contains(sfnbatch.Formats, f.format):
		return host.Usagef("--format is %q; expected one of %s", f.format, strings.Join(sfnbatch.Formats, ", "))
	case f.prefix == "" || sfnbatch.Prefix(f.prefix) != f.prefix:
		return host.Usagef("--name-prefix is %q; expected letters, digits, _ and -, at most %d", f.prefix, len(sfnbatch.Prefix(strings.Repeat("x", 100))))
	case f.rate < 0 || f.concurrency < 1 || f.maxErrors < 0:
		return host.Usagef("--rate and --max-errors must not be negative, and --concurrency must be at least 1")
	}
	return nil
}

func (h *Host) runMany(cmd *cobra.Command, path string, f *manyFlags) error {
	if err := f.settle(path); err != nil {
		return err
	}
	text, err := h.read(path)
	if err != nil {
		return err
	}
	// Everything is read once before anything is started: a file that is broken at its end starts nothing.
	total := 0
	for _, err := range sfnbatch.Rows(strings.NewReader(text), f.format) {
		if err != nil {
			return &host.ExitError{Code: host.CodeUsage, Err: fmt.Errorf("%s: %w; nothing was started", path, err)}
		}
		total++
	}
	var state *sfnbatch.State
	if f.state != "" {
		if state, err = sfnbatch.OpenState(f.state, f.machine, f.prefix); err != nil {
			return err
		}
		defer func() {
			if err := state.Close(); err != nil {
				h.note("gust: %s: %v", f.state, err)
			}
		}()
	}
	client, release, err := h.Client(cmd, 0)
	if err != nil {
		return err
	}
	defer release()
	batch := sfnbatch.New(sfnbatch.Options{
		API: client, StateMachineARN: f.machine, Prefix: f.prefix, State: state, Rate: f.rate, Concurrency: f.concurrency, MaxErrors: f.maxErrors,
	})
	err = h.watchBatch(cmd.Context(), batch, strings.NewReader(text), f.format, total)
	return h.summary(batch.Progress(), total, f.state, err)
}

// Progress without a terminal is a line now and then.
const progressEvery = 5 * time.Second

// watchBatch runs the batch and shows its progress on standard error.
func (h *Host) watchBatch(ctx context.Context, batch *sfnbatch.Batch, in io.Reader, format string, total int) error {
	screen := h.Screen(h.Err)
	every := progressEvery
	if screen.Live() {
		every = redrawEvery
	}
	done := make(chan error, 1)
	go func() { done <- batch.Run(ctx, sfnbatch.Rows(in, format)) }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if screen.Live() {
				screen.Show([]string{bar(batch.Progress(), total)})
				screen.Leave()
			}
			return err
		case <-tick.C:
			if line := bar(batch.Progress(), total); screen.Live() {
				screen.Show([]string{line})
			} else {
				discard(fmt.Fprintln(screen, line))
			}
		}
	}
}

// barWidth is how wide the bar itself is.
const barWidth = 30

// bar shows how much is done, how fast, and how long it will take.
func bar(s sfnbatch.Summary, total int) string {
	done := s.Done()
	filled := barWidth
	if total > 0 {
		filled = barWidth * done / total
	}
	line := fmt.Sprintf("[%s%s] %d/%d", strings.Repeat("#", filled), strings.Repeat("-", barWidth-filled), done, total)
	sent := done - s.Skipped
	if seconds := s.Took.Seconds(); seconds > 0 && sent > 0 {
		speed := float64(sent) / seconds
		line += fmt.Sprintf("  %.1f/s", speed)
		if done < total {
			line += fmt.Sprintf("  %s left", time.Duration(float64(total-done)/speed*float64(time.Second)).Round(time.Second))
		}
	}
	if n := len(s.Failures); n > 0 {
		line += fmt.Sprintf("  %d failed", n)
	}
	return line
}

// maxShown is how many failures are told one by one.
const maxShown = 10

// summary says what came of it.
func (h *Host) summary(s sfnbatch.Summary, total int, state string, err error) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d of %d inputs: %d started, %d started before, %d already known to the service, %d failed, in %s\n",
		s.Done(), total, s.Started, s.Skipped, s.Existing, len(s.Failures), s.Took.Round(time.Millisecond))
	for i, f := range s.Failures {
		if i == maxShown {
			fmt.Fprintf(&b, "... and %d more\n", len(s.Failures)-maxShown)
			break
		}
		fmt.Fprintf(&b, "input %d, %s: %v\n", f.Row, f.Name, f.Err)
	}
	if _, writeErr := h.Out.Write(b.Bytes()); writeErr != nil {
		return writeErr
	}
	if err == nil && len(s.Failures) == 0 {
		return nil
	}
	if state != "" && s.Done() < total+len(s.Failures) {
		h.note("The same command goes on where this one stopped; %s remembers what was started.", state)
	}
	if err != nil {
		return err
	}
	return host.Quiet(host.CodeFailed)
}
