// Package sfncmd is the commands of `gust sfn` that the AWS command line does not have: run and follow an execution, read its
// history, draw it, start many, work for an activity, serve the local service, validate definitions.
package sfncmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/internal/config"
	"gust/internal/param"
)

// Host is what the commands need of the program.
type Host struct {
	In       io.Reader
	Out, Err io.Writer
	// Arguments checks positional arguments, by name.
	Arguments func(names ...string) cobra.PositionalArgs
	Config    func() (*config.Config, error)
	// Choice is a flag with a closed set of values.
	Choice func(cmd *cobra.Command, name, shorthand, usage, def string, values ...string) *string
	// Client opens the client that the command line asks for; release it afterwards.
	Client func(cmd *cobra.Command, patience time.Duration) (client *sfn.Client, release func(), err error)
	// Screen makes a screen of a stream.
	Screen func(io.Writer) Screen
	// Paint colours a text by the class of a state, and Symbol is its mark.
	Paint  func(colours bool, class, text string) string
	Symbol func(class string) string
}

// Screen is a stream with a region at its bottom that is redrawn in place, when the stream is a terminal.
type Screen interface {
	io.Writer
	// Live reports whether there is a region, Colours whether colours are shown.
	Live() bool
	Colours() bool
	// Size is the terminal's size, 0, 0 when it is none.
	Size() (columns, rows int)
	// Show replaces the region and Leave lets it stand.
	Show(lines []string)
	Leave()
}

// New makes the commands.
func New(h *Host) []*cobra.Command {
	return []*cobra.Command{
		h.run(), h.tail(), h.graph(), h.startMany(), h.activityWorker(), h.local(), h.validate(), h.eventsTemplate(),
	}
}

// discard silences a write error of a terminal or pipe that has gone: there is nobody left to tell.
func discard(_ int, _ error) {}

func (h *Host) note(format string, args ...any) { discard(fmt.Fprintf(h.Err, format+"\n", args...)) }

// isARN reports whether an argument is an ARN and no file.
func isARN(text string) bool { return strings.HasPrefix(text, "arn:") }

// resourceOf is the kind of resource that an ARN names, such as execution.
func resourceOf(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 || parts[2] != "states" {
		return ""
	}
	return parts[5]
}

// read reads a file that the user has named, or standard input for "-". When there is no such file it names the nearest.
func (h *Host) read(path string) (string, error) {
	if path == "-" {
		raw, err := io.ReadAll(h.In)
		if err != nil {
			return "", fmt.Errorf("standard input: %w", err)
		}
		return string(raw), nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err == nil {
		return string(raw), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	text := fmt.Sprintf("there is no file %s", path)
	if entries, readErr := os.ReadDir(filepath.Dir(path)); readErr == nil {
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if near := param.Nearest(filepath.Base(path), names); near != "" {
			text += fmt.Sprintf("; did you mean %s?", filepath.Join(filepath.Dir(path), near))
		}
	}
	return "", &host.ExitError{Code: host.CodeNotFound, Err: errors.New(text)}
}

// textOrFile is the text of a value that may be file://FILE or - for standard input.
func (h *Host) textOrFile(value string) (string, error) {
	if path, ok := strings.CutPrefix(value, "file://"); ok {
		return h.read(path)
	}
	if value == "-" {
		return h.read(value)
	}
	return value, nil
}

// loopback reports whether a client's service is on this machine.
func loopback(client *sfn.Client) bool {
	endpoint := client.Options().BaseEndpoint
	return endpoint != nil && (strings.Contains(*endpoint, "://127.") || strings.Contains(*endpoint, "://localhost") || strings.Contains(*endpoint, "://[::1]"))
}
