package tasklog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// handler encodes records as Airflow 3 does: {"timestamp": ..., "level": ..., "event": ..., "logger": ..., attributes}.
type handler struct {
	log    *Log
	attrs  []byte // encoded attributes of With, each with a leading comma
	group  string // "outer.inner." or ""
	logger string // name given with With, or ""
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	least := slog.LevelInfo
	if h.log.files.Level != nil {
		least = h.log.files.Level.Level()
	}
	return level >= least
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.log.write(func(b []byte) []byte {
		b = append(b, `{"timestamp":"`...)
		b = r.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
		b = append(b, `","level":"`...)
		b = append(b, levelName(r.Level)...)
		b = append(b, `","event":`...)
		b = h.text(b, r.Message)
		logger := h.logger
		if logger == "" {
			logger = DefaultLogger
		}
		var own []byte
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == LoggerKey && h.group == "" {
				logger = a.Value.String()
				return true
			}
			own = h.attr(own, h.group, a)
			return true
		})
		b = append(b, `,"logger":`...)
		b = appendQuoted(b, logger)
		b = append(b, h.attrs...)
		b = append(b, own...)
		return append(b, "}\n"...)
	})
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		if a.Key == LoggerKey && h.group == "" {
			next.logger = a.Value.String()
			continue
		}
		next.attrs = h.attr(next.attrs, h.group, a)
	}
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.group += name + "."
	return &next
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warning"
	case level < slog.LevelError+4:
		return "error"
	}
	return "critical"
}

// attr appends `,"key":value`. Groups become dotted keys.
func (h *handler) attr(b []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Key == "" && v.Kind() != slog.KindGroup {
		return b
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, item := range v.Group() {
			b = h.attr(b, group, item)
		}
		return b
	}
	key := group + a.Key
	switch key {
	case "timestamp", "level", "event", LoggerKey:
		key += "_"
	}
	b = append(b, ',')
	b = appendQuoted(b, key)
	b = append(b, ':')
	return h.value(b, v)
}

func (h *handler) value(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return h.text(b, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.AppendFloat(b, f, 'g', -1, 64)
		}
		return appendQuoted(b, v.String())
	case slog.KindDuration:
		return appendQuoted(b, v.Duration().String())
	case slog.KindTime:
		return appendQuoted(b, v.Time().UTC().Format(time.RFC3339Nano))
	}
	return h.any(b, v.Any())
}

func (h *handler) any(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case error:
		return h.text(b, v.Error())
	case fmt.Stringer:
		return h.text(b, v.String())
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return h.text(b, fmt.Sprint(v))
	}
	if h.log.files.Mask == nil {
		return append(b, raw...)
	}
	// Secrets are looked for in the decoded texts: their encoded form may differ, and a masked number is no JSON.
	var decoded any
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	if err := dec.Decode(&decoded); err != nil {
		return h.text(b, string(raw))
	}
	masked, err := json.Marshal(h.maskAny(decoded))
	if err != nil {
		return h.text(b, string(raw))
	}
	return append(b, masked...)
}

func (h *handler) maskAny(v any) any {
	switch v := v.(type) {
	case string:
		return h.log.files.mask(v)
	case json.Number:
		if masked := h.log.files.mask(v.String()); masked != v.String() {
			return masked
		}
	case []any:
		for i := range v {
			v[i] = h.maskAny(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = h.maskAny(v[k])
		}
	}
	return v
}

func (h *handler) text(b []byte, s string) []byte { return appendQuoted(b, h.log.files.mask(s)) }

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string. Invalid UTF-8 becomes the replacement character.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
