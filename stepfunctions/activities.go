package stepfunctions

import (
	"encoding/json"
	"errors"
	"time"

	"gust/stepfunctions/interp"
	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

type createActivityInput struct {
	Name                    *string         `json:"name"`
	Tags                    []tag           `json:"tags"`
	EncryptionConfiguration json.RawMessage `json:"encryptionConfiguration"`
}

type createActivityOutput struct {
	ActivityArn  string `json:"activityArn"`
	CreationDate epoch  `json:"creationDate"`
}

func (s *Service) createActivity(r request, in *createActivityInput) (*createActivityOutput, error) {
	var v violations
	v.text("name", in.Name, 1, maxName)
	checkTagLengths(&v, in.Tags)
	settings := checkEncryption(&v, in.EncryptionConfiguration)
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := checkName(*in.Name); err != nil {
		return nil, err
	}
	if settings != nil {
		return nil, settings
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	tags, err := encode(mergeTags(nil, in.Tags))
	if err != nil {
		return nil, err
	}
	a := &journal.Activity{
		ARN: makeARN(r.region, s.config.AccountID, "activity", *in.Name), Name: *in.Name, Region: r.region, Created: s.now(),
		Tags: string(tags), Encryption: orJSON(in.EncryptionConfiguration, defaultEncryption),
	}
	created, err := s.journal.ActivityCreate(a)
	if err != nil {
		return nil, err
	}
	if !created {
		old, err := s.journal.ActivityGet(r.ctx, a.ARN)
		if err != nil {
			return nil, err
		}
		// Like at AWS, the tags do not count.
		if old.Encryption != a.Encryption {
			return nil, server.Errorf("ActivityAlreadyExists", "Activity Already Exists: '%s'", a.ARN)
		}
		a = old
	}
	s.engine.hub.register(a.ARN)
	return &createActivityOutput{a.ARN, epoch(a.Created)}, nil
}

type activityInput struct {
	ActivityArn *string `json:"activityArn"`
	WorkerName  *string `json:"workerName"`
}

// activity finds an activity by its ARN.
func (s *Service) activity(r request, text string) (*journal.Activity, error) {
	if _, err := parseARN(text, "activity"); err != nil {
		return nil, err
	}
	a, err := s.journal.ActivityGet(r.ctx, text)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, server.Errorf("ActivityDoesNotExist", "Activity Does Not Exist: '%s'", text)
	}
	return a, err
}

type describeActivityOutput struct {
	ActivityArn             string          `json:"activityArn"`
	Name                    string          `json:"name"`
	CreationDate            epoch           `json:"creationDate"`
	EncryptionConfiguration json.RawMessage `json:"encryptionConfiguration"`
}

func (s *Service) describeActivity(r request, in *activityInput) (*describeActivityOutput, error) {
	if err := requiredARN("activityArn", in.ActivityArn, maxARN); err != nil {
		return nil, err
	}
	a, err := s.activity(r, *in.ActivityArn)
	if err != nil {
		return nil, err
	}
	return &describeActivityOutput{a.ARN, a.Name, epoch(a.Created), json.RawMessage(a.Encryption)}, nil
}

func (s *Service) deleteActivity(_ request, in *activityInput) (*empty, error) {
	if err := requiredARN("activityArn", in.ActivityArn, maxARN); err != nil {
		return nil, err
	}
	if _, err := parseARN(*in.ActivityArn, "activity"); err != nil {
		return nil, err
	}
	if err := s.journal.ActivityDelete(*in.ActivityArn); err != nil {
		return nil, err
	}
	s.engine.hub.unregister(*in.ActivityArn)
	return &empty{}, nil
}

type activityItem struct {
	ActivityArn  string `json:"activityArn"`
	Name         string `json:"name"`
	CreationDate epoch  `json:"creationDate"`
}

type listActivitiesOutput struct {
	Activities []activityItem `json:"activities"`
	NextToken  string         `json:"nextToken,omitempty"`
}

func (s *Service) listActivities(r request, in *pageInput) (*listActivitiesOutput, error) {
	var v violations
	size := in.check(&v, maxShortToken)
	if err := v.err(); err != nil {
		return nil, err
	}
	of := listing("activities", r.region)
	t, err := s.parseToken(in.NextToken, of)
	if err != nil {
		return nil, err
	}
	list, err := s.journal.ActivityList(r.ctx, r.region, t.Name, size+1)
	if err != nil {
		return nil, err
	}
	out := &listActivitiesOutput{Activities: []activityItem{}}
	for i, a := range list {
		if i == size {
			out.NextToken = s.token(pageToken{Of: of, Name: list[i-1].Name})
			break
		}
		out.Activities = append(out.Activities, activityItem{a.ARN, a.Name, epoch(a.Created)})
	}
	return out, nil
}

type getActivityTaskOutput struct {
	TaskToken *string `json:"taskToken,omitempty"`
	Input     *string `json:"input,omitempty"`
}

// getActivityTask gives a worker the oldest task of an activity. It waits for one for a minute; the answer without a
// task has no members.
func (s *Service) getActivityTask(r request, in *activityInput) (*getActivityTaskOutput, error) {
	var v violations
	v.text("activityArn", in.ActivityArn, 1, maxARN)
	v.length("workerName", in.WorkerName, 1, maxName)
	if err := v.err(); err != nil {
		return nil, err
	}
	a, err := s.activity(r, *in.ActivityArn)
	if err != nil {
		return nil, err
	}
	if in.WorkerName != nil {
		if err := checkName(*in.WorkerName); err != nil {
			return nil, err
		}
	}
	timeout := time.NewTimer(pollTime)
	defer timeout.Stop()
	for {
		ref, p, full := s.engine.hub.take(a.ARN)
		if full {
			return nil, server.Errorf("ActivityWorkerLimitExceeded", "Activity Worker Limit Exceeded: '%s'", a.ARN)
		}
		if p != nil {
			var ok bool
			if ref, ok = s.engine.wait(r, a.ARN, p, timeout.C); !ok {
				return &getActivityTaskOutput{}, nil
			}
		}
		out, err := s.engine.fetch(a.ARN, ref, orText(in.WorkerName, ""))
		if err != nil || out != nil {
			return out, err
		}
		// The task timed out or was cancelled in the same moment: the next one will do.
	}
}

// wait parks a request until there is a task for it, its time is over, or nobody waits for its answer any more.
func (e *engine) wait(r request, arn string, p *poller, timeout <-chan time.Time) (ref taskRef, ok bool) {
	select {
	case ref = <-p.task:
		return ref, true
	case <-timeout:
	case <-r.ctx.Done():
	case <-e.ctx.Done():
	}
	e.hub.leave(arn, p)
	return ref, false
}

// fetch starts a task for a worker. Both results are nil when the task has ended.
func (e *engine) fetch(arn string, ref taskRef, worker string) (*getActivityTaskOutput, error) {
	var task interp.Task
	_, err := e.do(ref.execution, item{
		event:    interp.TaskStarted{ID: ref.task, Worker: worker},
		withdraw: ref.task,
		check: func(l *live) error {
			found, ok := l.x.TaskByID(ref.task)
			if !ok || found.Started {
				return errTaskClosed
			}
			task = found
			return nil
		},
	})
	switch {
	case errors.Is(err, errTaskClosed), errors.Is(err, errEnded), errors.Is(err, journal.ErrNotFound):
		return nil, nil
	case err != nil:
		e.hub.giveBack(arn, ref)
		return nil, err
	}
	return &getActivityTaskOutput{&task.Token, &task.Input}, nil
}
