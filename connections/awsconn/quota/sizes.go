package quota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Size is a token bucket: how many calls may be made at once, and how many are added each second.
type Size struct{ Bucket, Refill float64 }

// ParseSize reads "BUCKET/REFILL", such as "300/15".
func ParseSize(text string) (Size, error) {
	bucket, refill, ok := strings.Cut(text, "/")
	b, bad := strconv.ParseFloat(strings.TrimSpace(bucket), 64)
	r, worse := strconv.ParseFloat(strings.TrimSpace(refill), 64)
	// The comparisons are false for NaN.
	if !ok || bad != nil || worse != nil || !(b >= 1 && b <= most) || !(r > 0 && r <= most) {
		return Size{}, fmt.Errorf("%q is no size of a token bucket; expected BUCKET/REFILL, the calls at once (at least 1) and "+
			"the calls per second (more than 0), for example 300/15", text)
	}
	return Size{b, r}, nil
}

// most is beyond every quota.
const most = 1e9

func (s Size) String() string { return fmt.Sprintf("%g/%g", s.Bucket, s.Refill) }

// StartExpress is the name under which StartExecution of EXPRESS state machines is counted: AWS gives it a bucket of its
// own.
const StartExpress = "StartExecution EXPRESS"

// largeRegions have larger buckets.
var largeRegions = []string{"us-east-1", "us-west-2", "eu-west-1"}

// published are AWS's default quotas in the large regions and in the others, where they differ from those of most
// operations, which is 100/1.
var published = map[string]struct{ large, other Size }{
	"StartExecution":                   {Size{1300, 300}, Size{800, 150}},
	StartExpress:                       {Size{6000, 6000}, Size{6000, 6000}},
	"RedriveExecution":                 {Size{1300, 300}, Size{800, 150}},
	"DescribeExecution":                {Size{300, 15}, Size{250, 10}},
	"GetExecutionHistory":              {Size{400, 20}, Size{400, 20}},
	"ListExecutions":                   {Size{200, 5}, Size{100, 2}},
	"StopExecution":                    {Size{1000, 200}, Size{500, 25}},
	"GetActivityTask":                  {Size{3000, 500}, Size{1500, 300}},
	"SendTaskSuccess":                  {Size{3000, 500}, Size{1500, 300}},
	"SendTaskFailure":                  {Size{3000, 500}, Size{1500, 300}},
	"SendTaskHeartbeat":                {Size{3000, 500}, Size{1500, 300}},
	"DescribeStateMachine":             {Size{200, 20}, Size{200, 20}},
	"ListActivities":                   {Size{100, 10}, Size{100, 5}},
	"ListStateMachines":                {Size{100, 5}, Size{100, 5}},
	"TestState":                        {Size{50, 10}, Size{50, 10}},
	"DescribeActivity":                 {Size{200, 1}, Size{200, 1}},
	"DescribeMapRun":                   {Size{200, 1}, Size{200, 1}},
	"DescribeStateMachineAlias":        {Size{200, 1}, Size{200, 1}},
	"DescribeStateMachineForExecution": {Size{200, 1}, Size{200, 1}},
	"TagResource":                      {Size{200, 1}, Size{200, 1}},
	"UntagResource":                    {Size{200, 1}, Size{200, 1}},
}

// rare are the operations with the bucket of most operations.
var rare = []string{
	"CreateActivity", "CreateStateMachine", "CreateStateMachineAlias", "DeleteActivity", "DeleteStateMachine",
	"DeleteStateMachineAlias", "DeleteStateMachineVersion", "ListMapRuns", "ListStateMachineAliases",
	"ListStateMachineVersions", "ListTagsForResource", "PublishStateMachineVersion", "UpdateMapRun", "UpdateStateMachine",
	"UpdateStateMachineAlias", "ValidateStateMachineDefinition",
}

// Published is what AWS grants an account in a region for an operation, and whether it has a quota at all.
func Published(operation, region string) (Size, bool) {
	if s, ok := published[operation]; ok {
		if slices.Contains(largeRegions, region) {
			return s.large, true
		}
		return s.other, true
	}
	return Size{100, 1}, slices.Contains(rare, operation)
}

// Operations are the names that have a quota, sorted.
func Operations() []string {
	return slices.Sorted(maps.Keys(all()))
}

func all() map[string]bool {
	names := map[string]bool{}
	for name := range published {
		names[name] = true
	}
	for _, name := range rare {
		names[name] = true
	}
	return names
}
