package awsconn

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go/logging"

	"gust/connections"
	"gust/connections/awsconn/quota"
)

// maxClients is how many configurations a Pool keeps; the least recently used goes first. Templated parameters can
// produce any number of them.
const maxClients = 512

// Pool makes AWS clients and keeps them: one for each combination of connection, parameters and service, shared by all
// tasks, with one pool of TCP connections. A client is made anew when its connection has changed, or a file it was
// made from (the shared AWS files, a CA bundle, a client certificate). It is safe for concurrent use.
type Pool struct {
	log     *slog.Logger
	quotas  *quota.Quotas
	backoff backoffFunc // for tests

	mu      sync.Mutex
	entries map[string]*entry
	tick    uint64

	absent sync.Once // the one line about aws_default
}

type entry struct {
	stamp string
	used  uint64

	once   sync.Once
	cfg    aws.Config
	info   Info
	client any
	err    error
}

// NewPool returns an empty pool, whose calls to Step Functions keep within AWS's published quotas. Warnings go to log; nil
// is slog.Default().
func NewPool(log *slog.Logger) *Pool { return NewPoolWithin(log, quota.New(quota.Options{})) }

// NewPoolWithin returns an empty pool, as NewPool, with quotas of one's own.
func NewPoolWithin(log *slog.Logger, quotas *quota.Quotas) *Pool {
	if log == nil {
		log = slog.Default()
	}
	return &Pool{log: log, quotas: quotas, entries: map[string]*entry{}}
}

// Quotas are what the calls to Step Functions keep within.
func (p *Pool) Quotas() *quota.Quotas { return p.quotas }

// SFN returns the Step Functions client for a task's parameters.
func (p *Pool) SFN(ctx context.Context, r connections.Resolver, params Params) (*sfn.Client, Info, error) {
	return client(ctx, p, r, params, serviceSFN, func(cfg aws.Config) *sfn.Client { return sfn.NewFromConfig(cfg) })
}

// Lambda returns the Lambda client for a task's parameters. It waits for an answer as long as a function may run.
func (p *Pool) Lambda(ctx context.Context, r connections.Resolver, params Params) (*lambda.Client, Info, error) {
	return client(ctx, p, r, params, serviceLambda, func(cfg aws.Config) *lambda.Client { return lambda.NewFromConfig(cfg) })
}

// Batch returns the Batch client for a task's parameters.
func (p *Pool) Batch(ctx context.Context, r connections.Resolver, params Params) (*batch.Client, Info, error) {
	return client(ctx, p, r, params, serviceBatch, func(cfg aws.Config) *batch.Client { return batch.NewFromConfig(cfg) })
}

// Logs returns the CloudWatch Logs client for a task's parameters.
func (p *Pool) Logs(ctx context.Context, r connections.Resolver, params Params) (*cloudwatchlogs.Client, Info, error) {
	return client(ctx, p, r, params, serviceLogs, func(cfg aws.Config) *cloudwatchlogs.Client {
		return cloudwatchlogs.NewFromConfig(cfg)
	})
}

// Config returns the configuration for any service, under the name of its boto3 client (that of service_config), with
// its endpoint and everything else set: SERVICE.NewFromConfig(cfg) is all that is left to do. Clients made of it share
// one pool of TCP connections.
func (p *Pool) Config(
	ctx context.Context, r connections.Resolver, params Params, service string,
) (aws.Config, Info, error) {
	e, err := p.entry(ctx, r, params, service)
	if err != nil {
		return aws.Config{}, Info{}, err
	}
	return e.cfg.Copy(), e.info, nil
}

// client returns the kept client of a service. Each service has one type of client.
func client[C any](
	ctx context.Context, p *Pool, r connections.Resolver, params Params, service string, build func(aws.Config) C,
) (C, Info, error) {
	var none C
	e, err := p.entry(ctx, r, params, service)
	if err != nil {
		return none, Info{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := e.client.(C)
	if !ok {
		c = build(e.cfg)
		e.client = c
	}
	return c, e.info, nil
}

func (p *Pool) entry(ctx context.Context, r connections.Resolver, params Params, service string) (*entry, error) {
	conn, err := p.connection(ctx, r, params)
	if err != nil {
		return nil, err
	}
	key := service + "\x00" + params.Key()
	stamp := stampOf(conn, params)
	p.mu.Lock()
	e, ok := p.entries[key]
	if !ok || e.stamp != stamp {
		p.makeRoom()
		e = &entry{stamp: stamp}
		p.entries[key] = e
	}
	p.tick++
	e.used = p.tick
	p.mu.Unlock()
	e.once.Do(func() { p.build(context.WithoutCancel(ctx), e, conn, params, service) })
	if e.err != nil {
		p.mu.Lock()
		if p.entries[key] == e {
			delete(p.entries, key) // what was wrong may be mended
		}
		p.mu.Unlock()
		return nil, e.err
	}
	return e, nil
}

func (p *Pool) makeRoom() {
	if len(p.entries) < maxClients {
		return
	}
	oldest, least := "", ^uint64(0)
	for key, e := range p.entries {
		if e.used < least {
			oldest, least = key, e.used
		}
	}
	delete(p.entries, oldest)
}

// connection looks the connection up; nil means the default chain.
func (p *Pool) connection(ctx context.Context, r connections.Resolver, params Params) (*connections.Connection, error) {
	id := string(params.AWSConnID)
	if id == "" {
		return nil, nil
	}
	conn, err := r.Connection(ctx, id)
	if err != nil && id == DefaultConnID && connections.IsNotFound(err) {
		p.absent.Do(func() {
			p.log.InfoContext(ctx, "connection aws_default is not defined; using the default AWS credential chain")
		})
		return nil, nil
	}
	return conn, err
}

func (p *Pool) build(ctx context.Context, e *entry, conn *connections.Connection, params Params, service string) {
	s, err := resolve(conn, params, service)
	if err != nil {
		e.err = err
		return
	}
	if e.cfg, e.err = p.loader(s).forService(ctx); e.err != nil {
		if s.connID != "" && !strings.Contains(e.err.Error(), s.connID) {
			e.err = fmt.Errorf("AWS connection %q: %w", s.connID, e.err)
		}
		return
	}
	partition, domain := partitionOf(e.cfg.Region)
	e.info = Info{Region: e.cfg.Region, Partition: partition, Domain: domain, Endpoint: s.endpoint, Warnings: s.warnings}
	for _, w := range s.warnings {
		p.log.WarnContext(ctx, w)
	}
	if service == serviceSFN {
		caller := quota.Client{Endpoint: e.info.Foreign(), Region: e.cfg.Region, Caller: s.connID}
		e.cfg.APIOptions = append(e.cfg.APIOptions, p.quotas.Middleware(caller))
	}
}

func (p *Pool) loader(s *settings) *loader {
	logger := logging.LoggerFunc(func(class logging.Classification, format string, v ...any) {
		level := slog.LevelDebug
		if class == logging.Warn {
			level = slog.LevelWarn
		}
		p.log.Log(context.Background(), level, fmt.Sprintf(format, v...), "source", "aws-sdk-go-v2")
	})
	return &loader{settings: s, logger: logger, backoff: p.backoff}
}

// stampOf tells whether what a client is made from has changed: the connection's content and the files concerned.
func stampOf(conn *connections.Connection, params Params) string {
	var b strings.Builder
	if conn != nil {
		b.WriteString(conn.Fingerprint())
	}
	configFile, credentialsFile := sharedFiles()
	paths := []string{configFile, credentialsFile, params.Verify.path}
	if conn != nil {
		if extra, err := conn.ExtraMap(); err == nil {
			if path, ok := extra["verify"].(string); ok {
				paths = append(paths, path)
			}
			if kwargs, ok := extra["config_kwargs"].(map[string]any); ok {
				paths = append(paths, certPaths(kwargs)...)
			}
		}
	}
	for _, path := range append(paths, certPaths(params.BotocoreConfig)...) {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&b, "|%s:%d:%d", path, info.ModTime().UnixNano(), info.Size())
		}
	}
	return b.String()
}

func certPaths(botocoreConfig map[string]any) []string {
	switch v := botocoreConfig["client_cert"].(type) {
	case string:
		return []string{v}
	case []any:
		var paths []string
		for _, item := range v {
			if path, ok := item.(string); ok {
				paths = append(paths, path)
			}
		}
		return paths
	}
	return nil
}

// partitionOf returns the partition of a region and the domain of its console.
func partitionOf(region string) (partition, domain string) {
	for _, p := range [...]struct{ prefix, partition, domain string }{
		{"cn-", "aws-cn", "amazonaws.cn"},
		{"us-gov-", "aws-us-gov", "amazonaws-us-gov.com"},
		{"us-isob-", "aws-iso-b", ""},
		{"us-isof-", "aws-iso-f", ""},
		{"us-iso-", "aws-iso", ""},
		{"eu-isoe-", "aws-iso-e", ""},
		{"eusc-", "aws-eusc", ""},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition, p.domain
		}
	}
	return "aws", "aws.amazon.com"
}
