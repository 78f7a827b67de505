//go:build linux

package daemontest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gust/dag"
	"gust/internal/app"
	"gust/stepfunctions"
	"gust/store"
)

// faultCount is how many faults there are: GUST_TEST_FAULTS, or a number that fits among the other tests.
func faultCount(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("GUST_TEST_FAULTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("GUST_TEST_FAULTS: %v", err)
		}
		return n
	}
	if os.Getenv("GUST_TEST_FULL") != "" {
		return 40
	}
	return 15
}

// harness is a fault test under way: a daemon with everything around it that can go wrong.
type harness struct {
	*crash
	d       *daemon // nil while none runs
	proxy   *proxy
	names   *nameServer
	service *stepfunctions.Service
	shift   time.Duration
	keys    int
	mounted bool
	told    []string // the faults so far
	counts  map[string]int
	meddled map[dag.RunKey]bool
	marked  map[dag.Key]bool
	asked   map[dag.Attempt]asked

	mu      sync.Mutex
	started map[string]int // by ARN, as the service tells
}

// TestFaults drives the daemon's own assembly, and a Step Functions service apart from it, through random faults.
func TestFaults(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	began := time.Now()
	for n := faultCount(t); len(h.told) < n; {
		h.fault()
	}
	took := time.Since(began)
	h.proxy.calm()
	h.settle()
	p := h.gather()
	for _, text := range p.broken() {
		t.Error(text)
	}
	h.stories(p)
	h.d.stop()
	h.checkNothingLeft()
	h.tell(took, p)
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{
		crash: newCrash(t), counts: map[string]int{}, meddled: map[dag.RunKey]bool{}, marked: map[dag.Key]bool{},
		started: map[string]int{}, asked: map[dag.Attempt]asked{},
	}
	h.mounted = h.smallHome("512m")
	h.all, h.menu = faultPipelines(), faultMenu
	for name, text := range faultMachines {
		h.write("machines/"+name+".asl.json", text)
	}
	for id, p := range h.all {
		h.write("dags/"+id+".yaml", p.text)
	}
	h.service = h.serve(stepfunctions.Config{
		StateMachinesDir: h.path("machines"), WaitScale: 0.01, Handlers: handlersOfFaults(), OnStart: h.onStart,
	})
	h.proxy, h.names = newProxy(t, h.service.Endpoint()), newNameServer(t)
	h.env = append(h.env, dnsVar+"="+h.names.addr())
	h.rotate()
	h.with(func(a *app.App) {
		for _, pool := range []store.Pool{{Name: "narrow", Slots: 2}, {Name: "waiting", Slots: 3, IncludeDeferred: true}} {
			if err := a.Store.PoolSet(context.Background(), &pool); err != nil {
				t.Fatal(err)
			}
		}
	})
	h.audit()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the faults:\n%s", strings.Join(h.told, "\n"))
		}
	})
	return h
}

func (h *harness) onStart(arn string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started[arn]++
}

// rotate makes a new access key, which is the only one from now on once the daemon knows it.
func (h *harness) rotate() {
	h.keys++
	key := fmt.Sprintf("AKIA%d", h.keys)
	h.proxy.expire(key)
	h.write("connections.yaml", fmt.Sprintf("aws_default: {conn_type: aws, login: %s, password: any, extra: {region_name: us-east-1, "+
		"endpoint_url: %q, config_kwargs: {connect_timeout: 5}}}\n", key, h.proxy.endpoint()))
}

// fault makes sure that a daemon runs and has work, and then has something go wrong.
func (h *harness) fault() {
	h.t.Helper()
	if h.d == nil && !h.begin() {
		return // it died while it started: that was the fault
	}
	h.supply()
	pause(time.Duration(h.rng.Int64N(int64(60 * time.Millisecond)))) // so that work is in all of its stages
	select {
	case <-h.d.done: // by what was meant for its start
		h.end()
		return
	default:
	}
	k := h.kind()
	h.counts[k.name]++
	h.note("%s: %s", k.name, k.do(h))
	select {
	case <-h.d.done:
		h.end()
	default:
	}
	h.quickCheck()
}

func (h *harness) note(format string, args ...any) {
	h.told = append(h.told, fmt.Sprintf("%s  %4d  ", time.Now().Format("15:04:05.000"), len(h.told)+1)+fmt.Sprintf(format, args...))
}

// begin starts a daemon; false when it was killed before it was ready.
func (h *harness) begin() bool {
	h.t.Helper()
	began := time.Now()
	h.d = h.startFaulty()
	h.d.tell("clock %d", int(h.shift/time.Second))
	h.proxy.victim.Store(h.d)
	defer h.proxy.disarm()
	switch h.rng.IntN(12) {
	case 0:
		after := time.Duration(h.rng.Int64N(int64(80 * time.Millisecond)))
		pause(after)
		h.d.kill()
	case 1: // when it picks up what the last one has left
		h.proxy.arm(apiFault{what: killAfterSend, skip: h.few(), count: 1})
	}
	if !h.d.saysOrEnds(readyText) {
		if code := h.d.code(); code >= 0 {
			h.t.Fatalf("fault %d: the daemon did not start and ended with code %d:\n%s", len(h.told), code, h.d.log.tail(40))
		}
		h.counts["death during the start"]++
		h.note("it died during the start")
		h.end()
		return false
	}
	h.up = append(h.up, time.Since(began))
	return true
}

// end takes note of a daemon's end.
func (h *harness) end() {
	h.t.Helper()
	h.proxy.victim.Store(nil)
	<-h.d.read
	if text := h.d.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") ||
		strings.Contains(text, "stopped by itself") {
		h.t.Errorf("fault %d: the daemon says:\n%s", len(h.told), h.d.log.tail(60))
	}
	h.tally()
	h.d = nil
}

// lethal waits for the death of the daemon that a fault has prepared; one that does not come is brought.
func (h *harness) lethal() string {
	h.t.Helper()
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-h.d.done:
		return "it did"
	case <-patience.C:
		h.d.kill()
		return "it did not come to that and was killed"
	}
}

// quickCheck looks at what can be seen at once after each fault.
func (h *harness) quickCheck() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for arn, n := range h.started {
		if n > 1 {
			h.t.Fatalf("after fault %d: %s was started %d times", len(h.told), arn, n)
		}
	}
	if text := h.read(violationsFile); text != "" {
		h.t.Fatalf("after fault %d: %s", len(h.told), text)
	}
}

func (h *harness) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(h.path(name))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return string(text)
}

// settle lets everything end.
func (h *harness) settle() {
	h.t.Helper()
	if h.d == nil {
		h.d = h.startFaulty()
		h.d.tell("clock %d", int(h.shift/time.Second))
		h.d.ready()
	}
	h.checkOrphans(h.d)
	h.with(func(a *app.App) {
		var busy []dag.Run
		defer func() {
			if h.t.Failed() {
				h.unfinished(a, busy, nil)
			}
		}()
		h.await("the end of all runs", func() bool {
			h.endEndless(a)
			busy = h.runs(a, store.RunListParams{States: []dag.RunState{dag.RunQueued, dag.RunRunning}})
			ticks := h.runs(a, store.RunListParams{DagID: "ticks"})
			select {
			case <-h.d.done:
				h.t.Fatalf("the daemon has ended:\n%s", h.d.log.tail(40))
			default:
			}
			return len(busy) == 0 && len(ticks) == h.all["ticks"].slots
		})
	})
	// Stopping goes on for a moment after a run's end. What nobody stops is for the invariants.
	for limit := time.Now().Add(patience); time.Now().Before(limit); pause(100 * time.Millisecond) {
		if len((&past{executions: h.executions(), asked: h.asked}).abandoned()) == 0 {
			return
		}
	}
}

// gather gathers what has happened, and who had a hand in it.
func (h *harness) gather() *past {
	h.t.Helper()
	p := h.past(h.executions())
	p.meddled, p.marked, p.asked, p.requestedEnds = h.meddled, h.marked, h.asked, h.requestedEnds()
	// Somebody else's work at a child's parent is work at the child.
	for i := range p.runs {
		if r := &p.runs[i]; h.all[r.DagID].inner {
			p.meddled[r.RunKey] = true
			delete(p.count, r.DagID)
		}
	}
	if text := h.read(violationsFile); text != "" {
		p.limits = strings.Split(strings.TrimSpace(text), "\n")
	}
	return p
}

func (h *harness) executions() []execution { return h.executionsAt(h.service.Endpoint()) }

// stories tells what the logs have to say about executions that nobody ended.
func (h *harness) stories(p *past) {
	h.t.Helper()
	if len(p.abandoned()) == 0 {
		return
	}
	for _, e := range p.executions {
		f := strings.Fields(e.by)
		if e.status != "RUNNING" || len(f) < 3 {
			continue
		}
		pattern := h.path("home", "logs", "dag_id="+f[0], "run_id="+f[1], "task_id="+f[2], "*")
		logs, err := filepath.Glob(pattern)
		if err != nil {
			h.t.Error(err)
		}
		for _, log := range logs {
			text, err := os.ReadFile(log)
			h.t.Logf("%s (%v):\n%s", log, err, text)
		}
	}
}

// tell reports what the test has been through.
func (h *harness) tell(took time.Duration, p *past) {
	h.t.Helper()
	kinds := make([]string, 0, len(h.counts))
	faults := 0
	for name, n := range h.counts {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, name))
		faults += n
	}
	h.t.Logf("%d faults in %s: %s", faults, took.Round(time.Millisecond), strings.Join(sorted(kinds), ", "))
	h.t.Logf("API faults that hit: %v; calls: %v", h.proxy.hits, h.proxy.calls)
	h.t.Logf("%d daemons, %s", len(h.journalAt)+1, p)
}
