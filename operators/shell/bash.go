// Package shell runs shell commands as tasks: Airflow's BashOperator.
//
// A command runs in a process group of its own and never outlives its attempt: when it ends, is killed or times out,
// whatever is left of the group is killed; when the daemon dies, the kernel kills the shell (Linux), and the next start
// of the daemon sweeps what the shell left behind (package childprocess).
package shell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gust/internal/childprocess"
	"gust/internal/param"
	"gust/operators"
)

// Deps is what the family needs from the process.
type Deps struct {
	// Home is the state folder; it marks this installation's processes for childprocess.SweepOrphans.
	Home string
	// CleanupTime is how long a command may take to end after SIGTERM, before SIGKILL
	// ([core] killed_task_cleanup_time); 0 means a minute.
	CleanupTime time.Duration
	// Starter starts the processes. The assembler makes it with childprocess.NewStarter and closes it after the executor stopped.
	Starter *childprocess.Starter
	// Mask hides the secrets that the process knows. A command that holds one is handed to bash in a file that only this
	// user can read, because anyone can read the arguments of a process. nil: no secret is known.
	Mask func(string) string
}

// Register adds the family to the registry.
func Register(r *operators.Registry, deps Deps) error {
	if deps.Starter == nil || deps.Home == "" {
		return errors.New("operators/shell: Deps needs a Starter and a Home")
	}
	if deps.CleanupTime == 0 {
		deps.CleanupTime = childprocess.DefaultCleanupTime
	}
	home := childprocess.HomeID(deps.Home)
	return r.Register(operators.Spec{
		Name: "BashOperator",
		Aliases: []string{
			"bash",
			"airflow.operators.bash.BashOperator",
			"airflow.operators.bash_operator.BashOperator",
			"airflow.providers.standard.operators.bash.BashOperator",
		},
		Doc: "Runs a command or script with bash. Its output goes to the task's log line by line, the last line of its " +
			"standard output to XCom. Exit code 0 is success, 99 skips the task, any other code fails it. The command " +
			"sees the attempt in AIRFLOW_CTX_* and GUST_CTX_* variables.",
		New: func() operators.Operator {
			return &Bash{SkipOnExitCode: ExitCodes{99}, OutputEncoding: "utf-8", deps: &deps, home: home}
		},
	})
}

// Bash runs a command with bash (Airflow: BashOperator).
type Bash struct {
	BashCommand     string            `param:"bash_command" template:"true" ext:".sh,.bash" required:"true" doc:"The command, or the name of a script file ending in .sh or .bash (relative to the pipeline file), which is rendered as a template first. A space at the end keeps such a name from being read as a file."`
	Env             map[string]string `param:"env" template:"true" doc:"Environment variables. Without append_env the command sees only these (and AIRFLOW_CTX_*, GUST_CTX_*), not the daemon's environment."`
	AppendEnv       bool              `param:"append_env" default:"false" doc:"Add env to the daemon's environment instead of replacing it."`
	OutputEncoding  string            `param:"output_encoding" doc:"Encoding of the output: utf-8 (default), ascii or latin-1. Bytes that are not text in it are shown as U+FFFD."`
	SkipOnExitCode  ExitCodes         `param:"skip_on_exit_code" doc:"Exit code, or list of exit codes, that skip the task. Default: 99. null or an empty list: none."`
	Cwd             *string           `param:"cwd" template:"true" doc:"Working directory. Default: an empty temporary directory that is removed afterwards."`
	OutputProcessor any               `param:"output_processor" doc:"Not supported: a Python callable in Airflow. Process the value in the template of the task that uses it."`

	deps *Deps
	home string // HomeID of deps.Home
}

// ExitCodes is one exit code or a list of them.
type ExitCodes []int

// ParamType names the notation.
func (ExitCodes) ParamType() string { return "int or list" }

// SetNull makes null mean no exit code.
func (e *ExitCodes) SetNull() { *e = nil }

// UnmarshalParam reads an exit code or a list of them.
func (e *ExitCodes) UnmarshalParam(value any) error {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	codes := make(ExitCodes, 0, len(items))
	for _, item := range items {
		n, ok := param.Int(item)
		if !ok || n < 0 || n > 255 {
			return &param.Error{
				Problem: fmt.Sprintf("%v is not an exit code", item), Expected: "a number from 0 to 255, a list of them, or null",
			}
		}
		codes = append(codes, int(n))
	}
	*e = codes
	return nil
}

// Validate checks what can be known before the command runs.
func (b *Bash) Validate() error {
	if b.OutputProcessor != nil {
		return errors.New("output_processor is a Python callable and is not supported; " +
			"process the value in a template of the task that uses it")
	}
	if _, ok := childprocess.Decoder(b.OutputEncoding); !ok {
		return fmt.Errorf("output_encoding %q is not supported; expected utf-8, ascii or latin-1", b.OutputEncoding)
	}
	return nil
}

// Execute runs the command and waits for its end, or ends it when ctx ends.
func (b *Bash) Execute(ctx context.Context, t operators.Task) (operators.Result, error) {
	if strings.TrimSpace(b.BashCommand) == "" {
		return operators.Result{}, operators.Failf("bash_command is empty")
	}
	dir, cleanup, err := b.directory()
	if err != nil {
		return operators.Result{}, err
	}
	defer cleanup()
	secret := b.deps.Mask != nil && b.deps.Mask(b.BashCommand) != b.BashCommand
	args, removeScript, err := arguments(b.BashCommand, childprocess.TemporaryName(b.home), secret)
	if err != nil {
		return operators.Result{}, err
	}
	defer removeScript()
	t.Log().Info("Running command: bash -c " + b.BashCommand)
	marker := childprocess.AttemptMark(b.home, t.Attempt())
	decode, _ := childprocess.Decoder(b.OutputEncoding) // checked by Validate
	run := &command{
		args: args, dir: dir, env: b.environment(t, marker), marker: marker,
		cleanup: b.deps.CleanupTime, log: t.Log(), decode: decode,
		keepLast: t.Spec() == nil || t.Spec().DoXComPush,
	}
	end, err := run.run(ctx, b.deps.Starter)
	if err != nil {
		return operators.Result{}, err
	}
	t.Log().Info("Command exited with return code " + end.code())
	return b.result(run, end)
}

func (b *Bash) result(run *command, end exit) (operators.Result, error) {
	switch {
	case end.signal != 0:
		return operators.Result{}, fmt.Errorf("Bash command failed. It was ended by signal %s", end.signalName())
	case containsCode(b.SkipOnExitCode, end.status):
		return operators.Skip(fmt.Sprintf("Bash command returned exit code %d. Skipping.", end.status)), nil
	case end.status != 0:
		return operators.Result{}, fmt.Errorf(
			"Bash command failed. The command returned a non-zero exit code %d.", end.status)
	case !run.keepLast:
		return operators.Done(nil), nil
	}
	value, ok := run.last()
	if !ok {
		return operators.Result{}, fmt.Errorf("the last line of the output is longer than %d bytes, too long for an XCom; "+
			"write it to a file, or set do_xcom_push: false", childprocess.MaxValue)
	}
	return operators.Done(value), nil
}

func containsCode(codes ExitCodes, code int) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// directory returns where the command runs.
func (b *Bash) directory() (string, func(), error) {
	if b.Cwd == nil {
		return b.deps.Starter.Directory(b.home)
	}
	info, err := os.Stat(*b.Cwd)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("can not find the cwd %s: %w", *b.Cwd, err)
	case !info.IsDir():
		return "", nil, fmt.Errorf("the cwd %s must be a directory", *b.Cwd)
	}
	return *b.Cwd, func() {}, nil
}

// maxArgument is what is passed on the command line; Linux refuses one argument of more than 128 KiB.
const maxArgument = 100 << 10

// arguments returns bash's arguments. A command too long for the command line, or too secret, goes through a file, whose
// name begins with name and which only this user can read.
func arguments(text, name string, secret bool) ([]string, func(), error) {
	if len(text) <= maxArgument && !secret {
		return []string{"bash", "-c", text}, func() {}, nil
	}
	f, err := os.CreateTemp("", name+"*.sh")
	if err != nil {
		return nil, nil, fmt.Errorf("a temporary file for the command: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("a temporary file for the command: %w", err), os.Remove(f.Name()))
	}
	return []string{"bash", f.Name()}, func() { _ = os.Remove(f.Name()) }, nil // a temporary file
}

// environment is the command's environment: Airflow's rules for env and append_env, then the attempt.
func (b *Bash) environment(t operators.Task, marker string) []string {
	var env []string
	if b.Env == nil || b.AppendEnv {
		env = childprocess.Environ()
	}
	for k, v := range b.Env {
		env = append(env, k+"="+v)
	}
	env = append(env, attemptEnv(t)...)
	return append(env, marker, childprocess.ParentMark())
}

// attemptEnv describes the attempt to its command.
func attemptEnv(t operators.Task) []string {
	owner := ""
	if spec := t.Spec(); spec != nil {
		owner = spec.Owner
	}
	return childprocess.AttemptEnv(t.Attempt(), owner, t.Run().LogicalDate)
}
