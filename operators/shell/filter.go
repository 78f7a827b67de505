package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"gust/internal/childprocess"
	"gust/operators"
)

// Filters runs command lines that read an input and print a result, for tasks of other families. A filter is started,
// marked, stopped and swept as a command of BashOperator is.
type Filters struct {
	deps Deps
	home string
}

// NewFilters returns what runs filters.
func NewFilters(deps Deps) (*Filters, error) {
	if deps.Starter == nil || deps.Home == "" {
		return nil, errors.New("operators/shell: Deps needs a Starter and a Home")
	}
	if deps.CleanupTime == 0 {
		deps.CleanupTime = childprocess.DefaultCleanupTime
	}
	return &Filters{deps, childprocess.HomeID(deps.Home)}, nil
}

// Filter is one command line.
type Filter struct {
	Line  string
	Input []byte
	// Env are variables beside the daemon's environment.
	Env map[string]string
	// MaxOutput is how many bytes of the standard output are kept.
	MaxOutput int
}

// Filtered is how a filter ended.
type Filtered struct {
	// Output is the standard output; Cut says that there was more.
	Output []byte
	Cut    bool
	// Errors is the end of the standard error, which is logged as a whole.
	Errors string
	// Code is the exit code in words, "0" for success and "-9" for an end by signal 9.
	Code string
}

// Run runs the filter to its end, or ends it when ctx ends, which is an error.
func (f *Filters) Run(ctx context.Context, t operators.Task, filter Filter) (end Filtered, err error) {
	dir, done, err := f.deps.Starter.Directory(f.home)
	if err != nil {
		return end, err
	}
	defer done()
	secret := f.deps.Mask != nil && f.deps.Mask(filter.Line) != filter.Line
	args, removeScript, err := arguments(filter.Line, childprocess.TemporaryName(f.home), secret)
	if err != nil {
		return end, err
	}
	defer removeScript()
	stdin, fed, err := feed(filter.Input)
	if err != nil {
		return end, err
	}
	defer fed()
	marker := childprocess.AttemptMark(f.home, t.Attempt())
	env := childprocess.Environ()
	for _, name := range slices.Sorted(maps.Keys(filter.Env)) {
		env = append(env, name+"="+filter.Env[name])
	}
	output, tail := &bounded{most: filter.MaxOutput}, &lastBytes{}
	run := &command{
		args: args, dir: dir, env: append(env, append(attemptEnv(t), marker, childprocess.ParentMark())...), marker: marker,
		cleanup: f.deps.CleanupTime, log: t.Log(), decode: asUTF8, stdin: stdin, tail: tail,
		out: func(r io.Reader) { _, _ = io.Copy(output, r) }, // ends with the pipe
	}
	code, err := run.run(ctx, f.deps.Starter)
	if err != nil {
		return end, err
	}
	return Filtered{
		Output: output.buf.Bytes(), Cut: output.cut, Errors: strings.TrimSpace(asUTF8(tail.buf)), Code: code.code(),
	}, nil
}

// asUTF8 is what a command prints as text; what is not UTF-8 is replaced.
func asUTF8(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// feed writes the input to a pipe. The function it returns ends the writing, whether or not the input was read.
func feed(input []byte) (*os.File, func(), error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("a pipe for the input: %w", err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		_, _ = w.Write(input) // a command need not read its input
		_ = w.Close()         // closed twice at worst
	})
	return r, func() {
		_ = r.Close() // the command has its own copy, and has ended
		_ = w.Close() // ends a writing that nobody reads
		writer.Wait()
	}, nil
}

// bounded keeps the first bytes written to it and takes the rest.
type bounded struct {
	buf  bytes.Buffer
	most int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.buf.Len()
	b.cut = b.cut || len(p) > room
	b.buf.Write(p[:min(len(p), room)]) // a Buffer never fails
	return len(p), nil
}

// lastBytes keeps the last bytes written to it.
type lastBytes struct{ buf []byte }

const tailBytes = 4 << 10

func (l *lastBytes) Write(p []byte) (int, error) {
	l.buf = append(l.buf, p...)
	if len(l.buf) > tailBytes {
		l.buf = append(l.buf[:0], l.buf[len(l.buf)-tailBytes:]...)
	}
	return len(p), nil
}
