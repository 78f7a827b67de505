//go:build unix

package pyworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"gust/internal/childprocess"
)

const (
	// drainTime is how long output is read on after the process's end: something that left its group may hold the pipe.
	drainTime = 2 * time.Second
	// killTime is how long the kernel may take to end a process after SIGKILL before the interpreter goes too.
	killTime = 10 * time.Second
)

// errNotBegun is a call whose interpreter had died before.
var errNotBegun = errors.New("the Python interpreter has ended")

// call is one run of a function in a process of its own.
type call struct {
	pool    *Pool
	python  *interpreter
	request *Request

	number int
	pid    int

	// What the channel brought; set by converse.
	result  *Result
	raised  *RaisedError
	problem error
}

// run has the function called and waits until nothing of its process is left.
func (c *call) run(ctx context.Context) (*Result, error) {
	first, err := c.task()
	if err != nil {
		return nil, err
	}
	channel, remote, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = channel.Close() }() // what was said has been read
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	defer func() { _ = outR.Close() }() // only read
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, remote.Close(), outW.Close())
	}
	defer func() { _ = errR.Close() }() // only read
	var notices chan notice
	if c.number, notices, err = c.python.begin([]*os.File{remote, outW, errW}); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotBegun, err)
	}
	var readers sync.WaitGroup
	decode, _ := childprocess.Decoder("utf-8")
	for source, pipe := range map[string]*os.File{"stdout": outR, "stderr": errR} {
		l := childprocess.Lines{Log: c.request.Log.With("source", source), Decode: decode}
		readers.Go(func() { l.Read(pipe) })
	}
	talk, hangUp := context.WithCancel(ctx)
	defer hangUp()
	readers.Go(func() { c.converse(talk, channel, first) })

	end, killed := c.await(ctx, notices)
	hangUp() // what the function still asks for is not answered
	c.drain(&readers, channel, outR, errR)
	return c.outcome(end, killed)
}

// task is the first message of the channel.
func (c *call) task() ([]byte, error) {
	r := c.request
	env := make(map[string]string, len(r.Env))
	for _, e := range r.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	line, err := encodeLine(&task{
		Version: protocolVersion, Callable: r.Callable, Args: r.Args, Kwargs: r.Kwargs, TemplatesDict: r.TemplatesDict,
		Context: r.Context, CallWithContext: r.CallWithContext, DateFirst: r.DateFirst, Strict: r.Strict, WantValue: r.WantValue,
		WantTruth: r.WantTruth, Path: r.Path, Env: env, LogLevel: r.LogLevel,
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the arguments of %s are not JSON: %w", r.Callable, err)
	case len(line) > maxMessage:
		return nil, fmt.Errorf("the arguments of %s are %d bytes of JSON; at most %d are possible", r.Callable, len(line), maxMessage)
	}
	return line, nil
}

// converse sends the task, answers questions and logs until the other side ends.
func (c *call) converse(ctx context.Context, channel *os.File, first []byte) {
	if _, err := channel.Write(first); err != nil {
		c.problem = err
		return
	}
	r := newReader(channel, maxMessage)
	for {
		var m message
		err := r.next(&m)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ECONNRESET):
			return
		case err != nil:
			c.problem = err
			c.python.signal(c.number, syscall.SIGKILL)
			return
		case m.Log != "":
			c.log(&m)
		case m.Ask != "":
			line, err := encodeLine(c.reply(ctx, &m))
			if err == nil {
				_, err = channel.Write(line)
			}
			if err != nil {
				c.problem = err
				c.python.signal(c.number, syscall.SIGKILL)
				return
			}
		case m.Done != nil:
			c.result = m.Done
		case m.Raised != nil:
			c.raised = m.Raised
		default:
			c.problem = errors.New("the Python process sent a message that says nothing")
			c.python.signal(c.number, syscall.SIGKILL)
			return
		}
	}
}

// log writes a line of the function's. Levels are Python's: DEBUG 10, INFO 20, WARNING 30, ERROR 40, CRITICAL 50.
func (c *call) log(m *message) {
	level := slog.LevelInfo
	switch {
	case m.Level >= 40 || m.Log == "ERROR":
		level = slog.LevelError
	case m.Level >= 30:
		level = slog.LevelWarn
	case m.Level > 0 && m.Level < 20:
		level = slog.LevelDebug
	}
	attrs := make([]slog.Attr, 0, 2)
	if m.Source != "" {
		attrs = append(attrs, slog.String("source", m.Source))
	}
	if m.Logger != "" {
		attrs = append(attrs, slog.String("logger", m.Logger))
	}
	c.request.Log.LogAttrs(context.Background(), level, m.Message, attrs...)
}

// await waits for the process's end. When ctx ends first, it ends the process and returns the cause.
func (c *call) await(ctx context.Context, notices chan notice) (end *notice, killed error) {
	term, kill, giveUp := ctx.Done(), (<-chan time.Time)(nil), (<-chan time.Time)(nil)
	for {
		select {
		case n := <-notices:
			if n.Ended == 0 {
				c.pid = n.PID
				continue
			}
			return &n, killed
		case <-c.python.gone:
			select {
			case n := <-notices: // said before it went
				if n.Ended != 0 {
					return &n, killed
				}
				c.pid = n.PID
			default:
			}
			// Its calls end with it; where the system does not see to that, we do.
			if c.pid != 0 {
				childprocess.SignalGroup(c.pid, syscall.SIGKILL)
			}
			return nil, killed
		case <-term:
			term, killed = nil, context.Cause(ctx)
			c.request.Log.Warn("Sending SIGTERM signal to process group", "reason", killed.Error())
			c.python.signal(c.number, syscall.SIGTERM)
			kill = time.After(c.pool.opts.CleanupTime)
		case <-kill:
			c.request.Log.Warn("the function did not end in time after SIGTERM; sending SIGKILL",
				"after", c.pool.opts.CleanupTime.String())
			c.python.signal(c.number, syscall.SIGKILL)
			giveUp = time.After(killTime)
		case <-giveUp:
			c.python.kill()
			giveUp = nil
		}
	}
}

// drain reads the rest of the output, and ends what holds it for longer than a moment.
func (c *call) drain(readers *sync.WaitGroup, pipes ...*os.File) {
	done := make(chan struct{})
	go func() { readers.Wait(); close(done) }()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	c.request.Log.Warn("the function left processes behind that hold its output; killing them")
	if c.request.Mark != "" {
		childprocess.KillMarked(c.request.Mark)
	}
	for _, p := range pipes {
		_ = p.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // ends the readers whoever survives
	}
	<-done
}

// outcome says how the call ended.
func (c *call) outcome(end *notice, killed error) (*Result, error) {
	switch {
	case killed != nil:
		return nil, fmt.Errorf("the function was stopped: %w", killed)
	case c.raised != nil:
		return nil, c.raised
	case c.result != nil:
		return c.result, nil
	case end == nil:
		return nil, fmt.Errorf("the Python interpreter %s has ended, and the function with it: %w", c.python.path, c.python.failure())
	case end.Error != "":
		return nil, fmt.Errorf("the Python interpreter %s: %s", c.python.path, end.Error)
	case c.problem != nil && !errors.Is(c.problem, syscall.EPIPE):
		return nil, c.problem
	case end.Signal != nil:
		sig := syscall.Signal(*end.Signal)
		hint := ""
		if sig == syscall.SIGKILL {
			hint = "; the system does that when memory runs out"
		}
		return nil, fmt.Errorf("the Python process of %s was ended by signal %d (%s)%s", c.request.Callable, *end.Signal, sig, hint)
	}
	return nil, fmt.Errorf("the Python process of %s ended with exit code %d before the function returned", c.request.Callable,
		*end.Status)
}

// reply answers a question.
func (c *call) reply(ctx context.Context, m *message) *answer {
	if c.request.Host == nil {
		return &answer{Error: m.Ask + " is not available here"}
	}
	value, found, err := c.ask(ctx, m)
	switch {
	case err != nil:
		return &answer{Error: err.Error(), Missing: !found}
	case !found:
		return &answer{Error: "there is no such value", Missing: true}
	}
	return &answer{Value: value}
}

// ask asks the host. found is false when what is asked for does not exist; err may then say what does.
func (c *call) ask(ctx context.Context, m *message) (value any, found bool, err error) {
	host := c.request.Host
	var args struct {
		XComQuery
		ID    string          `json:"id"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(m.Args, &args); err != nil && len(m.Args) > 0 {
		return nil, true, fmt.Errorf("%s: %w", m.Ask, err)
	}
	switch m.Ask {
	case "xcom_pull":
		raw, found, err := host.XComPull(ctx, args.XComQuery)
		return raw, found || err != nil, err
	case "xcom_push":
		return nil, true, host.XComPush(ctx, args.Key, args.Value)
	case "variable":
		return host.Variable(ctx, args.Key)
	case "connection":
		return host.Connection(ctx, args.ID)
	case "more":
		more, err := host.More(ctx)
		return more, true, err
	case "task_ids":
		return host.TaskIDs(), true, nil
	}
	return nil, true, fmt.Errorf("unknown question %q", m.Ask)
}
