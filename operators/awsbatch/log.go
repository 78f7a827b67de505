package awsbatch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"gust/triggers/awsbatch"
)

// maxLines is how much of a job's log is shown.
const maxLines = 1000

// showLog writes the end of the job's log to the task's. That it cannot be read does not end the task.
func (w *work) showLog(ctx context.Context, o *awsbatch.Outcome) {
	stream := o.Log
	if stream == nil && o.Array > 0 {
		stream = w.firstChild(ctx, o.JobID)
	}
	if stream == nil {
		w.t.Log().Info("The job has written no log to CloudWatch")
		return
	}
	params := w.Params
	if stream.Region != "" {
		params.RegionName = stream.Region
	}
	api, err := w.deps.Clients.Logs(ctx, w.t, params)
	if err != nil {
		w.t.Log().Warn("the job's log cannot be read: " + err.Error())
		return
	}
	var out *cloudwatchlogs.GetLogEventsOutput
	err = w.repeat(ctx, "GetLogEvents", func() (err error) {
		out, err = api.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(stream.Group), LogStreamName: aws.String(stream.Stream), Limit: aws.Int32(maxLines),
			StartFromHead: aws.Bool(false),
		})
		return err
	})
	if err != nil {
		w.t.Log().Warn(fmt.Sprintf("the job's log %s of %s cannot be read: %s", stream.Stream, stream.Group, err))
		return
	}
	w.t.Log().Info(fmt.Sprintf("The end of the job's log (%s of %s):", stream.Stream, stream.Group))
	for _, e := range out.Events {
		w.t.Log().Info(aws.ToString(e.Message))
	}
}

// firstChild is where the first child of an array job writes to.
func (w *work) firstChild(ctx context.Context, id string) *awsbatch.LogStream {
	out, err := w.api.DescribeJobs(ctx, &batch.DescribeJobsInput{Jobs: []string{id + ":0"}})
	if err != nil || len(out.Jobs) == 0 {
		return nil
	}
	return awsbatch.LogOf(&out.Jobs[0])
}
