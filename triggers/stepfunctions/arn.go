package stepfunctions

import (
	"fmt"
	"net/url"
	"strings"

	"gust/connections/awsconn"
)

// Machine is a state machine ARN in parts.
type Machine struct {
	Partition, Region, Account string
	// Name may hold a label ("name/label") or a mocked test case ("name#case").
	Name string
	// Qualifier is the version or alias, or "".
	Qualifier string
}

// ParseMachine reads the ARN of a state machine, of one of its versions, or of an alias.
func ParseMachine(arn string) (Machine, error) {
	parts := strings.Split(arn, ":")
	if (len(parts) != 7 && len(parts) != 8) || parts[0] != "arn" || parts[2] != "states" ||
		parts[5] != "stateMachine" || parts[6] == "" {
		return Machine{}, fmt.Errorf(
			"state_machine_arn %q is not the ARN of a state machine; "+
				"expected arn:aws:states:REGION:ACCOUNT:stateMachine:NAME", arn)
	}
	m := Machine{Partition: parts[1], Region: parts[3], Account: parts[4], Name: parts[6]}
	if len(parts) == 8 {
		m.Qualifier = parts[7]
	}
	return m, nil
}

// Execution is the ARN of the Standard execution with this name. A version or alias does not appear in it.
func (m Machine) Execution(name string) string {
	machine, _, _ := strings.Cut(m.Name, "#")
	return fmt.Sprintf("arn:%s:states:%s:%s:execution:%s:%s", m.Partition, m.Region, m.Account, machine, name)
}

// Runs reports whether the execution is one of this state machine, through whichever version or alias.
func (m Machine) Runs(executionARN string) bool {
	return strings.HasPrefix(executionARN, m.Execution(""))
}

// ARN is the state machine's own, without version or alias.
func (m Machine) ARN() string {
	return fmt.Sprintf("arn:%s:states:%s:%s:stateMachine:%s", m.Partition, m.Region, m.Account, m.Name)
}

// labelled reports whether its executions are the children of a map run.
func (m Machine) labelled() bool { return strings.Contains(m.Name, "/") }

// machineOf is the state machine of a Standard execution.
func machineOf(executionARN string) (Machine, bool) {
	parts := strings.SplitN(executionARN, ":", 8)
	if len(parts) != 8 || parts[0] != "arn" || parts[2] != "states" || parts[5] != "execution" || parts[6] == "" {
		return Machine{}, false
	}
	return Machine{Partition: parts[1], Region: parts[3], Account: parts[4], Name: parts[6]}, true
}

// IsExpress reports whether the ARN is that of an Express execution, which can be neither described nor stopped.
func IsExpress(executionARN string) bool { return strings.Contains(executionARN, ":express:") }

// Names of the links and the XCom keys they are under, as in Airflow.
const (
	MachineLinkName   = "State Machine Details"
	MachineLinkKey    = "_state_machine_details"
	ExecutionLinkName = "State Machine Executions Details"
	ExecutionLinkKey  = "_state_machine_executions_details"
)

// MachineLink is the XCom under MachineLinkKey.
type MachineLink struct {
	RegionName      string `json:"region_name"`
	AWSDomain       string `json:"aws_domain"`
	StateMachineARN string `json:"state_machine_arn"`
	URL             string `json:"url,omitempty"`
}

// ExecutionLink is the XCom under ExecutionLinkKey.
type ExecutionLink struct {
	RegionName   string `json:"region_name"`
	AWSDomain    string `json:"aws_domain"`
	ExecutionARN string `json:"execution_arn"`
	URL          string `json:"url,omitempty"`
}

// LinkToMachine returns the console page of a state machine. The URL is empty when there is none: an endpoint that is
// not AWS, or a partition whose console is not known.
func LinkToMachine(info awsconn.Info, arn string) MachineLink {
	return MachineLink{info.Region, info.Domain, arn, console(info, "/statemachines/view/", arn)}
}

// LinkToExecution returns the console page of an execution, as LinkToMachine.
func LinkToExecution(info awsconn.Info, arn string) ExecutionLink {
	return ExecutionLink{info.Region, info.Domain, arn, console(info, "/v2/executions/details/", arn)}
}

func console(info awsconn.Info, page, arn string) string {
	if info.Domain == "" || info.Region == "" || arn == "" || info.Elsewhere() {
		return ""
	}
	return fmt.Sprintf("https://console.%s/states/home?region=%s#%s%s",
		info.Domain, info.Region, page, url.QueryEscape(arn))
}
