package awsbatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/smithy-go"

	"gust/connections/awsconn"
	"gust/internal/param"
	"gust/operators"
	"gust/triggers"
	"gust/triggers/awswait"
)

// XCom keys of this family besides the links'.
const (
	// keyJobID holds the job's id, from the moment it is known, also when the task fails later.
	keyJobID = "job_id"
	// keyRecord holds what the attempt is about to submit, written before it does: after a crash it knows what to look for.
	keyRecord = "_batch_attempt"
)

// record is the XCom under keyRecord.
type record struct {
	Name  string    `json:"name"`
	Queue string    `json:"queue"`
	At    time.Time `json:"at"`
}

// skew is how far the clocks of this machine and of Batch may differ.
const skew = time.Minute

func pullRecord(raw json.RawMessage, ok bool, err error) (record, bool, error) {
	if err != nil || !ok {
		return record{}, false, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, false, fmt.Errorf("XCom %s of this task: %w", keyRecord, err)
	}
	return r, r.Name != "", nil
}

// maxName is the longest job name.
const maxName = 128

var legalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

func (j *Job) checkName() error {
	switch {
	case j.JobName == "":
		return nil
	case len(j.JobName) > maxName:
		return fmt.Errorf("job_name %q has %d characters; expected at most %d", j.JobName, len(j.JobName), maxName)
	case !legalName.MatchString(j.JobName):
		return fmt.Errorf("job_name %q is not legal; expected letters, digits, - and _, the first one a letter or a digit", j.JobName)
	}
	return nil
}

// name is the job's name: the given one, and what identifies the attempt, the same each time it is repeated. The run's
// start date is part of the identity, so that a run that was deleted and created again does not meet its old jobs.
func (w *work) name() string {
	a := w.t.Attempt()
	head := w.JobName
	if head == "" {
		head = strings.TrimLeft(notInName.ReplaceAllString(a.DagID+"-"+a.TaskID, "-"), "-_")
	} else if !w.UniqueJobName {
		return head
	}
	h := sha256.New()
	for _, part := range []string{
		a.DagID, a.RunID, a.TaskID, fmt.Sprint(a.MapIndex), fmt.Sprint(a.TryNumber), fmt.Sprint(w.t.Run().StartDate.UnixMicro()),
	} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash never fails
	}
	tail := fmt.Sprintf("-t%d-%s", a.TryNumber, hex.EncodeToString(h.Sum(nil)[:6]))
	return head[:min(len(head), maxName-len(tail))] + tail
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// job returns the id of this attempt's job: the one it submitted before a crash, that of the previous try if it still
// runs, or a new one.
func (w *work) job(ctx context.Context) (string, error) {
	id, err := operators.PullText(ctx, w.t, keyJobID)
	if err != nil {
		return "", err
	}
	if id != "" {
		w.t.Log().Info("This attempt submitted its job before it was interrupted: " + id)
		return id, nil
	}
	rec, recorded, err := pullRecord(w.t.XComPull(ctx, "", keyRecord))
	if err != nil {
		return "", err
	}
	if recorded {
		if id, err = w.find(ctx, rec, rec.At); err != nil {
			return "", err
		}
		if id != "" {
			w.t.Log().Info("This attempt submitted its job before it was interrupted: " + id)
			return id, nil
		}
	} else if id, err = w.previous(ctx); err != nil || id != "" {
		return id, err
	}
	in, err := w.input()
	if err != nil {
		return "", operators.Fail(err)
	}
	if !recorded {
		rec = record{Name: *in.JobName, Queue: w.JobQueue, At: w.t.Now()}
		if err := w.t.XComPush(ctx, keyRecord, rec); err != nil {
			return "", err
		}
	}
	return w.submit(ctx, in, rec)
}

// previous is the job of the previous try, if it still runs and nobody has asked it to end.
func (w *work) previous(ctx context.Context) (string, error) {
	raw, ok, err := w.t.PreviousXCom(ctx, keyJobID)
	if err != nil {
		return "", err
	}
	id := operators.Text(raw)
	if !ok || id == "" {
		rec, recorded, err := pullRecord(w.t.PreviousXCom(ctx, keyRecord))
		if err != nil || !recorded {
			return "", err
		}
		if id, err = w.find(ctx, rec, rec.At); err != nil || id == "" {
			return "", err
		}
	}
	var out *batch.DescribeJobsOutput
	err = w.repeat(ctx, "DescribeJobs", func() (err error) {
		out, err = w.api.DescribeJobs(ctx, &batch.DescribeJobsInput{Jobs: []string{id}})
		return err
	})
	if err != nil || len(out.Jobs) == 0 {
		return "", err
	}
	d := &out.Jobs[0]
	ended := d.Status == types.JobStatusSucceeded || d.Status == types.JobStatusFailed
	if ended || aws.ToBool(d.IsTerminated) || aws.ToBool(d.IsCancelled) {
		return "", nil
	}
	w.t.Log().Info(fmt.Sprintf("The job of the previous try is still %s; waiting for it: %s", d.Status, id))
	return id, nil
}

// find looks for the job of a record, "" when there is none. It looks until a job that was submitted at asked would be
// listed.
func (w *work) find(ctx context.Context, rec record, asked time.Time) (string, error) {
	for {
		id, err := w.list(ctx, rec)
		if err != nil || id != "" {
			return id, err
		}
		if w.t.Now().Sub(asked) >= w.deps.Settle {
			return "", nil
		}
		if err := triggers.Pause(ctx, w.deps.Settle/10); err != nil {
			return "", err
		}
	}
}

// list returns the first job of the record's name that was created after the record.
func (w *work) list(ctx context.Context, rec record) (id string, err error) {
	in := &batch.ListJobsInput{
		JobQueue: aws.String(rec.Queue), Filters: []types.KeyValuesPair{{Name: aws.String("JOB_NAME"), Values: []string{rec.Name}}},
	}
	var created int64
	for {
		var out *batch.ListJobsOutput
		err := w.repeat(ctx, "ListJobs", func() (err error) {
			out, err = w.api.ListJobs(ctx, in)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("looking for the job that this attempt may have submitted: %w", err)
		}
		for _, job := range out.JobSummaryList {
			at := aws.ToInt64(job.CreatedAt)
			// The filter ignores case.
			if aws.ToString(job.JobName) != rec.Name || at < rec.At.Add(-skew).UnixMilli() {
				continue
			}
			if id == "" || at < created {
				id, created = aws.ToString(job.JobId), at
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return id, nil
		}
	}
}

// submit submits the job. The SDK itself repeats nothing: it would submit a second job when an answer is lost.
func (w *work) submit(ctx context.Context, in *batch.SubmitJobInput, rec record) (string, error) {
	w.t.Log().Info(fmt.Sprintf("Running AWS Batch job - job definition: %s - on queue %s as %s", w.JobDefinition, w.JobQueue, *in.JobName))
	once := func(o *batch.Options) { o.Retryer = aws.NopRetryer{} }
	for n := 1; ; n++ {
		out, err := w.api.SubmitJob(ctx, in, once)
		if err == nil {
			id := aws.ToString(out.JobId)
			w.t.Log().Info(fmt.Sprintf("AWS Batch job (%s) started", id))
			return id, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("SubmitJob: %w", context.Cause(ctx))
		}
		if awsconn.TroubleOf(err) != awsconn.Passing || n > awswait.MaxRepeats {
			return "", w.info.Explained(err) // the SDK's errors name the operation
		}
		w.t.Log().Warn(fmt.Sprintf("SubmitJob met an error that may pass: %s", err))
		if err := triggers.Pause(ctx, w.deps.Backoff(n)); err != nil {
			return "", fmt.Errorf("SubmitJob: %w", err)
		}
		if refused(err) {
			continue
		}
		id, err := w.find(ctx, rec, w.t.Now())
		if err != nil {
			return "", err
		}
		if id != "" {
			w.t.Log().Info("The job was submitted, only the answer was lost: " + id)
			return id, nil
		}
	}
}

// refused reports whether Batch has certainly not taken the job: it has answered that the caller is to blame, or asks too
// often. Any other passing error may have lost the answer to a job that was taken.
func refused(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorFault() != smithy.FaultServer && strings.Contains(strings.ToLower(api.ErrorCode()), "throttl") ||
		errors.As(err, &api) && strings.Contains(api.ErrorCode(), "TooManyRequests")
}

// repeat calls until the call succeeds or fails for good; the call must do no harm when it is made twice.
func (w *work) repeat(ctx context.Context, what string, call func() error) error {
	return w.deps.Backoff.Repeat(ctx, w.t.Log(), what, nil, call)
}

// input is the request.
func (w *work) input() (*batch.SubmitJobInput, error) {
	switch {
	case w.JobDefinition == "":
		return nil, errors.New("job_definition is empty")
	case w.JobQueue == "":
		return nil, errors.New("job_queue is empty")
	}
	in := &batch.SubmitJobInput{
		JobName: aws.String(w.name()), JobQueue: aws.String(w.JobQueue), JobDefinition: aws.String(w.JobDefinition),
		Parameters: texts(w.Parameters), Tags: texts(w.Tags),
	}
	if w.ShareIdentifier != "" {
		in.ShareIdentifier = aws.String(w.ShareIdentifier)
	}
	if w.SchedulingPrio != nil {
		in.SchedulingPriorityOverride = aws.Int32(int32(*w.SchedulingPrio))
	}
	if w.SubmitJobTimeout != nil {
		in.Timeout = &types.JobTimeout{AttemptDurationSeconds: aws.Int32(int32(*w.SubmitJobTimeout))}
	}
	return in, w.overrides(in)
}

// texts are the values as Batch takes them.
func texts(values map[string]any) map[string]string {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]string, len(values))
	for key, value := range values {
		switch v := value.(type) {
		case string:
			out[key] = v
		default:
			raw, err := json.Marshal(v)
			if err != nil {
				raw = []byte(fmt.Sprint(v))
			}
			out[key] = string(raw)
		}
	}
	return out
}

// overrides reads what has boto3's form.
func (j *Job) overrides(in *batch.SubmitJobInput) error {
	for _, part := range []struct {
		name   string
		value  any
		target any
	}{
		{"container_overrides", j.ContainerOver, &in.ContainerOverrides},
		{"array_properties", j.ArrayProperties, &in.ArrayProperties},
		{"ecs_properties_override", j.ECSOverride, &in.EcsPropertiesOverride},
		{"eks_properties_override", j.EKSOverride, &in.EksPropertiesOverride},
		{"node_overrides", j.NodeOverrides, &in.NodeOverrides},
		{"retry_strategy", j.RetryStrategy, &in.RetryStrategy},
	} {
		if part.value == nil {
			continue
		}
		if err := decode(part.value, part.target); err != nil {
			return &param.Error{Path: []string{part.name}, Problem: err.Error(), Expected: "boto3's form of it"}
		}
	}
	return nil
}

// decode reads a mapping, or the JSON text of one, into a type of the SDK: its fields have boto3's names, in another case.
// A mapping that is empty asks for nothing.
func decode(value, target any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if t, ok := value.(string); ok {
		raw = []byte(t)
	}
	if s := string(bytes.TrimSpace(raw)); s == "{}" || s == "" || s == "null" || s == "None" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(target); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
