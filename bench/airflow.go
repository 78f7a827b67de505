package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// airflow is Airflow as its quick start for one machine has it, with LocalExecutor and PostgreSQL: API server, scheduler,
// DAG processor and triggerer, all with default settings, on loopback.
type airflow struct {
	bench    *bench
	programs string // the folder of its programs
	name     string
	home     string
	flag     string
	env      []string
	url      string
	database *exec.Cmd
	data     string // of the database
	services []*exec.Cmd
	token    string
	runs     int
}

const (
	// airflowReady bounds its start, airflowWithin a job.
	airflowReady  = 5 * time.Minute
	airflowWithin = 30 * time.Minute
)

// startAirflow starts everything, which takes a minute.
func (b *bench) startAirflow(ctx context.Context) (_ *airflow, err error) {
	a := &airflow{bench: b, programs: filepath.Join(b.airflow, "bin")}
	if !isFile(filepath.Join(a.programs, "airflow")) {
		return nil, errors.New("it is absent; install it with ./scripts/bench-peers.sh")
	}
	dir, err := b.folder("airflow")
	if err != nil {
		return nil, err
	}
	a.home, a.flag = filepath.Join(dir, "home"), filepath.Join(dir, "flag")
	err = errors.Join(writeFiles(a.home, nil), writeFiles(filepath.Join(a.home, "dags"), airflowDAGs(a.flag)))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stop())
		}
	}()
	database, err := a.startPostgreSQL(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.settings(ctx, database); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"version"}, {"db", "migrate"}} {
		out, err := a.command(ctx, args...).Output()
		if err != nil {
			return nil, fmt.Errorf("airflow %s: %w", strings.Join(args, " "), err)
		}
		if lines := strings.Fields(string(out)); args[0] == "version" && len(lines) > 0 {
			a.name = "Airflow " + lines[len(lines)-1]
		}
	}
	if err := a.start(); err != nil {
		return nil, err
	}
	return a, a.ready(ctx)
}

func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	_, text, err := net.SplitHostPort(listener.Addr().String())
	if err = errors.Join(err, listener.Close()); err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// startPostgreSQL starts a database of its own and returns its address. As root it runs as the user postgres, which it
// insists on.
func (a *airflow) startPostgreSQL(ctx context.Context) (address string, err error) {
	initdb, server := lookUp("initdb"), lookUp("postgres")
	if initdb == "" || server == "" {
		return "", errors.New("it needs PostgreSQL: initdb and postgres are not on PATH")
	}
	if a.data, err = os.MkdirTemp(filepath.Dir(a.bench.dir), "gust-bench-postgresql-"); err != nil {
		return "", err
	}
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			return "", err
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr, os.Chown(a.data, int(uid), int(gid))); err != nil {
			return "", err
		}
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	create := exec.CommandContext(ctx, initdb, "-D", a.data, "-A", "trust", "-U", "airflow")
	create.SysProcAttr, create.Dir = as, "/"
	if out, err := create.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	a.database = exec.Command(server, "-D", a.data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", //nolint:noctx // see stop
		"-c", "unix_socket_directories=")
	a.database.SysProcAttr, a.database.Dir = as, "/"
	if err := a.database.Start(); err != nil {
		return "", err
	}
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return address, conn.Close()
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// settings are its environment: what has no default, no examples, and nobody to log in.
func (a *airflow) settings(ctx context.Context, database string) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	a.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AIRFLOW") && !strings.HasPrefix(e, "PATH=") && !strings.HasPrefix(e, "HOME=") {
			a.env = append(a.env, e)
		}
	}
	a.env = append(a.env,
		"HOME="+a.home, "AIRFLOW_HOME="+a.home, "PATH="+a.programs+string(os.PathListSeparator)+os.Getenv("PATH"),
		"PYTHONPATH="+filepath.Join(a.home, "dags"),
		"AIRFLOW__CORE__DAGS_FOLDER="+filepath.Join(a.home, "dags"),
		"AIRFLOW__CORE__EXECUTOR=LocalExecutor",
		"AIRFLOW__CORE__LOAD_EXAMPLES=False",
		"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True",
		"AIRFLOW__CORE__EXECUTION_API_SERVER_URL="+a.url+"/execution/",
		"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql+psycopg2://airflow@"+database+"/postgres",
		"AIRFLOW__API__HOST=127.0.0.1", fmt.Sprintf("AIRFLOW__API__PORT=%d", port),
		"AIRFLOW__API_AUTH__JWT_SECRET="+strings.Repeat("bench", 16),
		`AIRFLOW_CONN_FS_DEFAULT={"conn_type":"fs"}`,
	)
	return nil
}

func (a *airflow) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(a.programs, "airflow"), args...)
	cmd.Env, cmd.Dir = a.env, a.home
	return cmd
}

// start starts the services.
func (a *airflow) start() error {
	a.services = nil
	for _, name := range []string{"api-server", "scheduler", "dag-processor", "triggerer"} {
		cmd := a.command(context.Background(), name)
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("airflow %s: %w", name, err)
		}
		a.services = append(a.services, cmd)
	}
	return nil
}

// processes are those of the services and of the database.
func (a *airflow) processes() []int {
	var roots []int
	for _, cmd := range append(slices.Clone(a.services), a.database) {
		if cmd != nil && cmd.Process != nil {
			roots = append(roots, cmd.Process.Pid)
		}
	}
	return descendants(roots)
}

// ready waits until all services say that they are well and all DAGs are known.
func (a *airflow) ready(ctx context.Context) error {
	dags := len(peerJobs) + 2
	deadline := time.Now().Add(airflowReady)
	for {
		var health map[string]struct{ Status string }
		var list struct {
			Total int `json:"total_entries"`
		}
		err := a.call(ctx, http.MethodGet, "/api/v2/monitor/health", nil, &health)
		well := 0
		for _, h := range health {
			if h.Status == "healthy" {
				well++
			}
		}
		const services = 4 // the database is one of them
		if err == nil && well == services {
			if err = a.login(ctx); err == nil {
				err = a.call(ctx, http.MethodGet, "/api/v2/dags?limit=1", nil, &list)
			}
			if err == nil && list.Total == dags {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("it was not ready within %s: %v, %d of %d DAGs", airflowReady, health, list.Total, dags), err)
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// kill kills the services with everything that they have started.
func (a *airflow) kill() {
	var roots []int
	for _, cmd := range a.services {
		roots = append(roots, cmd.Process.Pid)
	}
	killAll(descendants(roots))
	for _, cmd := range a.services {
		_ = cmd.Wait() // reports the kill
	}
	a.services = nil
}

func (a *airflow) stop() error {
	a.kill()
	if a.database != nil && a.database.Process != nil {
		_ = a.database.Process.Signal(syscall.SIGQUIT) // at once; it has ended if that fails
		_ = a.database.Wait()                          // and says how
	}
	if a.data == "" {
		return nil
	}
	return os.RemoveAll(a.data)
}

// login gets a token; nobody is asked for a password.
func (a *airflow) login(ctx context.Context) error {
	var answer struct {
		Token string `json:"access_token"`
	}
	err := a.call(ctx, http.MethodGet, "/auth/token", nil, &answer)
	a.token = answer.Token
	return err
}

// call makes a request of the API.
func (a *airflow) call(ctx context.Context, method, path string, in, out any) (err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(out)
}
