// Package app assembles Gust: it is the one place that names concrete implementations. Open gives a command everything it
// needs to look and to change settings; a Daemon is that with the engine running.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gust/connections"
	"gust/connections/awsconn"
	"gust/connections/awsconn/quota"
	"gust/dag"
	"gust/internal/config"
	"gust/internal/home"
	"gust/internal/param"
	"gust/internal/variables"
	"gust/store"
	"gust/store/sqlite"
)

// App is an opened home: state, connections, variables. Close it.
type App struct {
	Config       *config.Config
	Store        store.Store
	DatabasePath string
	Masker       *connections.Masker
	Connections  *connections.Chain
	// Database is the source of connections that commands write to.
	Database  *connections.Database
	Variables *variables.Variables
	AWS       *awsconn.Pool
	// Log is the process's own log, masked.
	Log *slog.Logger
	Now func() time.Time
}

// Options adjust Open. The zero value is ready for use.
type Options struct {
	// Log is where the process's own messages go; nil discards them.
	Log io.Writer
	// StorePath replaces the configured database, for a run that leaves no trace (sqlite.InMemory). Connections,
	// variables and pools are then still those of the configured one.
	StorePath string
	// EmbeddedEndpoint is the URL of the embedded Step Functions service that aws_default means while nobody defines it.
	// Empty: what a running `gust standalone` of this home announces, if any.
	EmbeddedEndpoint string
	// Environ is where connections and variables are looked up first (NAME=value); nil means the process's environment.
	Environ []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Around stands between the database and everybody who uses it: it is given the opened store and returns the one to
	// use. nil leaves it as it is.
	Around func(store.Store) store.Store
}

// Open opens the home of a configuration, creating it and migrating its database as needed.
func Open(ctx context.Context, cfg *config.Config, opts Options) (*App, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	if err := home.Create(cfg.Home()); err != nil {
		return nil, err
	}
	a := &App{Config: cfg, DatabasePath: cfg.Database.Path, Masker: &connections.Masker{}, Now: opts.Now}
	a.Log = slog.New(a.Masker.Handler(newLogHandler(opts.Log, cfg)))
	if err := a.openAWS(); err != nil {
		return nil, err
	}
	settings, err := openStore(ctx, cfg, cfg.Database.Path, opts.Now)
	if err != nil {
		return nil, err
	}
	a.Store = settings
	if opts.Around != nil {
		a.Store = opts.Around(settings)
	}
	if opts.StorePath != "" {
		own, err := openStore(ctx, cfg, opts.StorePath, opts.Now)
		if err != nil {
			return nil, errors.Join(err, settings.Close())
		}
		a.Store = &overlay{Store: own, settings: settings}
		if err := copyPools(ctx, settings, own); err != nil {
			return nil, errors.Join(err, a.Store.Close())
		}
	}
	keys := connections.NewKeyring(cfg.Core.FernetKey, filepath.Join(cfg.Home(), home.KeyFile))
	a.Database = connections.NewDatabase(connectionRows{a.Store}, keys)
	lookup, environ := environment(opts.Environ)
	a.Variables = variables.New(variables.Options{
		Rows: variableRows{a.Store}, Sealer: keys, Masker: a.Masker, Lookup: lookup, Environ: environ,
	})
	first := connections.NewEnvironment(lookup, environ)
	a.Connections = connections.NewResolver(a.Masker, a.sources(first, opts.EmbeddedEndpoint)...)
	return a, nil
}

// openAWS makes the pool of AWS clients.
func (a *App) openAWS() error {
	own := a.Config.StepFunctions
	sizes, err := quota.ParseSizes(own.ClientQuotas, param.Nearest)
	if err != nil {
		return fmt.Errorf("stepfunctions.client_quotas: %w", err)
	}
	a.AWS = awsconn.NewPoolWithin(a.Log, quota.New(quota.Options{Sizes: sizes, Everywhere: own.ClientQuotasEverywhere}))
	return nil
}

// sources are the places connections are looked up in, first to last.
func (a *App) sources(first connections.Source, endpoint string) []connections.Source {
	sources := []connections.Source{first}
	if file := a.Config.Secrets.ConnectionsFile; file != "" {
		sources = append(sources, connections.NewFile(file))
	} else {
		sources = append(sources, connections.FilesIn(a.Config.Dir())...)
	}
	sources = append(sources, a.Database)
	if endpoint == "" {
		endpoint = announced(a.Config.Home())
	}
	if endpoint != "" {
		sources = append(sources, connections.NewFixed("built in", embeddedConnection(a.Config, endpoint)))
	}
	return sources
}

// environment is the look-up in a list of NAME=value, or nil functions, which mean the process's environment.
func environment(environ []string) (lookup func(string) (string, bool), list func() []string) {
	if environ == nil {
		return nil, nil
	}
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	lookup = func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	return lookup, func() []string { return environ }
}

func openStore(ctx context.Context, cfg *config.Config, path string, now func() time.Time) (*sqlite.Store, error) {
	s, err := sqlite.Open(ctx, path, sqlite.Options{
		BusyTimeout: cfg.Database.BusyTimeout, DefaultPoolSlots: cfg.Core.DefaultPoolTaskSlotCount, Now: now,
	})
	if err != nil {
		return nil, err
	}
	if err := s.SchemaMigrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// overlay is a Store of its own whose settings live in another: a test run reads the real connections and variables and
// leaves its runs nowhere.
type overlay struct {
	store.Store
	settings store.Store
	// With recorded, task sees the XComs of the other tasks of that run.
	task     string
	recorded dag.RunKey
}

func (o *overlay) XComGet(ctx context.Context, key dag.Key, name string) (*store.XCom, error) {
	x, err := o.Store.XComGet(ctx, key, name)
	if errors.Is(err, store.ErrNotFound) && o.recorded.RunID != "" && key.DagID == o.recorded.DagID && key.TaskID != o.task {
		key.RunID = o.recorded.RunID
		return o.settings.XComGet(ctx, key, name)
	}
	return x, err
}

func (o *overlay) VariableGet(ctx context.Context, key string) (*store.Variable, error) {
	return o.settings.VariableGet(ctx, key)
}
func (o *overlay) VariableList(ctx context.Context) ([]store.Variable, error) {
	return o.settings.VariableList(ctx)
}
func (o *overlay) VariableSet(ctx context.Context, v *store.Variable) error {
	return o.settings.VariableSet(ctx, v)
}
func (o *overlay) VariableDelete(ctx context.Context, key string) error {
	return o.settings.VariableDelete(ctx, key)
}
func (o *overlay) ConnectionGet(ctx context.Context, id string) (*store.ConnectionRow, error) {
	return o.settings.ConnectionGet(ctx, id)
}
func (o *overlay) ConnectionList(ctx context.Context) ([]store.ConnectionRow, error) {
	return o.settings.ConnectionList(ctx)
}
func (o *overlay) ConnectionPut(ctx context.Context, row *store.ConnectionRow, overwrite bool) error {
	return o.settings.ConnectionPut(ctx, row, overwrite)
}
func (o *overlay) ConnectionDelete(ctx context.Context, id string) error {
	return o.settings.ConnectionDelete(ctx, id)
}
func (o *overlay) Close() error { return errors.Join(o.Store.Close(), o.settings.Close()) }

func copyPools(ctx context.Context, from, to store.Pools) error {
	pools, err := from.PoolList(ctx)
	if err != nil {
		return err
	}
	for i := range pools {
		if err := to.PoolSet(ctx, &pools[i]); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the databases.
func (a *App) Close() error { return a.Store.Close() }

// Wake tells a running daemon to look at the database now. It is a hint: a daemon that misses it looks by itself soon.
func (a *App) Wake() {
	if err := home.Wake(a.Config.Home()); err != nil {
		a.Log.Warn("a running daemon may take a second to notice the change", "error", err)
	}
}

// RotateKey encrypts every connection and variable again with the first Fernet key.
func (a *App) RotateKey(ctx context.Context) (conns, vars int, err error) {
	if conns, err = a.Database.Rotate(ctx); err != nil {
		return conns, 0, err
	}
	vars, err = a.Variables.Rotate(ctx)
	return conns, vars, err
}

// CheckDatabase checks the database without changing it and returns its path.
func CheckDatabase(ctx context.Context, cfg *config.Config) (path string, err error) {
	path = cfg.Database.Path
	if _, err := os.Stat(path); err != nil {
		return path, fmt.Errorf("there is no database yet: %w; create it with `gust db migrate`", err)
	}
	s, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true, BusyTimeout: cfg.Database.BusyTimeout})
	if err != nil {
		return path, err
	}
	return path, errors.Join(s.SchemaCheck(ctx), s.Close())
}

// ResetDatabase deletes everything in the database. It is refused while a daemon runs on the home.
func ResetDatabase(ctx context.Context, cfg *config.Config) (path string, err error) {
	if err := home.Create(cfg.Home()); err != nil {
		return "", err
	}
	lock, err := home.Lock(cfg.Home(), time.Now())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	path = cfg.Database.Path
	s, err := sqlite.Open(ctx, path, sqlite.Options{BusyTimeout: cfg.Database.BusyTimeout, DefaultPoolSlots: cfg.Core.DefaultPoolTaskSlotCount})
	if err != nil {
		return path, err
	}
	return path, errors.Join(s.SchemaReset(ctx), s.Close())
}

func newLogHandler(w io.Writer, cfg *config.Config) slog.Handler {
	level := slog.LevelInfo
	switch cfg.Logging.Level {
	case "DEBUG":
		level = slog.LevelDebug
	case "WARNING":
		level = slog.LevelWarn
	case "ERROR":
		level = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Logging.JSON {
		return slog.NewJSONHandler(w, opts)
	}
	return slog.NewTextHandler(w, opts)
}
