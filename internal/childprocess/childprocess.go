//go:build unix

// Package childprocess starts the processes of tasks and sees to it that none of them outlives what it was started for.
//
// Every child runs in a process group of its own. When the program dies, the kernel kills its children (Linux). Whatever
// they had started themselves carries marks in its environment, by which the next start finds and ends it (SweepOrphans).
package childprocess

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gust/dag"
)

// DefaultCleanupTime is [core] killed_task_cleanup_time when the configuration is silent.
const DefaultCleanupTime = 60 * time.Second

// Names of the variables by which SweepOrphans knows this installation's processes.
const (
	attemptVar = "GUST_ATTEMPT="
	parentVar  = "GUST_PARENT="
)

// AttemptMark is the environment variable that names an attempt; home is a HomeID.
func AttemptMark(home string, a dag.Attempt) string {
	return fmt.Sprintf("%s%s/%s/%s/%s/%d/%d", attemptVar, home, a.DagID, a.RunID, a.TaskID, a.MapIndex, a.TryNumber)
}

// Marks are the environment variables by which SweepOrphans and EndCommands know a process that this one starts for
// something other than a task, and whatever that process starts.
func Marks(home, purpose string) []string {
	return []string{attemptVar + HomeID(home) + "/" + purpose, ParentMark()}
}

// Environ is this process's environment without marks of its own.
func Environ() []string {
	env := os.Environ()
	kept := make([]string, 0, len(env)+24)
	for _, e := range env {
		if !strings.HasPrefix(e, attemptVar) && !strings.HasPrefix(e, parentVar) {
			kept = append(kept, e)
		}
	}
	return kept
}

// AttemptEnv tells a child about its attempt, in Airflow's variables and under our own name.
func AttemptEnv(a dag.Attempt, owner string, logicalDate time.Time) []string {
	values := [][2]string{
		{"DAG_ID", a.DagID}, {"TASK_ID", a.TaskID}, {"DAG_RUN_ID", a.RunID},
		{"TRY_NUMBER", fmt.Sprint(a.TryNumber)},
	}
	if owner != "" {
		values = append(values, [2]string{"DAG_OWNER", owner})
	}
	if !logicalDate.IsZero() {
		date := logicalDate.UTC().Format("2006-01-02T15:04:05.999999+00:00")
		values = append(values, [2]string{"LOGICAL_DATE", date}, [2]string{"EXECUTION_DATE", date})
	}
	env := make([]string, 0, 2*len(values)+1)
	for _, v := range values {
		env = append(env, "AIRFLOW_CTX_"+v[0]+"="+v[1], "GUST_CTX_"+v[0]+"="+v[1])
	}
	return append(env, fmt.Sprintf("GUST_CTX_MAP_INDEX=%d", a.MapIndex))
}

// HomeID names a home folder in a mark: short, and the same for every way of writing its path.
func HomeID(home string) string {
	if abs, err := filepath.Abs(home); err == nil {
		home = abs
	}
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	sum := sha256.Sum256([]byte(home))
	return hex.EncodeToString(sum[:8])
}

// SignalGroup signals a process group. That nothing is left of it is no error.
func SignalGroup(pgid int, sig syscall.Signal) {
	_ = syscall.Kill(-pgid, sig) // ESRCH: gone already
}
