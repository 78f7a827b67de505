// Package arns makes the ARNs of the service and reads single parts of them.
package arns

import (
	"fmt"
	"strings"
)

// The kinds of resources, as they stand in ARNs.
const (
	Machine   = "stateMachine"
	Execution = "execution"
	Express   = "express"
	Activity  = "activity"
	MapRun    = "mapRun"
)

// Partition returns the ARN partition of a region.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// Make returns arn:PARTITION:states:REGION:ACCOUNT:KIND:REST.
func Make(region, account, kind, rest string) string {
	return fmt.Sprintf("arn:%s:states:%s:%s:%s:%s", Partition(region), region, account, kind, rest)
}

// Region returns the region in an ARN; empty when it is none.
func Region(text string) string {
	parts := strings.SplitN(text, ":", 5)
	if len(parts) < 5 {
		return ""
	}
	return parts[3]
}

// IsExpress tells an express execution by its ARN.
func IsExpress(text string) bool {
	parts := strings.SplitN(text, ":", 7)
	return len(parts) == 7 && parts[5] == Express
}
