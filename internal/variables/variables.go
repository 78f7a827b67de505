// Package variables reads and keeps Airflow variables: texts under a key, from GUST_VAR_<KEY>, AIRFLOW_VAR_<KEY> or the
// database, where they are encrypted.
package variables

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"gust/internal/param"
)

// ErrNotFound is returned by Rows when there is no such row.
var ErrNotFound = errors.New("not found")

// Row is a variable at rest; Value is encrypted when Encrypted is set.
type Row struct {
	Key, Value, Description string
	Encrypted               bool
}

// Rows is the part of the store that keeps variables.
type Rows interface {
	// VariableGet returns the row or ErrNotFound.
	VariableGet(ctx context.Context, key string) (*Row, error)
	VariableList(ctx context.Context) ([]Row, error)
	// VariableSet inserts or replaces.
	VariableSet(ctx context.Context, row *Row) error
	// VariableDelete removes the row or returns ErrNotFound.
	VariableDelete(ctx context.Context, key string) error
}

// Sealer encrypts values at rest (connections.Keyring).
type Sealer interface {
	Seal(plain string) (string, error)
	Open(sealed string) (string, error)
	Rotate(sealed string) (string, error)
}

// Masker learns the values under sensitive names, so that logs do not show them (connections.Masker).
type Masker interface{ AddNamed(name string, value any) }

// Options are the parts of Variables. Rows and Sealer are required; a nil Masker masks nothing, a nil Lookup is
// os.LookupEnv, a nil Environ os.Environ.
type Options struct {
	Rows    Rows
	Sealer  Sealer
	Masker  Masker
	Lookup  func(string) (string, bool)
	Environ func() []string
}

// Variables is safe for concurrent use if its parts are.
type Variables struct{ Options }

// New returns the variables.
func New(o Options) *Variables {
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	if o.Environ == nil {
		o.Environ = os.Environ
	}
	return &Variables{Options: o}
}

// NotFoundError says that a variable is defined nowhere (Airflow: KeyError "Variable KEY does not exist").
type NotFoundError struct {
	Key     string
	Nearest string // the defined key that was probably meant, or ""
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("Variable %s does not exist", e.Key)
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return text + fmt.Sprintf("; define it with GUST_VAR_%s or with `gust variables set %s VALUE`",
		strings.ToUpper(e.Key), e.Key)
}

// Sources of variables, as in Entry.Source.
const (
	SourceEnvironment = "environment"
	SourceDatabase    = "database"
)

var prefixes = [...]string{"GUST_VAR_", "AIRFLOW_VAR_"}

// maxKey is the longest key, in bytes, as in Airflow.
const maxKey = 250

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("a variable's key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("the variable key %.20q... is %d characters long; expected at most %d", key, len(key), maxKey)
	}
	return nil
}

// FromEnvironment returns the value of the environment variable that defines key, and that variable's name.
func (v *Variables) FromEnvironment(key string) (value, name string, ok bool) {
	for _, prefix := range prefixes {
		name = prefix + strings.ToUpper(key)
		if value, ok = v.Lookup(name); ok {
			return value, name, true
		}
	}
	return "", "", false
}

// Get returns the value of a variable, or a *NotFoundError. A value in the environment hides one in the database. The
// value of a key with a sensitive name (password, token, ...) is registered with the masker.
func (v *Variables) Get(ctx context.Context, key string) (string, error) {
	value, _, ok := v.FromEnvironment(key)
	if !ok {
		row, err := v.Rows.VariableGet(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return "", v.notFound(ctx, key)
		}
		if err != nil {
			return "", fmt.Errorf("variable %q: %w", key, err)
		}
		if value, err = v.open(row); err != nil {
			return "", err
		}
	}
	v.mask(key, value)
	return value, nil
}

// GetOr returns the value of a variable, or def when it is not defined.
func (v *Variables) GetOr(ctx context.Context, key, def string) (string, error) {
	value, err := v.Get(ctx, key)
	var missing *NotFoundError
	if errors.As(err, &missing) {
		return def, nil
	}
	return value, err
}

// GetJSON returns the value of a variable decoded from JSON (Airflow: deserialize_json). Whole numbers are int64.
func (v *Variables) GetJSON(ctx context.Context, key string) (any, error) {
	text, err := v.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	value, err := decodeJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("variable %q is not JSON: %w", key, err)
	}
	return value, nil
}

func (v *Variables) notFound(ctx context.Context, key string) error {
	keys, err := v.keys(ctx)
	if err != nil {
		return fmt.Errorf("variable %q: %w", key, err)
	}
	return &NotFoundError{Key: key, Nearest: param.Nearest(key, keys)}
}

func (v *Variables) open(row *Row) (string, error) {
	if !row.Encrypted {
		return row.Value, nil
	}
	value, err := v.Sealer.Open(row.Value)
	if err != nil {
		return "", fmt.Errorf("variable %q in the database: %w", row.Key, err)
	}
	return value, nil
}

func (v *Variables) mask(key, value string) {
	if v.Masker == nil {
		return
	}
	v.Masker.AddNamed(key, value)
	if trimmed := strings.TrimSpace(value); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		if decoded, err := decodeJSON([]byte(value)); err == nil {
			v.Masker.AddNamed(key, decoded)
		}
	}
}

// Set stores a variable in the database, encrypted. It replaces value and description.
func (v *Variables) Set(ctx context.Context, key, value, description string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	sealed, err := v.Sealer.Seal(value)
	if err != nil {
		return fmt.Errorf("variable %q: %w", key, err)
	}
	return v.Rows.VariableSet(ctx, &Row{Key: key, Value: sealed, Description: description, Encrypted: true})
}

// SetJSON stores a value as JSON (Airflow: serialize_json), indented by two.
func (v *Variables) SetJSON(ctx context.Context, key string, value any, description string) error {
	text, err := encodeJSON(value, "  ")
	if err != nil {
		return fmt.Errorf("variable %q: %w", key, err)
	}
	return v.Set(ctx, key, text, description)
}

// Delete removes a variable from the database, or returns a *NotFoundError. A variable of the environment stays.
func (v *Variables) Delete(ctx context.Context, key string) error {
	err := v.Rows.VariableDelete(ctx, key)
	if errors.Is(err, ErrNotFound) {
		if _, name, ok := v.FromEnvironment(key); ok {
			return fmt.Errorf("variable %q is defined by the environment variable %s, which cannot be deleted here", key, name)
		}
		return v.notFound(ctx, key)
	}
	return err
}

// Entry is one definition of a variable.
type Entry struct {
	Key, Value, Description string
	Source                  string // SourceEnvironment or SourceDatabase
	// Shadowed is set for a row that a variable of the environment hides.
	Shadowed bool
	// Err says why the value cannot be read.
	Err error
}

// List returns every definition, by key. Keys of the environment are in lower case: it does not tell their own.
func (v *Variables) List(ctx context.Context) ([]Entry, error) {
	rows, err := v.Rows.VariableList(ctx)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	inEnvironment := map[string]bool{}
	for _, key := range v.environmentKeys() {
		value, _, _ := v.FromEnvironment(key)
		v.mask(key, value)
		entries = append(entries, Entry{Key: key, Value: value, Source: SourceEnvironment})
		inEnvironment[key] = true
	}
	for i := range rows {
		e := Entry{
			Key: rows[i].Key, Description: rows[i].Description, Source: SourceDatabase,
			Shadowed: inEnvironment[strings.ToLower(rows[i].Key)],
		}
		if e.Value, e.Err = v.open(&rows[i]); e.Err == nil {
			v.mask(e.Key, e.Value)
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries, nil
}

func (v *Variables) environmentKeys() []string {
	var keys []string
	for _, entry := range v.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range prefixes {
			if key, ok := strings.CutPrefix(name, prefix); ok && key != "" {
				keys = append(keys, strings.ToLower(key))
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (v *Variables) keys(ctx context.Context) ([]string, error) {
	rows, err := v.Rows.VariableList(ctx)
	if err != nil {
		return nil, err
	}
	keys := v.environmentKeys()
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// Rotate encrypts every variable again with the first key and returns how many there were. It changes nothing when one
// of them cannot be decrypted.
func (v *Variables) Rotate(ctx context.Context) (int, error) {
	rows, err := v.Rows.VariableList(ctx)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		seal := v.Sealer.Rotate
		if !rows[i].Encrypted {
			seal = v.Sealer.Seal
		}
		if rows[i].Value, err = seal(rows[i].Value); err != nil {
			return 0, fmt.Errorf("variable %q in the database: %w", rows[i].Key, err)
		}
		rows[i].Encrypted = true
	}
	for i := range rows {
		if err := v.Rows.VariableSet(ctx, &rows[i]); err != nil {
			return i, err
		}
	}
	return len(rows), nil
}

// decodeJSON decodes one JSON value; whole numbers become int64. Errors carry line and column, never content.
func decodeJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			before := text[:min(int(syntax.Offset), len(text))]
			line := bytes.Count(before, []byte("\n")) + 1
			col := max(len(before)-bytes.LastIndexByte(before, '\n')-1, 1)
			return nil, fmt.Errorf("%d:%d: unexpected character or end", line, col)
		}
		return nil, err
	}
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return plainNumbers(value), nil
}

func plainNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case map[string]any:
		for key, item := range v {
			v[key] = plainNumbers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = plainNumbers(item)
		}
	}
	return value
}

func encodeJSON(value any, indent string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
