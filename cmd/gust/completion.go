package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print a completion script for bash, zsh, fish or powershell", GroupID: "system",
		Long: `Print a script that completes commands, flags, and the names of DAGs, tasks, runs, connections, variables and pools.

  bash        source <(gust completion bash), in ~/.bashrc; needs the package bash-completion
  zsh         gust completion zsh > "${fpath[1]}/_gust", once; needs compinit
  fish        gust completion fish > ~/.config/fish/completions/gust.fish, once
  powershell  gust completion powershell | Out-String | Invoke-Expression, in the profile`,
		Example: "  source <(gust completion bash)",
		Args:    arguments("SHELL"), ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.out, true)
			case "zsh":
				return root.GenZshCompletion(c.out)
			case "fish":
				return root.GenFishCompletion(c.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.out)
			}
			return usagef("SHELL is %q; expected %s%s", args[0], (&choiceError{shells}).Error(), didYouMean(args[0], shells))
		},
	}
}
