package attempt

import (
	"context"
	"fmt"
	"strings"

	"gust/internal/param"
	"gust/operators"
)

// Renderer renders the templated parameters of an attempt. It returns params unchanged when none holds a template, and
// never changes the map or what is in it. Its errors name the parameter and the position in the template.
type Renderer interface {
	RenderParams(ctx context.Context, h *Handle, schema *param.Schema, params map[string]any) (map[string]any, error)
}

// TextRenderer is a Renderer that also renders a text by itself, as map_index_template is one.
type TextRenderer interface {
	RenderText(ctx context.Context, h *Handle, text string) (string, error)
}

// Operator makes the task's operator: the parameters are rendered, decoded strictly and checked.
func (h *Handle) Operator(ctx context.Context) (operators.Operator, *operators.Spec, error) {
	task := h.work.Task
	spec, ok := h.env.Operators.Lookup(task.Operator)
	if !ok {
		err := fmt.Errorf("task %q: this binary has no operator %q", task.ID, task.Operator)
		if near := h.env.Operators.Nearest(task.Operator); near != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		return nil, nil, err
	}
	op := spec.New()
	schema, err := param.Of(op)
	if err != nil {
		return nil, nil, fmt.Errorf("task %q: %w", task.ID, err)
	}
	params := task.Params
	if h.env.Renderer != nil && len(params) > 0 {
		if params, err = h.env.Renderer.RenderParams(ctx, h, schema, params); err != nil {
			return nil, nil, fmt.Errorf("task %q: %w", task.ID, err)
		}
	}
	if params, err = h.mapped(ctx, params); err != nil {
		return nil, nil, fmt.Errorf("task %q: %w", task.ID, err)
	}
	h.mu.Lock()
	h.rendered = params
	h.mu.Unlock()
	if errs := schema.Decode(op, params, false); len(errs) > 0 {
		return nil, nil, decodeError(task.ID, errs)
	}
	if v, ok := op.(operators.Validator); ok {
		if err := v.Validate(); err != nil {
			return nil, nil, fmt.Errorf("task %q: %w", task.ID, err)
		}
	}
	return op, spec, nil
}

func decodeError(taskID string, errs []*param.Error) error {
	lines := make([]string, len(errs))
	for i, e := range errs {
		lines[i] = e.Error()
		if len(e.Path) > 0 {
			lines[i] = "parameter " + lines[i]
		}
	}
	return fmt.Errorf("task %q: %s", taskID, strings.Join(lines, "; "))
}
