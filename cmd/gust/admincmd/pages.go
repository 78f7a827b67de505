package admincmd

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"gust/internal/version"
)

func (c Commands) cheatSheet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cheat-sheet", Short: "List every command in one line each", GroupID: "system", Args: c.Arguments(),
		Example: "  gust cheat-sheet",
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		commands := leaves(cmd.Root())
		width := 0
		for _, leaf := range commands {
			width = max(width, len(leaf.CommandPath()))
		}
		group := ""
		for _, leaf := range commands {
			if top := strings.Fields(leaf.CommandPath())[1]; leaf.Parent().HasParent() && top != group {
				c.Printf("\n%s\n", leaf.Parent().Short)
				group = top
			} else if !leaf.Parent().HasParent() && group != "" {
				c.Printf("\n")
				group = ""
			}
			c.Printf("  %-*s  %s\n", width, leaf.CommandPath(), leaf.Short)
		}
		return nil
	}
	return cmd
}

// leaves are the commands that do something, in the order of the help.
func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasAvailableSubCommands() {
		if cmd.Name() == "help" {
			return nil
		}
		return []*cobra.Command{cmd}
	}
	var out []*cobra.Command
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			out = append(out, leaves(sub)...)
		}
	}
	return out
}

func (c Commands) docs() *cobra.Command {
	return c.Group("docs", "Write pages about the commands", "system", c.docsMan())
}

func (c Commands) docsMan() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write man pages of all commands", Args: c.Arguments("DIR"),
		Long: `Write a man page (section 1) of every command into a folder, which is made when it does not exist. "man -M" reads them when
the folder is called man1; installed below /usr/local/share/man they are found by themselves.`,
		Example: "  gust docs man ./man/man1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // man pages are for everybody
				return err
			}
			// A fixed date: the same version writes the same pages.
			date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			header := &doc.GenManHeader{Title: "GUST", Section: "1", Source: "gust " + version.Version, Manual: "Gust", Date: &date}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("write the man pages: %w", err)
			}
			entries, err := os.ReadDir(args[0])
			if err != nil {
				return err
			}
			c.Printf("Wrote %d man pages to %s\n", len(entries), args[0])
			return nil
		},
	}
}
