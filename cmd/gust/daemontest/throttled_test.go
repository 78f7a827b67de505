//go:build linux

package daemontest

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/stepfunctions"
	"gust/stepfunctions/server"
)

// TestNoThrottlingReachesATask starts and awaits more executions than a fifth of AWS's quotas allow at once, at a service
// that has them. The calls keep within them by themselves: the service has nothing to refuse, and no task hears of it.
func TestNoThrottlingReachesATask(t *testing.T) {
	t.Parallel()
	const runs, each, scale = 4, 100, 0.2
	h := newHouse(t, map[string]string{
		"core.parallelism": "64", "stepfunctions.client_quotas_everywhere": "true",
		"stepfunctions.client_quotas": "{StartExecution: 260/60, DescribeExecution: 60/3, ListExecutions: 40/1, StopExecution: 200/40}",
	})
	items := strings.TrimSuffix(strings.Repeat("30, ", each), ", ")
	h.write("machines/quick.asl.json", `{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3, "End": true}}}`)
	for i := range runs {
		id := fmt.Sprintf("many%d", i)
		h.write("dags/"+id+".yaml", head(id, "schedule: null\n  max_active_tasks: 1000\n")+
			task("start", startOperator, machine("quick"), "deferrable: true", "expand: {waiter_max_attempts: ["+items+"]}"))
	}
	var faults server.Faults
	faults.SetThrottle(scale)
	service := h.serve(stepfunctions.Config{StateMachinesDir: h.path("machines"), Faults: &faults})
	proxy := newProxy(t, service.Endpoint())
	h.env = append(h.env, "GUST_CONN_AWS_DEFAULT=aws://any:thing@/?region_name=us-east-1&endpoint_url="+url.QueryEscape(proxy.server.URL))
	d := h.start("scheduler").ready()
	began := time.Now()
	h.with(func(a *app.App) {
		var keys []dag.RunKey
		for i := range runs {
			keys = append(keys, h.trigger(a, fmt.Sprintf("many%d", i), "one"))
		}
		for _, k := range keys {
			if r := h.ended(a, k); r.State != dag.RunSuccess {
				t.Errorf("run of %s is %s: %s", k.DagID, r.State, r.Reason)
			}
			if n := h.count(a, k, dag.StateSuccess); n != each {
				t.Errorf("%d of %d tasks of %s have succeeded", n, each, k.DagID)
			}
		}
	})
	d.stop()
	t.Logf("%d executions in %s: calls %v, refused %d", runs*each, time.Since(began).Round(time.Millisecond), proxy.calls, proxy.refused)
	if n := proxy.calls["StartExecution"]; n != runs*each {
		t.Errorf("%d executions were started, want %d", n, runs*each)
	}
	if proxy.refused > 0 {
		t.Errorf("%d calls were throttled", proxy.refused)
	}
	h.checkLogsLack("ThrottlingException")
}

// checkLogsLack wants no task's log to hold a text.
func (h *house) checkLogsLack(unwanted string) {
	h.t.Helper()
	err := filepath.WalkDir(h.path("home", "logs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), unwanted) {
			h.t.Errorf("%s holds %q:\n%s", path, unwanted, text)
			return fs.SkipAll
		}
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}
