package operators

import (
	"context"
	"encoding/json"
)

// PullText returns a text that this very attempt has pushed, also before a crash or a deferral; "" when there is none.
func PullText(ctx context.Context, t Task, key string) (string, error) {
	raw, ok, err := t.XComPull(ctx, "", key)
	if err != nil || !ok {
		return "", err
	}
	return Text(raw), nil
}

// Text reads a JSON string; anything else is "".
func Text(raw json.RawMessage) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return ""
	}
	return s
}
