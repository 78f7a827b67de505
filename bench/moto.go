package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// moto is moto's server, another imitation of Step Functions, in a process of its own.
type moto struct {
	process *exec.Cmd
	client  *sfnClient
	err     error
}

// startMoto starts the server on a free port; ready tells how that went.
func (b *bench) startMoto(ctx context.Context) *moto {
	program := filepath.Join(b.tools, "python", "bin", "moto_server")
	if !isFile(program) {
		return &moto{err: errors.New("its server is absent; install it with ./scripts/test-tools.sh DIR and give -tools DIR")}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return &moto{err: err}
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return &moto{err: err}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return &moto{err: err}
	}
	m := &moto{process: exec.CommandContext(ctx, program, "-H", host, "-p", port), client: newSFNClient("http://"+address, 1)}
	m.process.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "AWS_DEFAULT_REGION=us-east-1")
	m.err = m.process.Start()
	return m
}

// ready waits until the server answers, and has it execute state machines: by default it only pretends to.
func (m *moto) ready(ctx context.Context) error {
	if m.err != nil {
		return m.err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := m.configure(ctx)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not answer: %w", err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// rates measures both machines. Once it has executed something moto cannot start anything else, because it copies its
// machines and cannot copy their threads: it is reset before each execution.
func (m *moto) rates(ctx context.Context, small, mapped int) (r rate, err error) {
	if r.small, err = m.rate(ctx, "three", threeStates, small); err == nil {
		r.mapped, err = m.rate(ctx, "map", itemsDefinition(), mapped)
	}
	return r, err
}

func (m *moto) rate(ctx context.Context, name, definition string, count int) (float64, error) {
	var sum time.Duration
	for range count {
		if err := m.post(ctx, "/moto-api/reset", ""); err != nil {
			return 0, err
		}
		if err := m.configure(ctx); err != nil {
			return 0, err
		}
		if err := m.client.create(ctx, name, definition); err != nil {
			return 0, err
		}
		took, err := m.client.execute(ctx, name, 1)
		if err != nil {
			return 0, err
		}
		sum += took
	}
	return float64(count) / sum.Seconds(), nil
}

func (m *moto) configure(ctx context.Context) error {
	return m.post(ctx, "/moto-api/config", `{"stepfunctions": {"execute_state_machine": true}}`)
}

func (m *moto) post(ctx context.Context, path, body string) error {
	_, err := m.client.post(ctx, path, "", []byte(body))
	return err
}

func (m *moto) stop() error {
	if m.process == nil || m.process.Process == nil {
		return nil
	}
	m.client.close()
	err := m.process.Process.Kill()
	_ = m.process.Wait() // reports the kill
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
