package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gust/cmd/gust/admincmd"
	"gust/internal/app"
)

func (c *cli) dbCommand() *cobra.Command {
	return group("db", "Create, check, clean and reset the database", "system",
		append([]*cobra.Command{c.dbMigrate(), c.dbCheck(), c.dbReset()}, admincmd.Commands{Host: c.lend()}.DB()...)...)
}

func (c *cli) dbMigrate() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Create the database or bring its schema up to date",
		Long:    "Create the database or bring its schema up to date. The daemon and every command do this by themselves.",
		Example: "  gust db migrate", Args: arguments(),
		RunE: c.withApp(func(_ *cobra.Command, a *app.App, _ []string) error { // opening migrates
			c.printf("Database migration done: %s\n", a.DatabasePath)
			return nil
		}),
	}
}

func (c *cli) dbCheck() *cobra.Command {
	var retry, delay int
	cmd := &cobra.Command{
		Use: "check", Short: "Check that the database can be reached, is whole, and has this version's schema",
		Long:    "Check that the database can be reached, is whole, and has this version's schema. Exits with 1 when not.",
		Example: "  gust db check\n  gust db check --retry 10 --retry-delay 2", Args: arguments(),
	}
	cmd.Flags().IntVar(&retry, "retry", 0, "try `N` more times")
	cmd.Flags().IntVar(&delay, "retry-delay", 1, "`SECONDS` between two tries")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.config()
		if err != nil {
			return err
		}
		for {
			path, err := app.CheckDatabase(cmd.Context(), cfg)
			if err == nil {
				c.printf("Connection successful: %s\n", path)
				return nil
			}
			if retry--; retry < 0 {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return errors.Join(err, cmd.Context().Err())
			case <-time.After(time.Duration(delay) * time.Second):
			}
		}
	}
	return cmd
}

func (c *cli) dbReset() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset", Short: "Delete everything in the database",
		Long:    "Delete everything in the database: runs, task instances, XComs, variables, connections, pools. Refused while a daemon runs.",
		Example: "  gust db reset --yes", Args: arguments(),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.config()
		if err != nil {
			return err
		}
		if !yes && !c.confirm(fmt.Sprintf("This deletes every run, connection and variable in %s. Proceed? (y/n) ", cfg.Home())) {
			return &exitError{Code: codeFailed, Err: errors.New("cancelled")}
		}
		path, err := app.ResetDatabase(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		c.printf("Database reset: %s\n", path)
		return nil
	}
	return cmd
}

// confirm asks on the terminal; anything but yes is no, also the end of input.
func (c *cli) confirm(question string) bool {
	c.printf("%s", question)
	answer, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil && answer == "" {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}
