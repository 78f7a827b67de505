package variables

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// OnExisting says what an import does with a key that exists.
type OnExisting string

// What an import does with keys that exist (Airflow: --action-on-existing-key).
const (
	Overwrite OnExisting = "overwrite"
	Fail      OnExisting = "fail" // nothing is imported
	Skip      OnExisting = "skip"
)

// ImportResult lists the keys of an import, sorted.
type ImportResult struct{ Set, Skipped []string }

// item is one variable of a file.
type item struct {
	value       any
	description string
}

// Import stores the variables of a file; name is shown in errors and its ending tells the format: .json, .yaml or .yml
// (an object of values by key) or .env (lines of KEY=VALUE). A text is stored as it is, any other value as JSON. An
// object with the key "value" is a value with a "description".
func (v *Variables) Import(ctx context.Context, name string, data []byte, existing OnExisting) (ImportResult, error) {
	items, err := readFile(name, data)
	if err != nil {
		return ImportResult{}, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	if existing != Overwrite && existing != Fail && existing != Skip {
		return ImportResult{}, fmt.Errorf("unexpected action on existing keys %q; expected overwrite, fail or skip",
			string(existing))
	}
	rows, err := v.Rows.VariableList(ctx)
	if err != nil {
		return ImportResult{}, err
	}
	var taken []string
	for _, row := range rows {
		if _, ok := items[row.Key]; ok {
			taken = append(taken, row.Key)
		}
	}
	slices.Sort(taken)
	if existing == Fail && len(taken) > 0 {
		return ImportResult{}, fmt.Errorf("these keys exist already: %s; nothing was imported", strings.Join(taken, ", "))
	}
	var result ImportResult
	for _, key := range slices.Sorted(maps.Keys(items)) {
		if existing == Skip && slices.Contains(taken, key) {
			result.Skipped = append(result.Skipped, key)
			continue
		}
		if err := v.setItem(ctx, key, items[key]); err != nil {
			return result, err
		}
		result.Set = append(result.Set, key)
	}
	return result, nil
}

func (v *Variables) setItem(ctx context.Context, key string, it item) error {
	if text, ok := it.value.(string); ok {
		return v.Set(ctx, key, text, it.description)
	}
	return v.SetJSON(ctx, key, it.value, it.description)
}

func readFile(name string, data []byte) (map[string]item, error) {
	var values any
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		var err error
		if values, err = decodeJSON(data); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
	case ".yaml", ".yml":
		if err := yaml.Unmarshal(data, &values); err != nil {
			return nil, fmt.Errorf("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
	case ".env":
		return readEnv(string(data))
	default:
		return nil, fmt.Errorf("unsupported file format; expected a name that ends in .json, .yaml, .yml or .env")
	}
	object, ok := values.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the file does not hold an object of variables by key")
	}
	items := make(map[string]item, len(object))
	for key, value := range object {
		value, err := jsonValue(value)
		if err == nil {
			err = checkKey(key)
		}
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", key, err)
		}
		it := item{value: value}
		if described, ok := value.(map[string]any); ok {
			if inner, has := described["value"]; has {
				it.value = inner
				it.description, _ = described["description"].(string) // null is none
			}
		}
		items[key] = it
	}
	return items, nil
}

// jsonValue turns what YAML decodes into what JSON can hold: dates become texts, keys must be texts.
func jsonValue(value any) (any, error) {
	switch v := value.(type) {
	case time.Time:
		if v.Equal(v.Truncate(24*time.Hour)) && v.Location() == time.UTC {
			return v.Format(time.DateOnly), nil
		}
		return v.Format(time.RFC3339Nano), nil
	case map[string]any:
		for key, inner := range v {
			inner, err := jsonValue(inner)
			if err != nil {
				return nil, err
			}
			v[key] = inner
		}
	case map[any]any:
		return nil, fmt.Errorf("a key inside the value is not a text; put it in quotes")
	case []any:
		for i, inner := range v {
			inner, err := jsonValue(inner)
			if err != nil {
				return nil, err
			}
			v[i] = inner
		}
	}
	return value, nil
}

func readEnv(text string) (map[string]item, error) {
	items := map[string]item{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		_, twice := items[key]
		switch {
		case !ok:
			return nil, fmt.Errorf(`line %d has no "="; expected KEY=VALUE`, number)
		case key == "":
			return nil, fmt.Errorf(`line %d has nothing before "="; expected KEY=VALUE`, number)
		case value == "":
			return nil, fmt.Errorf(`line %d has nothing after "="; expected KEY=VALUE`, number)
		case twice:
			return nil, fmt.Errorf("line %d: the key %q has multiple values", number, key)
		}
		if err := checkKey(key); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		items[key] = item{value: value}
	}
	return items, nil
}

// Export writes the variables of the database, decrypted: "json" and "yaml" as Import reads them, "env" as lines of
// KEY=VALUE, which cannot hold descriptions or values of several lines.
func (v *Variables) Export(ctx context.Context, format string) ([]byte, error) {
	rows, err := v.Rows.VariableList(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Key, b.Key) })
	values := map[string]any{}
	var env strings.Builder
	for i := range rows {
		text, err := v.open(&rows[i])
		if err != nil {
			return nil, err
		}
		if format == "env" {
			if text == "" || strings.ContainsAny(text, "\r\n") || strings.Contains(rows[i].Key, "=") {
				return nil, fmt.Errorf("variable %q: the env format holds neither empty values nor values of several lines; "+
					"export as json or yaml", rows[i].Key)
			}
			env.WriteString(rows[i].Key + "=" + text + "\n")
		}
		values[rows[i].Key] = exported(text, rows[i].Description)
	}
	switch format {
	case "env":
		return []byte(env.String()), nil
	case "json":
		text, err := encodeJSON(values, "    ")
		return []byte(text + "\n"), err
	case "yaml":
		return yaml.Marshal(values)
	}
	return nil, fmt.Errorf("unsupported file format %q; expected json, yaml or env", format)
}

// exported is a value in the form that Import turns back into text: what is JSON but no text is decoded.
func exported(text, description string) any {
	var value any = text
	if decoded, err := decodeJSON([]byte(text)); err == nil {
		if _, isText := decoded.(string); !isText {
			value = decoded
		}
	}
	described, isObject := value.(map[string]any)
	if description == "" && (!isObject || described["value"] == nil) {
		return value
	}
	return map[string]any{"value": value, "description": description}
}
