package sqlconn

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// jsonValue turns a column's value into one that marshals to JSON without losing anything:
//
//	integers, decimals and floats  numbers with all their digits; NaN and infinities as texts
//	dates and times                ISO 8601 texts as Python's isoformat writes them, instants in UTC
//	binary                         base64
//	JSON, arrays of PostgreSQL     JSON
//	everything else                text
func jsonValue(dialect Dialect, column string, value any) any {
	switch v := value.(type) {
	case nil, bool, int64:
		return v
	case float64:
		return floatValue(v, 64)
	case float32:
		return floatValue(float64(v), 32)
	case time.Time:
		return timeText(dialect, column, v)
	case []byte:
		return bytesValue(dialect, column, v)
	case string:
		return textValue(dialect, column, v)
	case uint64:
		return json.Number(strconv.FormatUint(v, 10))
	}
	return plainText(value)
}

func floatValue(f float64, bits int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, bits)
	}
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return json.Number(text)
}

func timeText(dialect Dialect, column string, t time.Time) string {
	switch {
	case column == "DATE" && t.Equal(t.Truncate(24*time.Hour)):
		return t.Format(time.DateOnly)
	case dialect == Postgres && column == "TIMESTAMPTZ":
		return isoText(t.UTC()) + "+00:00"
	case dialect == Postgres || t.Location() == time.UTC:
		return isoText(t)
	}
	return isoText(t) + t.Format("-07:00")
}

func isoText(t time.Time) string {
	text := t.Format("2006-01-02T15:04:05")
	if t.Nanosecond()/1000 != 0 {
		text += t.Format(".000000")
	}
	return text
}

func bytesValue(dialect Dialect, column string, v []byte) any {
	switch {
	case column == "BIT" && dialect == MySQL:
		var n uint64
		for _, b := range v {
			n = n<<8 | uint64(b)
		}
		return json.Number(strconv.FormatUint(n, 10))
	case strings.Contains(column, "BLOB"), strings.Contains(column, "BINARY"), column == "BYTEA", column == "GEOMETRY",
		dialect == SQLite:
		return base64.StdEncoding.EncodeToString(v)
	}
	return textValue(dialect, column, string(v))
}

func textValue(dialect Dialect, column, text string) any {
	switch {
	case column == "JSON" || column == "JSONB":
		if json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
	case strings.HasPrefix(column, "_") && dialect == Postgres:
		if list, ok := arrayValue(column, text); ok {
			return list
		}
	case dialect == Postgres && column == "NUMERIC", dialect == MySQL && numeric(column):
		return numberOrText(text)
	case dialect == MySQL && (column == "DATETIME" || column == "TIMESTAMP" || column == "DATE"):
		return mysqlTime(text)
	}
	return text
}

func numeric(column string) bool {
	switch column {
	case "DECIMAL", "FLOAT", "DOUBLE", "YEAR":
		return true
	}
	return strings.HasSuffix(column, "INT")
}

// numberOrText keeps a number's digits; what JSON does not take for a number (NaN) stays text.
func numberOrText(text string) any {
	if json.Valid([]byte(text)) {
		return json.Number(text)
	}
	return text
}

// mysqlTime writes MySQL's text as ISO 8601. Its zero date, which is none, is null, as in Python's drivers.
func mysqlTime(text string) any {
	if strings.HasPrefix(text, "0000-00-00") {
		return nil
	}
	text = strings.Replace(text, " ", "T", 1)
	if whole, fraction, ok := strings.Cut(text, "."); ok {
		if strings.Trim(fraction, "0") == "" {
			return whole
		}
		return whole + "." + (fraction + "000000")[:6]
	}
	return text
}

// arrayValue reads PostgreSQL's text of an array with elements of a known type.
func arrayValue(column, text string) ([]any, bool) {
	types := pgtype.NewMap()
	element := strings.TrimPrefix(column, "_")
	array, ok := types.TypeForName("_text")
	if !ok {
		return nil, false
	}
	decoded, err := array.Codec.DecodeValue(types, array.OID, pgtype.TextFormatCode, []byte(text))
	if err != nil {
		return nil, false
	}
	items, ok := decoded.([]any)
	if !ok {
		return nil, false
	}
	return elements(element, items), true
}

func elements(column string, items []any) []any {
	out := make([]any, len(items))
	for i, item := range items {
		switch v := item.(type) {
		case []any:
			out[i] = elements(column, v)
		case string:
			out[i] = elementValue(column, v)
		default:
			out[i] = item
		}
	}
	return out
}

func elementValue(column, text string) any {
	switch column {
	case "INT2", "INT4", "INT8", "OID", "NUMERIC", "FLOAT4", "FLOAT8":
		return numberOrText(text)
	case "BOOL":
		return text == "t"
	case "TIMESTAMP", "TIMESTAMPTZ":
		if t, err := time.Parse("2006-01-02 15:04:05.999999999-07", text); err == nil {
			return timeText(Postgres, column, t)
		}
		return strings.Replace(text, " ", "T", 1)
	case "BYTEA":
		return text
	}
	return textValue(Postgres, column, text)
}
