package main

import (
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/spf13/cobra"

	"gust/cmd/gust/sfnapi"
	"gust/cmd/gust/sfncmd"
	"gust/cmd/gust/sfnconn"
	"gust/connections/awsconn"
	"gust/internal/app"
)

const sfnLong = `Command AWS Step Functions, or Gust's own service: the commands, flags and output forms of "aws stepfunctions" over
Gust's connections, and commands for what is otherwise scripted by hand.

  gust sfn local                                            serve Step Functions here, for any client
  gust sfn run hello.asl.json --input '{"name": "Ada"}'     run a definition and follow it, without any service
  gust sfn start-execution --state-machine-arn ARN          every command of "aws stepfunctions"
  gust sfn tail EXECUTION_ARN -f                            read along what an execution does

The service is that of the connection --aws-conn-id, by default aws_default: while nobody defines that connection it is
the service of a running "gust standalone" or "gust sfn local" of this home, else AWS by the default credential chain.
--endpoint-url names another one; without any credentials a service on loopback gets made-up ones.

A value may be file://FILE, and - is standard input where the value is one text. Structures are JSON or shorthand
(key=value,key=value); lists are several words or JSON. An ARN that is the subject of a command may be given without its
flag. Times are printed in local time, as the AWS CLI v2 prints them.

Exit codes: those of gust for wrong usage (2) and interruption (130); 253 no region or credentials, 254 the service
answered with an error, 255 it did not answer, as the AWS CLI has them.`

// sfnCommand holds the operations of the API, made of one table, and the commands written by hand.
func (c *cli) sfnCommand() *cobra.Command {
	conn := &sfnconn.Settings{}
	env := &sfnapi.Env{
		In: c.in, Out: c.out, Colour: coloured(c.out),
		Width: func() int { columns, _ := terminalSize(c.out); return columns },
		Client: func(cmd *cobra.Command, patience time.Duration) (*sfn.Client, func(), error) {
			return c.sfnClient(cmd, conn, patience)
		},
	}
	output := sfnapi.OutputFlags()
	cmd := group("sfn", "Command AWS Step Functions or the local service", "stepfunctions")
	cmd.Aliases, cmd.Long = []string{"stepfunctions"}, sfnLong
	cmd.AddGroup(&cobra.Group{ID: "hand", Title: "Run, watch and serve:"}, &cobra.Group{ID: "api", Title: "The API, as in \"aws stepfunctions\":"})
	sfnConnectionFlags(cmd, conn)
	host := &sfncmd.Host{
		In: c.in, Out: c.out, Err: c.err, Arguments: arguments, Config: c.config, Client: env.Client,
		Choice: func(cmd *cobra.Command, name, shorthand, usage, def string, values ...string) *string {
			return &choiceFlag(cmd, name, shorthand, usage, def, values...).value
		},
		Screen: func(w io.Writer) sfncmd.Screen { return sfnScreen{newScreen(w)} },
		Paint:  paint, Symbol: symbol,
	}
	for _, h := range append(sfncmd.New(host), sfnapi.NewDescribe(env, output)) {
		h.GroupID = "hand"
		cmd.AddCommand(h)
	}
	for _, o := range sfnapi.Operations {
		sub := o.NewCommand(env, output)
		sub.GroupID = "api"
		cmd.AddCommand(sub)
	}
	return cmd
}

// sfnScreen is a screen as the commands of package sfncmd see it.
type sfnScreen struct{ *screen }

func (s sfnScreen) Live() bool       { return s.live }
func (s sfnScreen) Colours() bool    { return s.colours }
func (s sfnScreen) Size() (int, int) { return s.size() }
func (s sfnScreen) Show(l []string)  { s.show(l) }
func (s sfnScreen) Leave()           { s.leave() }

func sfnConnectionFlags(cmd *cobra.Command, s *sfnconn.Settings) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&s.ConnID, "aws-conn-id", awsconn.DefaultConnID, "the connection `ID`; empty: none, the default credential chain")
	flags.StringVar(&s.Region, "region", "", "the `REGION` (default: the connection's, AWS_DEFAULT_REGION, AWS_REGION)")
	flags.StringVar(&s.Endpoint, "endpoint-url", "", "the `URL` of the service")
	flags.StringVar(&s.Profile, "profile", "", "the `PROFILE` of the AWS configuration files, instead of a connection")
	flags.StringVar(&s.CABundle, "ca-bundle", "", "verify the service's certificate with this `FILE`")
	flags.BoolVar(&s.NoVerify, "no-verify-ssl", false, "do not verify the service's certificate")
	flags.BoolVar(&s.Unsigned, "no-sign-request", false, "send requests without a signature")
	flags.IntVar(&s.ReadTimeout, "cli-read-timeout", -1, "wait at most `N` seconds for an answer, 0: without end")
	flags.IntVar(&s.ConnectTimeout, "cli-connect-timeout", -1, "wait at most `N` seconds for a connection, 0: without end")
	for _, name := range []string{"cli-read-timeout", "cli-connect-timeout"} {
		flags.Lookup(name).DefValue = "0" // -1, the connection's, is nothing to show
	}
	const without = "accepted as in the AWS CLI, without effect: "
	flags.Bool("no-cli-pager", false, without+"nothing is paged")
	flags.Bool("no-cli-auto-prompt", false, without+"nothing is asked")
	flags.Bool("debug", false, without+"-v prints debugging messages")
	flags.String("cli-binary-format", "", without+"a `FORM`; no parameter is binary")
	for _, name := range []string{"no-cli-pager", "no-cli-auto-prompt", "debug", "cli-binary-format"} {
		_ = flags.MarkHidden(name) // it fails only for a flag that does not exist
	}
}

// sfnClient opens the client that the connection flags of a command describe.
func (c *cli) sfnClient(cmd *cobra.Command, s *sfnconn.Settings, patience time.Duration) (*sfn.Client, func(), error) {
	cfg, err := c.config()
	if err != nil {
		return nil, nil, err
	}
	if !c.verbose { // what the connection layer has to tell is the talk of a daemon
		quiet := *cfg
		quiet.Logging.Level = "WARNING"
		cfg = &quiet
	}
	a, err := app.Open(cmd.Context(), cfg, app.Options{Log: c.err})
	if err != nil {
		return nil, nil, err
	}
	release := func() {
		if err := a.Close(); err != nil {
			c.note("gust: %v", err)
		}
	}
	s.Explicit = cmd.Flags().Changed("aws-conn-id")
	s.DefaultRegion, s.AccessKeys = cfg.StepFunctions.Region, cfg.StepFunctions.AccessKeys
	client, err := s.Client(cmd.Context(), a.AWS, a.Connections, patience)
	if err != nil {
		release()
		return nil, nil, err
	}
	return client, release, nil
}
