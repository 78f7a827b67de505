package stepfunctions

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

type tag struct {
	Key   *string `json:"key"`
	Value *string `json:"value"`
}

// checkTagLengths checks the constraints of tags.
func checkTagLengths(v *violations, tags []tag) {
	for i, t := range tags {
		field := fmt.Sprintf("tags.%d.member.", i+1)
		v.length(field+"key", t.Key, 1, 128)
		v.length(field+"value", t.Value, 0, 256)
	}
}

// checkTags checks what tags say and how many there are.
func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		return server.Errorf("TooManyTags", "A resource can have at most %d tags", maxTags)
	}
	for _, t := range tags {
		if strings.HasPrefix(orText(t.Key, ""), "aws:") {
			return server.Errorf("ValidationException", "Tag keys must not start with 'aws:': '%s'", *t.Key)
		}
	}
	return nil
}

// mergeTags sets tags over those that exist. A key that is named twice gets its last value.
func mergeTags(tags, set []tag) []tag {
	merged := append([]tag{}, tags...)
	for _, t := range set {
		i := slices.IndexFunc(merged, func(old tag) bool { return orText(old.Key, "") == orText(t.Key, "") })
		if i < 0 {
			merged = append(merged, t)
		} else {
			merged[i] = t
		}
	}
	return merged
}

type tagInput struct {
	ResourceArn *string  `json:"resourceArn"`
	Tags        []tag    `json:"tags"`
	TagKeys     []string `json:"tagKeys"`
}

type tagsOutput struct {
	Tags []tag `json:"tags"`
}

// tagged is a machine or activity with its tags.
type tagged struct {
	tags  []tag
	store func(tags string) error
}

func (s *Service) tagged(r request, text string) (*tagged, error) {
	a, err := parseARN(text, "stateMachine", "activity")
	if err != nil {
		return nil, err
	}
	t, stored := &tagged{}, ""
	if a.kind == "activity" {
		var activity *journal.Activity
		if activity, err = s.journal.ActivityGet(r.ctx, text); err == nil {
			stored = activity.Tags
			t.store = func(tags string) error { return s.journal.ActivityTagsSet(text, tags) }
		}
	} else {
		var m *journal.Machine
		if m, err = s.journal.MachineGet(r.ctx, text); err == nil {
			stored = m.Tags
			t.store = func(tags string) error { return s.journal.MachineTagsSet(m.ID, tags) }
		}
	}
	if errors.Is(err, journal.ErrNotFound) {
		return nil, &server.Error{Code: "ResourceNotFound", Message: "Resource not found: '" + text + "'",
			Fields: map[string]string{"resourceName": text}}
	}
	if err != nil {
		return nil, err
	}
	return t, json.Unmarshal([]byte(stored), &t.tags)
}

func (t *tagged) set(tags []tag) (*empty, error) {
	data, err := encode(tags)
	if err != nil {
		return nil, err
	}
	return &empty{}, t.store(string(data))
}

func (s *Service) tagResource(r request, in *tagInput) (*empty, error) {
	var v violations
	v.text("resourceArn", in.ResourceArn, 1, maxARN)
	v.required("tags", in.Tags != nil)
	checkTagLengths(&v, in.Tags)
	if err := v.err(); err != nil {
		return nil, err
	}
	t, err := s.tagged(r, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := mergeTags(t.tags, in.Tags)
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	return t.set(tags)
}

func (s *Service) untagResource(r request, in *tagInput) (*empty, error) {
	var v violations
	v.text("resourceArn", in.ResourceArn, 1, maxARN)
	v.required("tagKeys", in.TagKeys != nil)
	for i := range in.TagKeys {
		v.length(fmt.Sprintf("tagKeys.%d.member", i+1), &in.TagKeys[i], 1, 128)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	t, err := s.tagged(r, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return t.set(slices.DeleteFunc(t.tags, func(t tag) bool { return slices.Contains(in.TagKeys, orText(t.Key, "")) }))
}

func (s *Service) listTags(r request, in *tagInput) (*tagsOutput, error) {
	if err := requiredARN("resourceArn", in.ResourceArn, maxARN); err != nil {
		return nil, err
	}
	t, err := s.tagged(r, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &tagsOutput{Tags: append([]tag{}, t.tags...)}, nil
}
