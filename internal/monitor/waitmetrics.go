package monitor

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Waits is how parked waits fare, counted from the daemon's start.
type Waits struct {
	Kinds []WaitKind
	// Keys are those with the most waits, of each kind and key one.
	Keys []WaitKey
}

// WaitKind is how the waits of a trigger kind fare.
type WaitKind struct {
	Kind   string
	Parked int
	// Checks are made of all waits of a key that are due, Looks are these waits, Cut are checks that were cut short.
	Checks, Looks, Cut uint64
	// Fired, Failed and TimedOut are how waits have ended.
	Fired, Failed, TimedOut uint64
	// News are waits that news were heard for, Heard those that ended by it.
	News, Heard uint64
	// Late is from when a look was due to when it began, Noticed from the end of what was awaited to that of the wait.
	Late, Noticed Delays
}

// WaitKey is how the waits of a key fare, since the first of those that are there now.
type WaitKey struct {
	Kind, Key, Place string
	Parked           int
	Checks, Looks    uint64
	// Late is how late the latest check began, in seconds.
	Late float64
}

// Delays is a histogram in seconds; AtMost counts, for each bound, the delays up to it.
type Delays struct {
	Count  uint64
	Sum    float64
	AtMost map[float64]uint64
}

// Calls is how one operation of Step Functions fares in one account and region, which share a quota at AWS.
type Calls struct {
	// Endpoint is "" for AWS itself.
	Endpoint, Region, Account, Operation string
	// Outcomes counts by outcome: ok, throttled, the class of an error.
	Outcomes map[string]int64
	// Tokens is what the quota allows at once, PerSecond what it refills; infinite without a quota.
	Tokens, PerSecond float64
	// Starting and Looking are calls that wait for the quota: of operators, and of waits, which yield to them.
	Starting, Looking int
}

// Events is what became of the messages in the queue of events.
type Events struct {
	Reachable bool
	// Received counts receptions, Outcomes what became of them; Failures counts calls of SQS that failed.
	Received, Failures uint64
	Outcomes           map[string]uint64
	// Lag sums, in seconds, how old Matched messages were that concerned a wait here.
	Matched uint64
	Lag     float64
}

var (
	ofKind = []string{"kind"}
	ofKey  = []string{"kind", "key", "place"}
	ofCall = []string{"endpoint", "account", "region", "operation"}
)

// waitDescriptions are the metrics of waits.
var waitDescriptions = []described{
	{"triggers_parked", "Waits that are parked, by kind.", ofKind},
	{"triggers_checks", "Checks made; one looks at all waits of a key that are due.", ofKind},
	{"triggers_checks_cut", "Checks that were cut short.", ofKind},
	{"triggers_looks", "Waits looked at in checks.", ofKind},
	{"triggers_ended", "Waits that have ended, by how.", []string{"kind", "outcome"}},
	{"triggers_news", "Waits that news were heard for.", ofKind},
	{"triggers_heard", "Waits that ended by news.", ofKind},
	{"triggers_late_seconds", "From when a look was due to when it began.", ofKind},
	{"triggers_noticed_seconds", "From the end of what was awaited, where it is known, to the end of the wait.", ofKind},
	{"triggers_key_parked", "Waits that are parked, of the keys with the most.", ofKey},
	{"triggers_key_checks", "Checks made, of the keys with the most waits.", ofKey},
	{"triggers_key_looks", "Waits looked at, of the keys with the most waits.", ofKey},
	{"triggers_key_late_seconds", "How late the latest check began, of the keys with the most waits.", ofKey},
	{"stepfunctions_calls", "Calls to Step Functions, by outcome; throttled is what AWS refused.", append(ofCall[:len(ofCall):len(ofCall)], "outcome")},
	{"stepfunctions_calls_waiting", "Calls that wait for the quota, of operators (starts) and of waits (looks).", append(ofCall[:len(ofCall):len(ofCall)], "class")},
	{"stepfunctions_quota_tokens", "Calls that the quota allows at once.", ofCall},
	{"stepfunctions_quota_per_second", "Calls per second that the quota allows; less than configured after throttling.", ofCall},
	{"stepfunctions_events_reachable", "Whether the queue of events answers.", nil},
	{"stepfunctions_events_received", "Messages received from the queue of events; one may come several times.", nil},
	{"stepfunctions_events", "What became of received messages: matched a wait, released to others, expired, ignored, malformed.", []string{"outcome"}},
	{"stepfunctions_events_failures", "Calls of the queue of events that failed.", nil},
	{"stepfunctions_events_lag_seconds", "How long messages that matched a wait had been in the queue.", nil},
}

// waits writes the metrics of waits.
func (g *gauges) waits(out chan<- prometheus.Metric, r *Reading) {
	send := func(name string, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(g.values[name], kind, value, labels...)
	}
	delays := func(name string, d *Delays, labels ...string) {
		out <- prometheus.MustNewConstHistogram(g.values[name], d.Count, d.Sum, d.AtMost, labels...)
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	for i := range r.Waits.Kinds {
		k := &r.Waits.Kinds[i]
		send("triggers_parked", gauge, float64(k.Parked), k.Kind)
		send("triggers_checks", counter, float64(k.Checks), k.Kind)
		send("triggers_checks_cut", counter, float64(k.Cut), k.Kind)
		send("triggers_looks", counter, float64(k.Looks), k.Kind)
		send("triggers_ended", counter, float64(k.Fired), k.Kind, "fired")
		send("triggers_ended", counter, float64(k.Failed), k.Kind, "failed")
		send("triggers_ended", counter, float64(k.TimedOut), k.Kind, "timed_out")
		send("triggers_news", counter, float64(k.News), k.Kind)
		send("triggers_heard", counter, float64(k.Heard), k.Kind)
		delays("triggers_late_seconds", &k.Late, k.Kind)
		delays("triggers_noticed_seconds", &k.Noticed, k.Kind)
	}
	for i := range r.Waits.Keys {
		k := &r.Waits.Keys[i]
		send("triggers_key_parked", gauge, float64(k.Parked), k.Kind, k.Key, k.Place)
		send("triggers_key_checks", counter, float64(k.Checks), k.Kind, k.Key, k.Place)
		send("triggers_key_looks", counter, float64(k.Looks), k.Kind, k.Key, k.Place)
		send("triggers_key_late_seconds", gauge, k.Late, k.Kind, k.Key, k.Place)
	}
	g.calls(send, r.Calls)
	g.events(out, send, r.Events)
}

// sender writes one metric.
type sender func(name string, kind prometheus.ValueType, value float64, labels ...string)

func (g *gauges) calls(send sender, calls []Calls) {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	for i := range calls {
		c := &calls[i]
		labels := []string{c.Endpoint, c.Account, c.Region, c.Operation}
		and := func(more string) []string { return append(labels[:len(labels):len(labels)], more) }
		for outcome, n := range c.Outcomes {
			send("stepfunctions_calls", counter, float64(n), and(outcome)...)
		}
		send("stepfunctions_calls_waiting", gauge, float64(c.Starting), and("starts")...)
		send("stepfunctions_calls_waiting", gauge, float64(c.Looking), and("looks")...)
		if !math.IsInf(c.Tokens, 0) && !math.IsInf(c.PerSecond, 0) {
			send("stepfunctions_quota_tokens", gauge, c.Tokens, labels...)
			send("stepfunctions_quota_per_second", gauge, c.PerSecond, labels...)
		}
	}
}

func (g *gauges) events(out chan<- prometheus.Metric, send sender, e *Events) {
	if e == nil {
		return
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	reachable := 0.0
	if e.Reachable {
		reachable = 1
	}
	send("stepfunctions_events_reachable", gauge, reachable)
	send("stepfunctions_events_received", counter, float64(e.Received))
	for outcome, n := range e.Outcomes {
		send("stepfunctions_events", counter, float64(n), outcome)
	}
	send("stepfunctions_events_failures", counter, float64(e.Failures))
	out <- prometheus.MustNewConstSummary(g.values["stepfunctions_events_lag_seconds"], e.Matched, e.Lag, nil)
}
