package stepfunctions

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"gust/stepfunctions/journal"
	"gust/stepfunctions/server"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		return server.Errorf("TooManyTags", "A resource can have at most %d tags", maxTags)
	}
	for _, t := range tags {
		var v violations
		v.length("tags.member.key", t.Key, 1, 128)
		v.length("tags.member.value", t.Value, 0, 256)
		if err := v.err(); err != nil {
			return err
		}
		if strings.HasPrefix(t.Key, "aws:") {
			return server.Errorf("ValidationException", "Tag keys must not start with 'aws:': '%s'", t.Key)
		}
	}
	return nil
}

type tagInput struct {
	ResourceArn *string  `json:"resourceArn"`
	Tags        []tag    `json:"tags"`
	TagKeys     []string `json:"tagKeys"`
}

type tagsOutput struct {
	Tags []tag `json:"tags"`
}

// tagged finds a machine and its tags.
func (s *Service) tagged(r request, text *string) (*journal.Machine, []tag, error) {
	var v violations
	v.required("resourceArn", text != nil)
	if err := v.err(); err != nil {
		return nil, nil, err
	}
	if _, err := parseARN(*text, "stateMachine"); err != nil {
		return nil, nil, err
	}
	m, err := s.journal.MachineGet(r.ctx, *text)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, nil, &server.Error{Code: "ResourceNotFound", Message: "Resource not found: '" + *text + "'",
			Fields: map[string]string{"resourceName": *text}}
	}
	if err != nil {
		return nil, nil, err
	}
	tags := []tag{}
	if err := json.Unmarshal([]byte(m.Tags), &tags); err != nil {
		return nil, nil, err
	}
	return m, tags, nil
}

func (s *Service) storeTags(m *journal.Machine, tags []tag) (*empty, error) {
	data, err := encode(tags)
	if err != nil {
		return nil, err
	}
	return &empty{}, s.journal.MachineTagsSet(m.ID, string(data))
}

func (s *Service) tagResource(r request, in *tagInput) (*empty, error) {
	m, tags, err := s.tagged(r, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		tags = append(slices.DeleteFunc(tags, func(old tag) bool { return old.Key == t.Key }), t)
	}
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	return s.storeTags(m, tags)
}

func (s *Service) untagResource(r request, in *tagInput) (*empty, error) {
	m, tags, err := s.tagged(r, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return s.storeTags(m, slices.DeleteFunc(tags, func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) }))
}

func (s *Service) listTags(r request, in *tagInput) (*tagsOutput, error) {
	_, tags, err := s.tagged(r, in.ResourceArn)
	if tags == nil {
		tags = []tag{}
	}
	return &tagsOutput{Tags: tags}, err
}
