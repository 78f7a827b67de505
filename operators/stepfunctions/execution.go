package stepfunctions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"gust/connections/awsconn"
	"gust/operators"
	"gust/triggers/stepfunctions"
)

// XCom keys of this family besides the links'.
const (
	// keyARN holds the ARN of the execution, from the moment it is known, also when the task fails later.
	keyARN = "execution_arn"
	// keyRecord holds what the attempt is about to do, written before it does it: after a crash the attempt knows which
	// execution is its own.
	keyRecord = "_execution_attempt"
)

// record is the XCom under keyRecord.
type record struct {
	// Name and ExecutionARN are the execution to be started or redriven.
	Name         string    `json:"name,omitempty"`
	ExecutionARN string    `json:"execution_arn,omitempty"`
	At           time.Time `json:"at,omitzero"`
	// Own: the name follows from the attempt, so that the execution is nobody else's.
	Own bool `json:"own,omitempty"`
	// Attached: the execution is that of the previous try, which still ran.
	Attached bool `json:"attached,omitempty"`
	// Redrive: the execution is redriven, and its end is one of at least Redrives redrives.
	Redrive  bool  `json:"redrive,omitempty"`
	Redrives int32 `json:"redrives,omitempty"`
}

// skew is how far the clocks of this machine and of Step Functions may differ.
const skew = time.Minute

// since reports whether something that Step Functions dates may have happened after the record was written.
func (r record) since(at *time.Time) bool { return at != nil && !at.Before(r.At.Add(-skew)) }

// pullRecord returns the record of this very attempt; false when it has pushed none.
func pullRecord(ctx context.Context, t operators.Task) (record, bool, error) {
	raw, ok, err := t.XComPull(ctx, "", keyRecord)
	if err != nil || !ok {
		return record{}, false, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, false, fmt.Errorf("XCom %s of this task: %w", keyRecord, err)
	}
	return r, true, nil
}

// previousRecord is what the previous try was about to do last, and the ARN that an earlier try has come to know last.
// They differ when the previous try was interrupted in between. Each may be missing.
func previousRecord(ctx context.Context, t operators.Task) (rec record, arn string, err error) {
	raw, ok, err := t.PreviousXCom(ctx, keyRecord)
	if err != nil {
		return record{}, "", err
	}
	if ok {
		if err := json.Unmarshal(raw, &rec); err != nil {
			return record{}, "", fmt.Errorf("XCom %s of the previous try: %w", keyRecord, err)
		}
	}
	raw, _, err = t.PreviousXCom(ctx, keyARN)
	return rec, operators.Text(raw), err
}

// execution returns the ARN of this attempt's execution: the one it started before a crash, that of the previous try if
// it still runs, one that is redriven, or a new one.
func (w *start) execution(ctx context.Context, afresh bool) (string, error) {
	rec, recorded, err := pullRecord(ctx, w.t)
	if err != nil {
		return "", err
	}
	recorded = recorded && rec.ExecutionARN != ""
	w.redrives = rec.Redrives
	arn, err := operators.PullText(ctx, w.t, keyARN)
	if err != nil {
		return "", err
	}
	if arn == "" && rec.Attached {
		arn = rec.ExecutionARN
	}
	if arn != "" {
		w.t.Log().Info("This attempt was interrupted; going on with its execution " + arn)
		return arn, nil
	}
	if !recorded && !afresh {
		if arn, err = w.previous(ctx); err != nil || arn != "" {
			return arn, err
		}
	}
	if w.input != nil && (rec.Redrive || bool(w.IsRedriveExecution)) {
		w.t.Log().Warn("state_machine_input is ignored: a redriven execution keeps its input")
	}
	switch {
	case rec.Redrive:
		return w.redrive(ctx, rec.ExecutionARN, rec, true)
	case bool(w.IsRedriveExecution):
		return w.redrive(ctx, w.machine.Execution(*w.Name), rec, false)
	}
	return w.start(ctx, rec, recorded, afresh)
}

// previous looks at the executions of earlier tries. It returns the ARN of the one that this attempt goes on with.
func (w *start) previous(ctx context.Context) (string, error) {
	records, err := earlier(ctx, w.t)
	if err != nil {
		return "", err
	}
	for _, rec := range records {
		if !w.machine.Runs(rec.ExecutionARN) {
			continue
		}
		d, err := w.settled(ctx, rec)
		if err == nil {
			return w.follow(ctx, rec, d)
		}
		var missing *types.ExecutionDoesNotExist
		if errors.As(err, &missing) {
			continue
		}
		if ctx.Err() != nil || awsconn.TroubleOf(err) != awsconn.Final {
			return "", fmt.Errorf("looking at the execution of the previous try: %w", err)
		}
		w.t.Log().Warn("the execution of the previous try cannot be looked at; starting a new one: " + err.Error())
	}
	return "", nil
}

// earlier are the executions that earlier tries have started, as far as they came to know, latest first: the one that the
// last of them was about to start, unless it may be somebody else's, and the one that was known last.
func earlier(ctx context.Context, t operators.Task) ([]record, error) {
	rec, arn, err := previousRecord(ctx, t)
	if err != nil {
		return nil, err
	}
	var records []record
	if rec.ExecutionARN != "" && (rec.Own || rec.Attached || rec.ExecutionARN == arn) {
		records = append(records, rec)
	}
	if arn != "" && arn != rec.ExecutionARN {
		records = append(records, record{ExecutionARN: arn})
	}
	return records, nil
}

// follow decides what to do about an execution of the previous try.
func (w *start) follow(ctx context.Context, rec record, d *sfn.DescribeExecutionOutput) (string, error) {
	arn := rec.ExecutionARN
	switch d.Status {
	case types.ExecutionStatusRunning, types.ExecutionStatusPendingRedrive:
		if !w.waits() {
			return "", nil
		}
		w.started = aws.ToTime(d.StartDate)
		w.t.Log().Info("The execution of the previous try still runs; waiting for it: " + arn)
		w.redrives = rec.Redrives
		own := record{ExecutionARN: arn, At: w.t.Now(), Attached: true, Redrives: rec.Redrives}
		return arn, w.t.XComPush(ctx, keyRecord, own)
	case types.ExecutionStatusSucceeded:
		return "", nil
	}
	if w.RetryMode != retryRedrive {
		return "", nil
	}
	return w.redrive(ctx, arn, record{Own: rec.Own || rec.Attached}, false)
}

func (j *job) describe(ctx context.Context, arn string) (d *sfn.DescribeExecutionOutput, err error) {
	err = j.family.repeat(ctx, j.t, "DescribeExecution", func() error {
		d, err = stepfunctions.Describe(ctx, j.api, arn)
		return err
	})
	return d, err
}

// errUnsettled: what DescribeExecution says may be older than the record.
var errUnsettled = errors.New("the execution is not described as it is now")

// longestStart is how long after its record the call may have been repeated that starts an execution, or redrives it.
const longestStart = 5 * time.Minute

// settled describes the execution of a record. DescribeExecution is eventually consistent: what was done a moment ago it
// may not show yet, and then it is asked again.
func (j *job) settled(ctx context.Context, rec record) (d *sfn.DescribeExecutionOutput, err error) {
	began := j.t.Now()
	young := func(err error) bool {
		var missing *types.ExecutionDoesNotExist
		now := j.t.Now()
		early := now.Sub(rec.At) < longestStart+stepfunctions.Settle && now.Sub(began) < stepfunctions.Settle
		return early && (errors.As(err, &missing) || errors.Is(err, errUnsettled))
	}
	err = j.family.Backoff.Repeat(ctx, j.t.Log(), "DescribeExecution", young, func() error {
		d, err = stepfunctions.Describe(ctx, j.api, rec.ExecutionARN)
		if err == nil && rec.Redrive && aws.ToInt32(d.RedriveCount) < rec.Redrives {
			return errUnsettled
		}
		return err
	})
	if errors.Is(err, errUnsettled) { // it was not redriven, or not by this record's try
		return d, nil
	}
	return d, err
}

// start calls StartExecution.
func (w *start) start(ctx context.Context, rec record, recorded, afresh bool) (string, error) {
	name := rec.Name
	if !recorded {
		switch {
		case w.Name != nil:
			name = *w.Name
		case afresh:
			name = deriveName(w.t, "afresh")
		default:
			name = deriveName(w.t, "")
		}
		rec = record{Name: name, ExecutionARN: w.machine.Execution(name), At: w.t.Now(), Own: w.Name == nil}
		if err := w.t.XComPush(ctx, keyRecord, rec); err != nil {
			return "", err
		}
	}
	w.t.Log().Info("Executing Step Function State Machine: " + w.StateMachineARN)
	var out *sfn.StartExecutionOutput
	err := w.deps.repeat(ctx, w.t, "StartExecution", func() (err error) {
		out, err = w.api.StartExecution(ctx, &sfn.StartExecutionInput{
			StateMachineArn: aws.String(w.StateMachineARN), Name: aws.String(name), Input: w.input,
		})
		return err
	})
	var exists *types.ExecutionAlreadyExists
	if errors.As(err, &exists) {
		return w.adopt(ctx, name, rec, recorded, err)
	}
	if err != nil {
		return "", w.explained(ctx, err)
	}
	arn := aws.ToString(out.ExecutionArn)
	if arn == "" {
		return "", fmt.Errorf("Failed to start State Machine execution for: %s", w.StateMachineARN)
	}
	w.started = aws.ToTime(out.StartDate)
	w.t.Log().Info(fmt.Sprintf("Started State Machine execution for %s: %s", w.StateMachineARN, arn))
	return arn, nil
}

// adopt decides about an execution that has the name already. It is this attempt's own when the name was made from the
// attempt, or when the attempt wrote down that it was about to start it; a foreign one is taken over while it runs with
// the same input, which is what Step Functions itself does when the inputs are equal byte by byte.
func (w *start) adopt(ctx context.Context, name string, rec record, recorded bool, exists error) (string, error) {
	arn := w.machine.Execution(name)
	d, err := w.describe(ctx, arn)
	if err != nil {
		return "", errors.Join(exists, err)
	}
	running := d.Status == types.ExecutionStatusRunning || d.Status == types.ExecutionStatusPendingRedrive
	same := sameJSON(d.Input, w.input)
	own := w.Name == nil || (recorded && rec.since(d.StartDate))
	switch {
	case own && !same:
		w.t.Log().Warn("This attempt started its execution before it was interrupted, with another input: " + arn)
	case own:
		w.t.Log().Info("This attempt started its execution before it was interrupted: " + arn)
	case running && same:
		w.t.Log().Info("An execution of this name runs already with the same input; going on with it: " + arn)
	default:
		return "", w.taken(name, arn, d, running, exists)
	}
	w.started = aws.ToTime(d.StartDate)
	return arn, nil
}

func (w *start) taken(name, arn string, d *sfn.DescribeExecutionOutput, running bool, exists error) error {
	written := name
	if spec := w.t.Spec(); spec != nil {
		if raw, ok := spec.Params["name"].(string); ok {
			written = raw
		}
	}
	why := "Step Functions keeps a name for 90 days after the execution ended"
	if running {
		why = "it runs with another input"
	}
	err := fmt.Errorf("the name %q is taken by execution %s (%s): %s; make the name different for each run and try, "+
		"for example name: \"%s-{{ ts_nodash }}-{{ ti.try_number }}\", or leave it out: %w",
		name, arn, d.Status, why, written, exists)
	if !strings.Contains(written, "{{") && !strings.Contains(written, "{%") {
		return operators.Fail(err) // a retry would meet the same name
	}
	return err
}

// redrive calls RedriveExecution, unless this attempt has done so before it was interrupted.
func (j *job) redrive(ctx context.Context, arn string, rec record, recorded bool) (string, error) {
	d, err := j.describe(ctx, arn)
	if err != nil {
		var missing *types.ExecutionDoesNotExist
		if errors.As(err, &missing) {
			return "", operators.Fail(err)
		}
		return "", err
	}
	// Redrives are counted; their dates are those of another clock.
	done := func() bool { return rec.Redrives > 0 && aws.ToInt32(d.RedriveCount) >= rec.Redrives }
	if recorded && (d.Status == types.ExecutionStatusRunning || done()) {
		j.t.Log().Info("This attempt was interrupted; going on with the execution it redrove: " + arn)
		return arn, nil
	}
	if !recorded {
		rec = record{
			ExecutionARN: arn, At: j.t.Now(), Own: rec.Own, Redrive: true, Redrives: aws.ToInt32(d.RedriveCount) + 1,
		}
		if err := j.t.XComPush(ctx, keyRecord, rec); err != nil {
			return "", err
		}
	}
	j.redrives = rec.Redrives
	token := sha256.Sum256([]byte(j.t.Attempt().String() + "\x00" + arn))
	err = j.family.repeat(ctx, j.t, "RedriveExecution "+arn, func() error {
		_, err := j.api.RedriveExecution(ctx, &sfn.RedriveExecutionInput{
			ExecutionArn: aws.String(arn), ClientToken: aws.String(hex.EncodeToString(token[:16])),
		})
		return err
	})
	var refused *types.ExecutionNotRedrivable
	if errors.As(err, &refused) {
		if d, err = j.describe(ctx, arn); err == nil && done() { // the answer to an earlier request was lost
			return arn, nil
		}
		return "", operators.Failf("execution %s cannot be redriven: %w; StepFunctionStartExecutionOperator "+
			"with retry_mode: new and is_redrive_execution: false starts a new one", arn, refused)
	}
	if err != nil {
		return "", err
	}
	j.t.Log().Info("Redrove State Machine execution " + arn)
	return arn, nil
}
