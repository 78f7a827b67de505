// Package sqlconntest starts database servers for tests: each with a data folder of its own, on the loopback interface,
// ended with the test. A server that is not installed skips the test.
package sqlconntest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"gust/connections"
	"gust/connections/sqlconn"
)

// Password is the password of the connections that this package makes.
const Password = "open-sesame-4711"

// startTimeout is how long a server may take until it answers.
const startTimeout = time.Minute

// Postgres starts PostgreSQL and returns a connection called "pg".
func Postgres(tb testing.TB) *connections.Connection {
	tb.Helper()
	initdb, server := find(tb, "initdb"), find(tb, "postgres")
	dir := folder(tb)
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(Password), 0o644); err != nil {
		tb.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	run(tb, dir, initdb, "-D", data, "-U", "gust", "-A", "scram-sha-256", "--pwfile", passwordFile, "-E", "UTF8",
		"--locale=C", "--no-sync")
	port := freePort(tb)
	conn := connection(tb, fmt.Sprintf(
		`{"conn_type": "postgres", "host": "127.0.0.1", "port": %d, "login": "gust", "password": %q, "schema": "postgres"}`, port, Password))
	conn.ID = "pg"
	start(tb, dir, syscall.SIGINT, conn, server, "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port),
		"-c", "fsync=off", "-c", "timezone=UTC")
	return conn
}

// MySQL starts MariaDB and returns a connection called "my".
func MySQL(tb testing.TB) *connections.Connection {
	tb.Helper()
	install, server := find(tb, "mariadb-install-db"), find(tb, "mariadbd")
	dir := folder(tb)
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "sock")
	run(tb, dir, install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	setup := filepath.Join(dir, "setup.sql")
	// The server reads one statement from each line.
	statements := "CREATE DATABASE shop;\nCREATE USER gust IDENTIFIED BY '" + Password + "';\nGRANT ALL ON *.* TO gust;\n"
	if err := os.WriteFile(setup, []byte(statements), 0o644); err != nil {
		tb.Fatal(err)
	}
	port := freePort(tb)
	conn := connection(tb, fmt.Sprintf(
		`{"conn_type": "mysql", "host": "127.0.0.1", "port": %d, "login": "gust", "password": %q, "schema": "shop"}`, port, Password))
	conn.ID = "my"
	start(tb, dir, syscall.SIGTERM, conn, server, "--no-defaults", "--datadir="+data, "--socket="+socket,
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(port), "--init-file="+setup, "--pid-file="+filepath.Join(dir, "pid"),
		"--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M")
	return conn
}

// SQLite returns a connection called "lite" to a file of the test's own.
func SQLite(tb testing.TB) *connections.Connection {
	tb.Helper()
	conn := connection(tb, `{"conn_type": "sqlite"}`)
	file := filepath.Join(tb.TempDir(), "data base?.db") // no character of a path means anything in it
	conn.ID, conn.Host = "lite", &file
	return conn
}

// Resolver finds the given connections.
type Resolver []*connections.Connection

// Connection looks one up.
func (r Resolver) Connection(_ context.Context, id string) (*connections.Connection, error) {
	for _, c := range r {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, &connections.NotFoundError{ID: id}
}

func connection(tb testing.TB, text string) *connections.Connection {
	tb.Helper()
	conn, err := connections.Parse("test", text)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

// find looks a program up, also where Debian hides PostgreSQL's.
func find(tb testing.TB, name string) string {
	tb.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/usr/sbin/"} {
		if found, err := filepath.Glob(pattern + name); err == nil && len(found) > 0 {
			slices.Sort(found)
			return found[len(found)-1]
		}
	}
	tb.Skipf("%s is missing: `make test` installs it", name)
	return ""
}

// folder is a short one, for a Unix socket's name has at most about 100 characters, and one that the server's user, who
// is not root, may enter.
func folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gust-sql-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := give(dir); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func freePort(tb testing.TB) int {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	return port
}

func command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	asOther(cmd)
	return cmd
}

func run(tb testing.TB, dir, program string, args ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	if out, err := command(ctx, dir, program, args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// start starts the server and waits until the connection works. signal ends it.
func start(tb testing.TB, dir string, signal syscall.Signal, conn *connections.Connection, program string, args ...string) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := command(ctx, dir, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(signal) }
	cmd.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it ends by a signal
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
	})
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		_, err := sqlconn.Test(tb.Context(), conn)
		if err == nil {
			return
		}
		select {
		case <-retry.C:
		case <-ended:
			tb.Fatalf("%s has ended: %v\n%s", program, err, output.String())
		case <-deadline.C:
			cancel()
			<-ended
			tb.Fatalf("%s does not answer: %v\n%s", program, err, output.String())
		}
	}
}
