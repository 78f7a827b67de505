package admincmd

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"gust/cmd/gust/host"
	"gust/internal/app"
	"gust/store"
)

// jobTypes are Airflow's processes; here one daemon is all of them.
var jobTypes = []string{"SchedulerJob", "TriggererJob", "DagProcessorJob"}

func (c Commands) jobs() *cobra.Command {
	return c.Group("jobs", "Check whether a daemon is alive", "system", c.jobsCheck())
}

func (c Commands) jobsCheck() *cobra.Command {
	var (
		hostname string
		local    bool
		limit    int
	)
	cmd := &cobra.Command{
		Use: "check", Short: "Exit with 0 when a daemon is alive, else with 1", Args: c.Arguments(),
		Long: `Exit with 0 when a daemon runs on the home and has given a sign of life within scheduler.scheduler_health_check_threshold,
else with 1. Scheduler, triggerer and DAG processor are one process here: --job-type does not matter.`,
		Example: "  gust jobs check\n  gust jobs check --job-type SchedulerJob --local",
	}
	c.Choice(cmd, "job-type", "", "the `TYPE` of job: SchedulerJob, TriggererJob, DagProcessorJob", "", jobTypes...)
	cmd.Flags().StringVar(&hostname, "hostname", "", "only a daemon on this `HOST`")
	cmd.Flags().BoolVar(&local, "local", false, "only a daemon on this host")
	cmd.Flags().IntVar(&limit, "limit", 1, "look at most at `N` jobs; there is one")
	c.WithoutEffect(cmd, "allow-multiple", "", "only one daemon runs on a home")
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		if err := c.Exclusive(cmd, "hostname", "local"); err != nil {
			return err
		}
		if limit < 0 {
			return host.Usagef("--limit is %d; expected 0 or more", limit)
		}
		if local {
			var err error
			if hostname, err = os.Hostname(); err != nil {
				return err
			}
		}
		beat, err := a.Store.HeartbeatGet(cmd.Context())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		alive := a.SchedulerAlive() && beat != nil && a.Now().Sub(beat.At) <= a.Config.Scheduler.HealthCheckThreshold
		if !alive || hostname != "" && beat.Host != hostname {
			return host.Failedf("No alive jobs found.")
		}
		c.Printf("Found one alive job.\n")
		return nil
	})
	return cmd
}

// ListJobs is `gust dags list-jobs`.
func (c Commands) ListJobs() *cobra.Command {
	var (
		dagID string
		limit int
	)
	cmd := &cobra.Command{
		Use: "list-jobs", Short: "List the daemon's jobs with their last sign of life", Args: c.Arguments(),
		Long: `List the jobs of the daemon that runs on the home, or ran last. Scheduler, triggerer and DAG processor are one process here;
tasks are no jobs, "gust runs list" lists runs.`,
		Example: "  gust dags list-jobs\n  gust dags list-jobs --state running -o json",
	}
	cmd.Flags().StringVarP(&dagID, "dag-id", "d", "", "only jobs of this `DAG_ID`; the daemon's are of none")
	state := c.Choice(cmd, "state", "", "only jobs in this `STATE`: running, failed, success", "", "running", "failed", "success")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `N` jobs")
	format := c.OutputFlag(cmd)
	cmd.RunE = c.WithApp(func(cmd *cobra.Command, a *app.App, _ []string) error {
		if limit < 1 {
			return host.Usagef("--limit is %d; expected 1 or more", limit)
		}
		t := &host.Table{Columns: []string{"dag_id", "state", "job_type", "start_date", "latest_heartbeat", "hostname"}}
		beat, err := a.Store.HeartbeatGet(cmd.Context())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && dagID == "" {
			is := "success"
			switch stale := a.Now().Sub(beat.At) > a.Config.Scheduler.HealthCheckThreshold; {
			case a.SchedulerAlive() && !stale:
				is = "running"
			case a.SchedulerAlive():
				is = "failed"
			}
			for _, job := range jobTypes {
				if (*state == "" || *state == is) && len(t.Rows) < limit {
					t.Add(nil, is, job, beat.StartedAt, beat.At, beat.Host)
				}
			}
		}
		return c.Print(t, *format)
	})
	return cmd
}
