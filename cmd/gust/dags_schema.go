package main

import (
	"github.com/spf13/cobra"

	"gust/dag/dagfile"
	"gust/internal/app"
)

func (c *cli) dagsSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of pipeline files",
		Long: `Print the JSON Schema (draft 7) of pipeline files, with the parameters of every operator. An editor with the YAML language
server checks and completes a pipeline file that names it:

  # yaml-language-server: $schema=pipeline.schema.json`,
		Example: "  gust dags schema > pipelines/pipeline.schema.json",
		Args:    arguments(),
		RunE: func(*cobra.Command, []string) error {
			registry, err := app.Catalog()
			if err != nil {
				return err
			}
			text, err := dagfile.Schema(registry)
			if err != nil {
				return err
			}
			_, err = c.out.Write(text)
			return err
		},
	}
}
