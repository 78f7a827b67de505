// Package awsbatch waits for AWS Batch jobs: the trigger, and what it shares with the operator, the API they call, links
// to the console, and how a job's end is told.
package awsbatch

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"gust/connections"
	"gust/connections/awsconn"
)

// API is what is called of Batch. *batch.Client implements it.
type API interface {
	SubmitJob(context.Context, *batch.SubmitJobInput, ...func(*batch.Options)) (*batch.SubmitJobOutput, error)
	DescribeJobs(context.Context, *batch.DescribeJobsInput, ...func(*batch.Options)) (*batch.DescribeJobsOutput, error)
	ListJobs(context.Context, *batch.ListJobsInput, ...func(*batch.Options)) (*batch.ListJobsOutput, error)
	TerminateJob(context.Context, *batch.TerminateJobInput, ...func(*batch.Options)) (*batch.TerminateJobOutput, error)
}

// LogAPI is what is called of CloudWatch Logs. *cloudwatchlogs.Client implements it.
type LogAPI interface {
	GetLogEvents(
		context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options),
	) (*cloudwatchlogs.GetLogEventsOutput, error)
}

// Clients finds the clients for a task's AWS parameters.
type Clients interface {
	Batch(ctx context.Context, r connections.Resolver, p awsconn.Params) (API, awsconn.Info, error)
	Logs(ctx context.Context, r connections.Resolver, p awsconn.Params) (LogAPI, error)
}

// FromPool returns the pool's clients.
func FromPool(p *awsconn.Pool) Clients { return pooled{p} }

type pooled struct{ pool *awsconn.Pool }

func (p pooled) Batch(ctx context.Context, r connections.Resolver, params awsconn.Params) (API, awsconn.Info, error) {
	client, info, err := p.pool.Batch(ctx, r, params)
	if err != nil {
		return nil, info, err
	}
	return client, info, nil
}

func (p pooled) Logs(ctx context.Context, r connections.Resolver, params awsconn.Params) (LogAPI, error) {
	client, _, err := p.pool.Logs(ctx, r, params)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// Statuses of an Outcome.
const (
	StatusSuccess = "success"
	StatusError   = "error"
)

// Outcome is how a wait ended: the payload of the trigger's event.
type Outcome struct {
	// Status is "success" or "error".
	Status string `json:"status"`
	JobID  string `json:"job_id"`
	// JobStatus is SUCCEEDED or FAILED; another one when the wait's own time ran out.
	JobStatus string `json:"job_status,omitempty"`
	// Reason is Batch's, Container the container's or the node's.
	Reason    string `json:"reason,omitempty"`
	Container string `json:"container,omitempty"`
	ExitCode  *int32 `json:"exit_code,omitempty"`
	Attempts  int    `json:"attempts,omitempty"`
	// JobQueue and JobDefinition are ARNs.
	JobQueue      string `json:"job_queue,omitempty"`
	JobDefinition string `json:"job_definition,omitempty"`
	// Array is the size of an array job, 0 for any other, and FailedChildren how many of its children have failed.
	Array          int32 `json:"array,omitempty"`
	FailedChildren int32 `json:"failed_children,omitempty"`
	// Log is where the job has written to, nil when it has not or not to CloudWatch.
	Log *LogStream `json:"log,omitempty"`
	// Message is set when the wait itself failed rather than the job.
	Message string `json:"message,omitempty"`
	URL     string `json:"url,omitempty"`
}

// LogStream is a stream of CloudWatch Logs.
type LogStream struct {
	Group  string `json:"group"`
	Stream string `json:"stream"`
	// Region is "" for that of the job.
	Region string `json:"region,omitempty"`
}

// defaultGroup is the log group of jobs whose definition names none.
const defaultGroup = "/aws/batch/job"

// LogOf returns where a job writes its log, nil when it has none (yet) or not in CloudWatch.
func LogOf(d *types.JobDetail) *LogStream {
	if d.Container == nil || aws.ToString(d.Container.LogStreamName) == "" {
		return nil
	}
	s := &LogStream{Group: defaultGroup, Stream: aws.ToString(d.Container.LogStreamName)}
	if c := d.Container.LogConfiguration; c != nil {
		if c.LogDriver != types.LogDriverAwslogs {
			return nil
		}
		if group := c.Options["awslogs-group"]; group != "" {
			s.Group = group
		}
		s.Region = c.Options["awslogs-region"]
	}
	return s
}

// Ended returns how a described job ended, nil while it goes on.
func Ended(info awsconn.Info, d *types.JobDetail) *Outcome {
	o := &Outcome{
		Status: StatusError, JobID: aws.ToString(d.JobId), JobStatus: string(d.Status), Reason: aws.ToString(d.StatusReason),
		Attempts: len(d.Attempts), JobQueue: aws.ToString(d.JobQueue), JobDefinition: aws.ToString(d.JobDefinition), Log: LogOf(d),
	}
	o.URL = LinkToJob(info, o.JobID).URL
	switch d.Status {
	case types.JobStatusSucceeded:
		o.Status = StatusSuccess
	case types.JobStatusFailed:
	default:
		return nil
	}
	if c := d.Container; c != nil {
		o.Container, o.ExitCode = aws.ToString(c.Reason), c.ExitCode
	}
	if o.Container == "" && len(d.Attempts) > 0 {
		if c := d.Attempts[len(d.Attempts)-1].Container; c != nil {
			o.Container = aws.ToString(c.Reason)
			if o.ExitCode == nil {
				o.ExitCode = c.ExitCode
			}
		}
	}
	if a := d.ArrayProperties; a != nil && a.Size != nil {
		o.Array, o.FailedChildren = *a.Size, a.StatusSummary[string(types.JobStatusFailed)]
	}
	return o
}

// Failure is the text of an outcome that is no success.
func (o *Outcome) Failure() string {
	var b strings.Builder
	if o.Message != "" {
		b.WriteString(o.Message)
	} else {
		fmt.Fprintf(&b, "AWS Batch job (%s) failed", o.JobID)
		sep := ": "
		for _, part := range [...]string{o.Reason, o.Container} {
			if part != "" {
				b.WriteString(sep + part)
				sep = "; "
			}
		}
		if o.ExitCode != nil {
			fmt.Fprintf(&b, "; exit code %d", *o.ExitCode)
		}
		if o.Array > 0 {
			fmt.Fprintf(&b, "; %d of %d children failed", o.FailedChildren, o.Array)
		}
		if o.Attempts > 1 {
			fmt.Fprintf(&b, "; after %d attempts", o.Attempts)
		}
	}
	if o.URL != "" {
		b.WriteString("; see " + o.URL)
	}
	return b.String()
}

// Names and XCom keys of the links, those of Airflow.
const (
	JobLinkName        = "Batch Job Details"
	JobLinkKey         = "batch_job_details"
	DefinitionLinkName = "Batch Job Definition"
	DefinitionLinkKey  = "batch_job_definition"
	QueueLinkName      = "Batch Job Queue"
	QueueLinkKey       = "batch_job_queue"
	LogLinkName        = "CloudWatch Events"
	LogLinkKey         = "cloudwatch_events"
)

// Link is the XCom of a link. The URL is empty when there is no page: an endpoint that is not AWS.
type Link struct {
	RegionName       string `json:"region_name"`
	AWSDomain        string `json:"aws_domain"`
	JobID            string `json:"job_id,omitempty"`
	JobDefinitionARN string `json:"job_definition_arn,omitempty"`
	JobQueueARN      string `json:"job_queue_arn,omitempty"`
	LogGroup         string `json:"awslogs_group,omitempty"`
	LogStream        string `json:"awslogs_stream_name,omitempty"`
	URL              string `json:"url,omitempty"`
}

// LinkToJob returns the console page of a job.
func LinkToJob(info awsconn.Info, id string) Link {
	l := link(info, "#jobs/detail/"+url.PathEscape(id))
	l.JobID = id
	return l
}

// LinkToDefinition returns the console page of a job definition.
func LinkToDefinition(info awsconn.Info, arn string) Link {
	l := link(info, "#job-definition/detail/"+url.PathEscape(arn))
	l.JobDefinitionARN = arn
	return l
}

// LinkToQueue returns the console page of a job queue.
func LinkToQueue(info awsconn.Info, arn string) Link {
	l := link(info, "#queues/detail/"+url.PathEscape(arn))
	l.JobQueueARN = arn
	return l
}

func link(info awsconn.Info, page string) Link {
	return Link{
		RegionName: info.Region, AWSDomain: info.Domain, URL: info.Console("/batch/home?region=" + info.Region + page),
	}
}

// LinkToLog returns the console page of a log stream.
func LinkToLog(info awsconn.Info, s *LogStream) Link {
	region := info.Region
	if s.Region != "" {
		region = s.Region
	}
	return Link{
		RegionName: region, AWSDomain: info.Domain, LogGroup: s.Group, LogStream: s.Stream,
		URL: info.Console("/cloudwatch/home?region=" + region + "#logsV2:log-groups/log-group/" + twice(s.Group) + "/log-events/" + twice(s.Stream)),
	}
}

// twice is how CloudWatch's console writes names: percent-encoded, and the percent sign as $25.
func twice(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "%", "$25") }
