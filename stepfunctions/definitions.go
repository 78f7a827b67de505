package stepfunctions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gust/stepfunctions/arns"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/journal"
)

// definitionSuffix ends the names of state machine files.
const definitionSuffix = ".asl.json"

// Reload reads StateMachinesDir: every *.asl.json file becomes a state machine of that name, or its new revision when
// the definition changed. A machine whose file is gone stays. All files are tried; the error joins what went wrong,
// with file, line and column.
func (s *Service) Reload(ctx context.Context) error {
	if s.config.StateMachinesDir == "" {
		return nil
	}
	entries, err := os.ReadDir(s.config.StateMachinesDir)
	if err != nil {
		return fmt.Errorf("read the folder of state machines: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), definitionSuffix)
		if !ok || entry.IsDir() {
			continue
		}
		if err := s.loadFile(ctx, name, filepath.Join(s.config.StateMachinesDir, entry.Name())); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (s *Service) loadFile(ctx context.Context, name, path string) error {
	data, err := os.ReadFile(path) //nolint:gosec // a folder the user configured
	if err != nil {
		return err
	}
	definition := string(data)
	if _, found := asl.Parse(definition); len(found.Errors()) > 0 {
		problems := make([]error, 0, len(found))
		for _, d := range found.Errors() {
			text := d.String()
			if d.Hint != "" {
				text += fmt.Sprintf(" (did you mean %q?)", d.Hint)
			}
			problems = append(problems, fmt.Errorf("%s:%d:%d: %s", path, d.Line, d.Column, text))
		}
		return errors.Join(problems...)
	}
	if _, err := checkDefinition(definition, typeStandard); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := request{ctx: ctx, region: s.config.Region}
	arn := arns.Make(r.region, s.config.AccountID, "stateMachine", name)
	m, err := s.journal.MachineGet(ctx, arn)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		role := fmt.Sprintf("arn:%s:iam::%s:role/gust-local", arns.Partition(r.region), s.config.AccountID)
		_, err = s.createStateMachine(r, &createStateMachineInput{Name: &name, Definition: &definition, RoleArn: &role})
	case err == nil:
		next := m.Revision
		next.Definition = definition
		_, err = s.revise(m, next)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
