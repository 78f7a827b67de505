package attempt

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gust/dag"
	"gust/store"
)

// DefaultXComMaxBytes is the largest XCom value unless the configuration says otherwise: 1 MiB of JSON.
const DefaultXComMaxBytes = 1 << 20

// ReturnValue is the XCom key of an operator's return value.
const ReturnValue = dag.ReturnValue

// XComSizeError says that a value is too large to be exchanged between tasks.
type XComSizeError struct {
	Key         string
	Size, Limit int // bytes of JSON
}

func (e *XComSizeError) Error() string {
	return fmt.Sprintf("XCom %q is too large: %d bytes of JSON, the limit is %d ([core] xcom_max_bytes); "+
		"keep the data in a file or bucket and push its address, push less, or raise the limit", e.Key, e.Size, e.Limit)
}

func (h *Handle) encode(key string, value any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("XCom %q: a value of type %T cannot be stored as JSON: %w", key, value, err)
	}
	raw := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	limit := h.env.XComMaxBytes
	if limit <= 0 {
		limit = DefaultXComMaxBytes
	}
	if len(raw) > limit {
		return nil, &XComSizeError{Key: key, Size: len(raw), Limit: limit}
	}
	return raw, nil
}

func (h *Handle) xcom(key string, raw json.RawMessage) store.XCom {
	return store.XCom{Key: h.work.Instance.Key, Name: key, Try: h.work.Instance.TryNumber, Value: raw, At: h.Now()}
}

// returned lists the XComs of a return value: none for null or with do_xcom_push: false, and with multiple_outputs one
// for each key beside the whole.
func (h *Handle) returned(value any) ([]store.XCom, error) {
	task := h.work.Task
	if value == nil || !task.DoXComPush {
		return nil, nil
	}
	raw, err := h.encode(ReturnValue, value)
	if err != nil {
		return nil, err
	}
	if string(raw) == "null" {
		return nil, nil
	}
	if !task.MultipleOutputs {
		return []store.XCom{h.xcom(ReturnValue, raw)}, nil
	}
	var xcoms []store.XCom
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("multiple_outputs: the task returned %s; expected an object (dict) whose keys are pushed "+
			"one by one", jsonKind(raw))
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("multiple_outputs: %w", err)
		}
		var item json.RawMessage
		if err := dec.Decode(&item); err != nil {
			return nil, fmt.Errorf("multiple_outputs: %w", err)
		}
		xcoms = append(xcoms, h.xcom(key.(string), item)) // an object's key token is a string
	}
	return append(xcoms, h.xcom(ReturnValue, raw)), nil
}

func jsonKind(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '[':
		return "a list"
	case 't', 'f':
		return "a bool"
	}
	return "a number"
}
