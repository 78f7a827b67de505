// Package admincmd is the commands that keep the installation well: doctor, cleaning and checking the database, jobs, and the
// pages that are made of the commands themselves.
package admincmd

import (
	"errors"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/internal/app"
	"gust/internal/config"
)

// Commands makes the commands.
type Commands struct{ *host.Host }

// System are the commands beside `gust info`.
func (c Commands) System() []*cobra.Command {
	return []*cobra.Command{c.doctor(), c.jobs(), c.cheatSheet(), c.docs()}
}

func (c Commands) doctor() *cobra.Command {
	var test bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check everything that must be right for pipelines to run", GroupID: "system", Args: c.Arguments(),
		Long: `Check configuration, home folder, database, free disk space, clock, connections, pipelines, the daemon, ports and the Python
interpreter, and say what to do about what is wrong. Exits with 1 when a check fails; a warning does not count.`,
		Example: "  gust doctor\n  gust doctor --test-connections -o json",
	}
	cmd.Flags().BoolVar(&test, "test-connections", false, "also ask the service behind each connection, which uses the network")
	format := c.OutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.report(c.examine(cmd, app.DoctorOptions{TestConnections: test}), *format)
	}
	return cmd
}

// examine opens the home, which is a check of its own, and then looks at everything.
func (c Commands) examine(cmd *cobra.Command, o app.DoctorOptions) []app.Check {
	cfg, err := c.Config()
	if err != nil {
		return []app.Check{{Name: "configuration", Health: app.HealthFail, Message: err.Error(), Advice: "correct it; `gust config list --defaults` prints a complete one"}}
	}
	checks, err := c.opened(cmd, cfg, o)
	if err != nil {
		return []app.Check{
			{Name: "configuration", Health: app.HealthOK, Message: cfg.File()},
			{Name: "home and database", Health: app.HealthFail, Message: err.Error(), Advice: "see \"Trouble\" in docs/operations.md"},
		}
	}
	return checks
}

func (c Commands) opened(cmd *cobra.Command, cfg *config.Config, o app.DoctorOptions) (checks []app.Check, err error) {
	a, err := app.Open(cmd.Context(), cfg, app.Options{Log: c.Err})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return a.Doctor(cmd.Context(), o), nil
}

func (c Commands) report(checks []app.Check, format string) error {
	t := &host.Table{Columns: []string{"check", "status", "message", "advice"}}
	failed, warned := 0, 0
	for i := range checks {
		ch := &checks[i]
		t.Add(ch.Name, string(ch.Health), ch.Message, ch.Advice)
		switch ch.Health {
		case app.HealthFail:
			failed++
		case app.HealthWarn:
			warned++
		case app.HealthOK:
		}
	}
	if format != "table" {
		if err := c.Print(t, format); err != nil {
			return err
		}
	} else {
		c.list(checks)
	}
	switch {
	case failed > 0:
		c.Note("%d of %d checks failed.", failed, len(checks))
		return host.Quiet(host.CodeFailed)
	case warned > 0:
		c.Note("%d of %d checks warn.", warned, len(checks))
	default:
		c.Note("All %d checks are fine.", len(checks))
	}
	return nil
}

// list prints a line for each check, and its advice below it: messages are long.
func (c Commands) list(checks []app.Check) {
	colours := c.Screen(c.Out).Colours()
	class := map[app.Health]string{app.HealthOK: "success", app.HealthWarn: "up_for_retry", app.HealthFail: "failed"}
	for i := range checks {
		ch := &checks[i]
		status := string(ch.Health) + "    "[:4-len(ch.Health)]
		c.Printf("%s  %s: %s\n", c.Paint(colours, class[ch.Health], status), ch.Name, ch.Message)
		if ch.Advice != "" {
			c.Printf("      %s\n", ch.Advice)
		}
	}
}
