package server

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// bucket is a token bucket: how many requests may come at once, and how many are added each second.
type bucket struct{ size, refill int }

// quota is the bucket of an operation in the three large regions and in every other one, for each account.
type quota struct{ large, other bucket }

// largeRegions have larger buckets.
var largeRegions = []string{"us-east-1", "us-west-2", "eu-west-1"}

func same(size, refill int) quota { return quota{bucket{size, refill}, bucket{size, refill}} }

// quotas are AWS's default quotas of API requests, from the table of the Step Functions Developer Guide. Operations
// without an entry are not throttled.
var quotas = map[string]quota{
	"StartExecution":                   {bucket{1300, 300}, bucket{800, 150}},
	"RedriveExecution":                 {bucket{1300, 300}, bucket{800, 150}},
	"DescribeExecution":                {bucket{300, 15}, bucket{250, 10}},
	"GetExecutionHistory":              same(400, 20),
	"ListExecutions":                   {bucket{200, 5}, bucket{100, 2}},
	"StopExecution":                    {bucket{1000, 200}, bucket{500, 25}},
	"GetActivityTask":                  {bucket{3000, 500}, bucket{1500, 300}},
	"SendTaskSuccess":                  {bucket{3000, 500}, bucket{1500, 300}},
	"SendTaskFailure":                  {bucket{3000, 500}, bucket{1500, 300}},
	"SendTaskHeartbeat":                {bucket{3000, 500}, bucket{1500, 300}},
	"DescribeStateMachine":             same(200, 20),
	"ListActivities":                   {bucket{100, 10}, bucket{100, 5}},
	"ListStateMachines":                same(100, 5),
	"TestState":                        same(50, 10),
	"DescribeActivity":                 same(200, 1),
	"DescribeMapRun":                   same(200, 1),
	"DescribeStateMachineAlias":        same(200, 1),
	"DescribeStateMachineForExecution": same(200, 1),
	"TagResource":                      same(200, 1),
	"UntagResource":                    same(200, 1),
	"CreateActivity":                   same(100, 1),
	"CreateStateMachine":               same(100, 1),
	"CreateStateMachineAlias":          same(100, 1),
	"DeleteActivity":                   same(100, 1),
	"DeleteStateMachine":               same(100, 1),
	"DeleteStateMachineAlias":          same(100, 1),
	"DeleteStateMachineVersion":        same(100, 1),
	"ListMapRuns":                      same(100, 1),
	"ListStateMachineAliases":          same(100, 1),
	"ListStateMachineVersions":         same(100, 1),
	"ListTagsForResource":              same(100, 1),
	"PublishStateMachineVersion":       same(100, 1),
	"UpdateMapRun":                     same(100, 1),
	"UpdateStateMachine":               same(100, 1),
	"UpdateStateMachineAlias":          same(100, 1),
	"ValidateStateMachineDefinition":   same(100, 1),
}

// expressStarts is the bucket of StartExecution for express state machines.
var expressStarts = same(6000, 6000)

// withoutQuota are the operations that AWS gives no quota.
var withoutQuota = []string{"StartSyncExecution"}

// Operations are the names of all operations, sorted.
func Operations() []string {
	names := append(slices.Collect(maps.Keys(quotas)), withoutQuota...)
	slices.Sort(names)
	return names
}

// ExpressTeller is an [Invoker] that knows which state machines are express: their starts have a bucket of their own.
type ExpressTeller interface {
	Express(stateMachineARN string) bool
}

// buckets are the token buckets of a server, one for each region and operation.
type buckets struct {
	mu    sync.Mutex
	scale float64
	by    map[bucketKey]*rate.Limiter
}

type bucketKey struct {
	region, operation string
	express           bool
}

// SetThrottle refuses requests beyond AWS's quotas, which are multiplied with scale; 0 ends it.
func (f *Faults) SetThrottle(scale float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buckets = nil
	if scale > 0 {
		f.buckets = &buckets{scale: scale, by: map[bucketKey]*rate.Limiter{}}
	}
}

// allow takes a token for a request and reports whether there was one.
func (f *Faults) allow(c Call, now time.Time, invoker Invoker) bool {
	if f == nil {
		return true
	}
	f.mu.Lock()
	b := f.buckets
	f.mu.Unlock()
	if b == nil {
		return true
	}
	q, ok := quotas[c.Operation]
	if !ok {
		return true
	}
	key := bucketKey{region: c.Region, operation: c.Operation}
	if c.Operation == "StartExecution" && startsExpress(c.Body, invoker) {
		key.express, q = true, expressStarts
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter := b.by[key]
	if limiter == nil {
		own := q.other
		if slices.Contains(largeRegions, c.Region) {
			own = q.large
		}
		limiter = rate.NewLimiter(rate.Limit(float64(own.refill)*b.scale), max(1, int(float64(own.size)*b.scale)))
		b.by[key] = limiter
	}
	return limiter.AllowN(now, 1)
}

func startsExpress(body []byte, invoker Invoker) bool {
	teller, ok := invoker.(ExpressTeller)
	if !ok {
		return false
	}
	var in struct {
		StateMachineARN string `json:"stateMachineArn"`
	}
	return json.Unmarshal(body, &in) == nil && teller.Express(in.StateMachineARN)
}
