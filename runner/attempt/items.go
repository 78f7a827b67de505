package attempt

import "context"

// WithItems lays a mapped instance's items over its parameters, for showing them; those of other tasks stay as they are.
func (h *Handle) WithItems(ctx context.Context, params map[string]any) (map[string]any, error) {
	return h.mapped(ctx, params)
}
