package dag

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// ContentVersion is the hash of the DAG's content: everything but Version itself and the line numbers, which move when
// a comment is added. Loaders store it in Version.
func (d *DAG) ContentVersion() (string, error) {
	plain := *d
	plain.Version, plain.Line, plain.byID = "", 0, nil
	plain.Tasks = make([]*Task, len(d.Tasks))
	copies := make([]Task, len(d.Tasks))
	for i, t := range d.Tasks {
		copies[i] = *t
		copies[i].Line = 0
		plain.Tasks[i] = &copies[i]
	}
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(&plain); err != nil {
		return "", fmt.Errorf("hash dag %s: %w", d.ID, err)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// UnmarshalJSON reads a task so that numbers in Params keep their value: integers are int64 (json.Number beyond its
// range), everything else is float64, exactly as the loader of pipeline files leaves them.
func (t *Task) UnmarshalJSON(raw []byte) error {
	type plain Task // without this method
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode((*plain)(t)); err != nil {
		return fmt.Errorf("task: %w", err)
	}
	for name, value := range t.Params {
		t.Params[name] = exactNumbers(value)
	}
	return nil
}

// DecodeJSON reads one JSON value as Params hold it: integers are int64 (json.Number beyond its range), other numbers
// float64.
func DecodeJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	return exactNumbers(value), nil
}

func exactNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if !bytes.ContainsAny([]byte(v), ".eE") {
			return v
		}
		f, err := v.Float64()
		if err != nil {
			return v
		}
		return f
	case []any:
		for i := range v {
			v[i] = exactNumbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = exactNumbers(v[key])
		}
	}
	return value
}
