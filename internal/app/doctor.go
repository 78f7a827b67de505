package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gust/dag"
	"gust/internal/home"
	"gust/store"
)

// Health is how a check went.
type Health string

// Outcomes of a check.
const (
	HealthOK   Health = "OK"
	HealthWarn Health = "WARN"
	HealthFail Health = "FAIL"
)

// Check is one thing that was looked at. Advice says what to do about it.
type Check struct {
	Name    string
	Health  Health
	Message string
	Advice  string
}

// Limits of the checks.
const (
	diskWarn = 1 << 30   // bytes free
	diskFail = 100 << 20 // bytes free
	// clockSlack is how far in the future a row may lie: clocks are never exactly equal.
	clockSlack = 5 * time.Second
	// pythonPatience bounds the start of an interpreter.
	pythonPatience = 10 * time.Second
)

// DoctorOptions adjust Doctor.
type DoctorOptions struct {
	// TestConnections tries out every connection of a type that can be tested, which uses the network.
	TestConnections bool
}

// Doctor looks at everything that must be right for pipelines to run, and says what is not.
func (a *App) Doctor(ctx context.Context, o DoctorOptions) []Check {
	checks := []Check{a.checkConfiguration(), a.checkHome()}
	checks = append(checks, a.checkDatabase(ctx), a.checkDisk(), a.checkClock(ctx))
	checks = append(checks, a.checkConnections(ctx, o.TestConnections)...)
	loaded, err := a.Pipelines(ctx)
	if err != nil {
		checks = append(checks, Check{"pipelines", HealthFail, err.Error(), "set core.dags_folder to the folder with your pipelines"})
	} else {
		checks = append(checks, checkPipelines(loaded))
	}
	checks = append(checks, a.checkDaemon(ctx))
	checks = append(checks, a.checkPorts(ctx)...)
	if loaded != nil {
		checks = append(checks, a.checkPython(ctx, loaded))
	}
	return checks
}

func (a *App) checkConfiguration() Check {
	c := Check{Name: "configuration", Health: HealthOK, Message: a.Config.File()}
	if c.Message == "" {
		c.Message = "no file, the defaults count"
	}
	changed := 0
	for _, e := range a.Config.Entries() {
		if e.Origin != "" {
			changed++
		}
	}
	c.Message += fmt.Sprintf("; %d settings are not the default", changed)
	return c
}

// checkHome looks whether the home can be written to, and whether others can read it.
func (a *App) checkHome() Check {
	path := a.Config.Home()
	c := Check{Name: "home", Health: HealthOK, Message: path}
	f, err := os.CreateTemp(path, ".doctor-")
	if err != nil {
		c.Health, c.Message = HealthFail, err.Error()
		c.Advice = "make the folder writable for this user, or set GUST_HOME to another"
		return c
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		c.Health, c.Message = HealthFail, err.Error()
		return c
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.Health = HealthWarn
		c.Message += fmt.Sprintf(" can be read by others (mode %04o)", info.Mode().Perm())
		c.Advice = "chmod 700 " + path
	}
	key := filepath.Join(path, home.KeyFile)
	if info, err := os.Stat(key); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.Health, c.Message, c.Advice = HealthFail, "the key file "+key+" can be read by others", "chmod 600 "+key
	}
	return c
}

func (a *App) checkDatabase(ctx context.Context) Check {
	path, err := CheckDatabase(ctx, a.Config)
	if err != nil {
		return Check{"database", HealthFail, err.Error(), "see \"Trouble\" in docs/operations.md; `gust db check` repeats this check"}
	}
	c := Check{Name: "database", Health: HealthOK, Message: path}
	if info, err := os.Stat(path); err == nil {
		c.Message += ", " + size(uint64(info.Size())) //nolint:gosec // a size is not negative
	}
	return c
}

func size(bytes uint64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	n, i := float64(bytes), 0
	for n >= 1000 && i < len(units)-1 {
		n, i = n/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

func (a *App) checkDisk() Check {
	var fs unix.Statfs_t
	if err := unix.Statfs(a.Config.Home(), &fs); err != nil {
		return Check{"disk", HealthWarn, "the free space cannot be told: " + err.Error(), ""}
	}
	return diskCheck(fs.Bavail * uint64(fs.Bsize)) //nolint:gosec // a block size is not negative
}

func diskCheck(free uint64) Check {
	c := Check{Name: "disk", Health: HealthOK, Message: size(free) + " free in the home folder"}
	switch {
	case free < diskFail:
		c.Health = HealthFail
	case free < diskWarn:
		c.Health = HealthWarn
	}
	if c.Health != HealthOK {
		c.Advice = "free some space: `gust db clean` deletes old runs, logs are in the folder logs of the home"
	}
	return c
}

// checkClock compares the clock with what the database says has been: a clock that was set back makes things due late.
func (a *App) checkClock(ctx context.Context) Check {
	now := a.Now()
	c := Check{Name: "clock", Health: HealthOK, Message: now.Format(time.RFC3339) + ", default timezone " + a.Config.Core.DefaultTimezone}
	latest := time.Time{}
	if beat, err := a.Store.HeartbeatGet(ctx); err == nil {
		latest = beat.At
	}
	if runs, err := a.Store.RunList(ctx, &store.RunListParams{Limit: 100}); err == nil {
		for i := range runs {
			if at := runs[i].QueuedAt; at.After(latest) {
				latest = at
			}
		}
	}
	if ahead := latest.Sub(now); ahead > clockSlack {
		c.Health = HealthFail
		c.Message = fmt.Sprintf("the clock says %s, but the database holds something that happened %s later", now.Format(time.RFC3339),
			ahead.Round(time.Second))
		c.Advice = "set the clock; nothing that is due in that time is lost"
	}
	return c
}

// checkConnections looks whether every connection can be read, and with test whether its service answers.
func (a *App) checkConnections(ctx context.Context, test bool) []Check {
	entries, err := a.Connections.List(ctx)
	if err != nil {
		return []Check{{"connections", HealthFail, a.Masker.Mask(err.Error()), "`gust connections list` shows which source is wrong"}}
	}
	all := Check{Name: "connections", Health: HealthOK}
	var out []Check
	used, unreadable := 0, 0
	for i := range entries {
		e := &entries[i]
		if e.Shadowed {
			continue
		}
		used++
		if e.Err != nil {
			unreadable++
			out = append(out, Check{"connection " + e.ID, HealthFail, a.Masker.Mask(e.Err.Error()),
				"correct it in " + e.Source + ", or restore the key that it was encrypted with"})
			continue
		}
		if !test || connectionTests[e.Connection.Type] == nil {
			continue
		}
		message, ok, err := a.TestConnection(ctx, e.Connection)
		switch {
		case err != nil:
			out = append(out, Check{"connection " + e.ID, HealthFail, err.Error(), ""})
		case !ok:
			out = append(out, Check{"connection " + e.ID, HealthFail, message, "`gust connections test " + e.ID + "` tries it again"})
		default:
			out = append(out, Check{"connection " + e.ID, HealthOK, message, ""})
		}
	}
	all.Message = fmt.Sprintf("%d of %d can be read", used-unreadable, used)
	return append([]Check{all}, out...)
}

func checkPipelines(p *Pipelines) Check {
	c := Check{Name: "pipelines", Health: HealthOK}
	warnings := 0
	for i := range p.Files {
		warnings += p.Files[i].Warnings
	}
	c.Message = fmt.Sprintf("%d DAGs in %d files", len(p.DAGs), len(p.Files))
	switch {
	case len(p.Errors) > 0:
		c.Health = HealthFail
		c.Message += fmt.Sprintf(", %d files cannot be loaded", len(p.Errors))
		c.Advice = "`gust dags list-import-errors` lists every problem"
	case warnings > 0:
		c.Health = HealthWarn
		c.Message += fmt.Sprintf(", with %d warnings", warnings)
		c.Advice = "`gust dags list-import-errors --warnings` lists them"
	case len(p.DAGs) == 0:
		c.Health, c.Advice = HealthWarn, "put a pipeline file into core.dags_folder"
	}
	return c
}

func (a *App) checkDaemon(ctx context.Context) Check {
	c := Check{Name: "daemon", Health: HealthOK}
	text, err := a.SchedulerStatus(ctx)
	if err != nil {
		return Check{"daemon", HealthFail, err.Error(), ""}
	}
	c.Message = text
	switch {
	case !a.SchedulerAlive():
		c.Health, c.Advice = HealthWarn, "start `gust scheduler` or `gust standalone`"
	case strings.Contains(text, "without a sign of life"):
		c.Health, c.Advice = HealthFail, "its log says why; restart it"
	}
	return c
}

// checkPorts looks whether the ports that a daemon would listen on are free, while none runs.
func (a *App) checkPorts(ctx context.Context) []Check {
	if a.SchedulerAlive() {
		return nil
	}
	var out []Check
	for _, p := range []struct {
		name, setting, host string
		port                int
		on                  bool
	}{
		{"port of the Step Functions service", "stepfunctions.port", a.Config.StepFunctions.Host, a.Config.StepFunctions.Port, a.Config.StepFunctions.Enabled},
		{"port of health and metrics", "api.port", a.Config.API.Host, a.Config.API.Port, a.Config.API.Enabled},
	} {
		if !p.on || p.port == 0 {
			continue
		}
		at := net.JoinHostPort(p.host, strconv.Itoa(p.port))
		var listening net.ListenConfig
		l, err := listening.Listen(ctx, "tcp", at)
		if err != nil {
			out = append(out, Check{p.name, HealthWarn, err.Error(), "stop what uses it, or set " + p.setting})
			continue
		}
		_ = l.Close() // nothing was accepted
		out = append(out, Check{p.name, HealthOK, at + " is free", ""})
	}
	return out
}

// checkPython looks for the interpreter, when a pipeline needs one.
func (a *App) checkPython(ctx context.Context, p *Pipelines) Check {
	c := Check{Name: "python", Health: HealthOK}
	needs := slices.ContainsFunc(p.DAGs, func(d *dag.DAG) bool {
		return slices.ContainsFunc(d.Tasks, func(t *dag.Task) bool { return strings.Contains(t.Operator, "Python") })
	})
	name := a.Config.Python.Interpreter
	path, err := exec.LookPath(name)
	if err != nil {
		c.Message = err.Error()
		if !needs {
			c.Message = "not found, and no pipeline needs it"
			return c
		}
		c.Health, c.Advice = HealthFail, "install Python 3.8 or later, or set python.interpreter"
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, pythonPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput() //nolint:gosec // the user configures it
	if err != nil {
		c.Health, c.Message, c.Advice = HealthFail, fmt.Sprintf("%s --version: %v", path, err), "set python.interpreter"
		if !needs {
			c.Health = HealthWarn
		}
		return c
	}
	c.Message = fmt.Sprintf("%s, %s", strings.TrimSpace(string(out)), path)
	return c
}
