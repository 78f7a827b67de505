package sfncmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnconn"
	"gust/internal/app"
	"gust/internal/config"
	"gust/stepfunctions"
)

type localFlags struct {
	host, machines, database string
	mockConfig               string
	port                     int
	waitScale                float64
	reload                   bool
}

func (h *Host) local() *cobra.Command {
	f := &localFlags{}
	cmd := &cobra.Command{
		Use: "local", Short: "Serve Step Functions on this machine, for any client", Args: h.Arguments(),
		Long: `Serve the local Step Functions service alone, for the AWS CLI, the SDKs, Terraform and tests, with any credentials. Its
state is kept in memory unless --database names a file. Lambda functions and integrations are those of config.yaml.

Commands of Gust in this folder use it as aws_default while nobody defines that connection.

State machines come from a folder: NAME.asl.json becomes, or changes, the state machine NAME. With --reload changes of the
files are taken over at once; a broken file is told and changes nothing.`,
		Example: "  gust sfn local\n  gust sfn local --port 0 --state-machines machines --reload",
	}
	flags := cmd.Flags()
	flags.StringVar(&f.host, "host", "", "listen on this `HOST` (default: stepfunctions.host, 127.0.0.1)")
	flags.IntVar(&f.port, "port", -1, "listen on this `PORT`, 0: any free one (default: stepfunctions.port, 8083)")
	flags.Lookup("port").DefValue = "0" // -1, the configuration's, is nothing to show
	flags.StringVar(&f.machines, "state-machines", "", "the `DIR` of NAME.asl.json files (default: stepfunctions.state_machines_folder)")
	flags.StringVar(&f.database, "database", "", "keep the state in this `FILE`")
	flags.StringVar(&f.mockConfig, "mock-config", "", "the `FILE` of mocked responses (default: stepfunctions.mock_config)")
	flags.Float64Var(&f.waitScale, "wait-scale", 0, "multiply waits and retry delays with `N`: 0.001 makes an hour less than 4 seconds")
	flags.BoolVar(&f.reload, "reload", false, "take changed definitions over while it runs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		region, err := cmd.Flags().GetString("region")
		if err != nil {
			return err
		}
		cfg, err := h.localConfig(f, region)
		if err != nil {
			return err
		}
		return h.serve(cmd.Context(), cfg, f.reload)
	}
	return cmd
}

// localConfig is the configuration with the flags laid over it.
func (h *Host) localConfig(f *localFlags, region string) (*config.Config, error) {
	loaded, err := h.Config()
	if err != nil {
		return nil, err
	}
	cfg := *loaded
	s := &cfg.StepFunctions
	s.Database = f.database
	if region != "" {
		s.Region = region
	}
	if f.host != "" {
		s.Host = f.host
	}
	if f.port >= 0 {
		s.Port = f.port
	}
	if f.waitScale < 0 {
		return nil, host.Usagef("--wait-scale is %v; expected 0 or more", f.waitScale)
	}
	if f.waitScale > 0 {
		s.WaitTimeScale = f.waitScale
	}
	if f.mockConfig != "" {
		s.MockConfig = f.mockConfig
	}
	if f.machines != "" {
		if info, err := os.Stat(f.machines); err != nil || !info.IsDir() {
			return nil, host.Usagef("--state-machines: %s is not a folder", f.machines)
		}
		s.StateMachinesFolder = f.machines
	}
	return &cfg, nil
}

// serve serves until ctx is done.
func (h *Host) serve(ctx context.Context, cfg *config.Config, reload bool) (err error) {
	log := slog.New(slog.NewTextHandler(h.Err, nil))
	// The watch begins before the folder is read: no change falls in between.
	changes, unwatch, err := watch(cfg.StepFunctions.StateMachinesFolder, reload)
	if err != nil {
		return err
	}
	defer unwatch()
	service, err := app.Embedded(ctx, cfg, app.EmbeddedOptions{Log: log})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, service.Stop(stop))
	}()
	withdrawn, ours, err := app.Announce(cfg, service.Endpoint())
	if err != nil {
		return err
	}
	defer withdrawn()
	if _, err := fmt.Fprint(h.Out, welcome(cfg, service.Endpoint(), ours)); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-changes:
			if !open {
				return errors.New("the folder of state machines is no longer watched; start again")
			}
			takeOver(ctx, service.Service, log)
		}
	}
}

func takeOver(ctx context.Context, service *stepfunctions.Service, log *slog.Logger) {
	if err := service.Reload(ctx); err != nil {
		log.Error("not every definition could be taken over", "error", err)
		return
	}
	log.Info("the definitions were taken over")
}

// welcome says what is served and how to use it.
func welcome(cfg *config.Config, endpoint string, ours bool) string {
	s := cfg.StepFunctions
	kept := "state in memory"
	if s.Database != "" {
		kept = "state in " + s.Database
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Step Functions is served at %s (account %s, region %s, %s).\n", endpoint, s.AccountID, s.Region, kept)
	if names := machinesIn(s.StateMachinesFolder); len(names) > 0 {
		fmt.Fprintf(&b, "State machines of %s: %s\n", s.StateMachinesFolder, strings.Join(names, ", "))
	}
	if ours {
		b.WriteString("\nGust's commands in this folder use it:\n  gust sfn list-state-machines\n")
	} else {
		fmt.Fprintf(&b, "\nAnother service is announced in this folder; reach this one with:\n  gust sfn list-state-machines --endpoint-url %s\n", endpoint)
	}
	which, login, secret := "with any credentials", "local", "local"
	if len(s.AccessKeys) > 0 {
		which, secret = "with a key of stepfunctions.access_keys", "..."
		login, _ = sfnconn.LocalKeys(s.AccessKeys)
	}
	fmt.Fprintf(&b, "The AWS CLI and the SDKs, %s:\n"+
		"  export AWS_ENDPOINT_URL_SFN=%s AWS_DISABLE_HOST_PREFIX_INJECTION=true\n"+
		"  export AWS_DEFAULT_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n"+
		"  aws stepfunctions list-state-machines\nStop it with Ctrl-C.\n", which, endpoint, s.Region, login, secret)
	return b.String()
}

func machinesIn(folder string) []string {
	files, err := filepath.Glob(filepath.Join(folder, "*.asl.json"))
	if err != nil || folder == "" {
		return nil
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(filepath.Base(f), ".asl.json")
	}
	return names
}

// settle is how long a folder must be quiet before it is read: editors write a file in several steps.
const settle = 50 * time.Millisecond

// watch tells when definitions of a folder have changed. Without want it never does. stop ends the watching and waits for it.
func watch(folder string, want bool) (changes <-chan struct{}, stop func(), err error) {
	if !want {
		return nil, func() {}, nil
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, nil, host.Usagef("--reload: there is no folder %s to watch; give one with --state-machines", folder)
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil, fmt.Errorf("watch %s: %w", folder, err)
	}
	if err := fs.Add(folder); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("watch %s: %w", folder, err), fs.Close())
	}
	out, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		forward(fs, out)
	}()
	return out, func() {
		_ = fs.Close() // it ends the goroutine
		for range out {
		}
		<-done
	}, nil
}

// forward sends once for each burst of changes, until the watcher is closed.
func forward(fs *fsnotify.Watcher, out chan<- struct{}) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case e, open := <-fs.Events:
			if !open {
				return
			}
			if strings.HasSuffix(e.Name, ".asl.json") && e.Op != fsnotify.Chmod {
				timer.Reset(settle)
			}
		case err, open := <-fs.Errors:
			if !open {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				timer.Reset(settle)
			}
		case <-timer.C:
			out <- struct{}{}
		}
	}
}
