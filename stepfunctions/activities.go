package stepfunctions

import (
	"encoding/json"
	"errors"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/engine"
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
	encryption, err := orJSON[encryptionConfiguration](in.EncryptionConfiguration, defaultEncryption)
	if err != nil {
		return nil, err
	}
	a := &journal.Activity{
		ARN: arns.Make(r.region, s.config.AccountID, "activity", *in.Name), Name: *in.Name, Region: r.region, Created: s.now(),
		Tags: string(tags), Encryption: encryption,
	}
	created, err := s.journal.ActivityCreate(a, maxActivities)
	if errors.Is(err, journal.ErrTooMany) {
		return nil, server.Errorf("ActivityLimitExceeded", "The maximum number of activities, %d, is reached", maxActivities)
	}
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
	s.engine.RegisterActivity(a.ARN)
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
	s.engine.UnregisterActivity(*in.ActivityArn)
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

// getActivityTask gives a worker the oldest task of an activity.
func (s *Service) getActivityTask(r request, in *activityInput) (*engine.WorkerTask, error) {
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
	return s.engine.Poll(r.ctx, a.ARN, orText(in.WorkerName, ""))
}
