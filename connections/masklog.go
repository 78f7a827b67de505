package connections

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// Handler returns a slog.Handler that masks messages and attributes before it hands them to next. An attribute with a
// sensitive key is hidden whole.
func (m *Masker) Handler(next slog.Handler) slog.Handler { return &maskHandler{masker: m, next: next} }

type maskHandler struct {
	masker *Masker
	next   slog.Handler
}

func (h *maskHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *maskHandler) Handle(ctx context.Context, r slog.Record) error {
	masked := slog.NewRecord(r.Time, r.Level, h.masker.Mask(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		masked.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, masked)
}

func (h *maskHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	masked := slices.Clone(attrs)
	for i, a := range masked {
		masked[i] = h.attr(a)
	}
	return &maskHandler{masker: h.masker, next: h.next.WithAttrs(masked)}
}

func (h *maskHandler) WithGroup(name string) slog.Handler {
	return &maskHandler{masker: h.masker, next: h.next.WithGroup(name)}
}

func (h *maskHandler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		if SensitiveKey(a.Key) && v.String() != "" {
			return slog.String(a.Key, Hidden)
		}
		return slog.String(a.Key, h.masker.Mask(v.String()))
	case slog.KindGroup:
		group := slices.Clone(v.Group())
		for i, item := range group {
			group[i] = h.attr(item)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(group...)}
	case slog.KindAny:
		if SensitiveKey(a.Key) && v.Any() != nil {
			return slog.String(a.Key, Hidden)
		}
		// What is printed of a value depends on the next handler; the plainest form shows every text inside it.
		plain := fmt.Sprintf("%+v", v.Any())
		if raw, ok := v.Any().([]byte); ok {
			plain = string(raw)
		}
		if masked := h.masker.Mask(plain); masked != plain {
			return slog.String(a.Key, masked)
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// LineWriter masks what is written through it, line by line. It is safe for concurrent use.
type LineWriter struct {
	masker *Masker
	next   io.Writer

	mu  sync.Mutex
	buf []byte
}

// maxLine is how much of a line without an end is held back, in bytes.
const maxLine = 64 << 10

// Writer returns a writer that masks whole lines and writes them to w. The last line, when it has no end, is written by
// Close. A line longer than 64 KiB is written in parts; a secret across two parts is still found.
func (m *Masker) Writer(w io.Writer) *LineWriter { return &LineWriter{masker: m, next: w} }

// Write takes p whole unless the underlying writer fails.
func (w *LineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	cut := bytes.LastIndexByte(w.buf, '\n') + 1
	if len(w.buf)-cut > maxLine {
		cut = w.masker.safeCut(w.buf)
	}
	if err := w.emit(cut); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what is left. It does not close the underlying writer.
func (w *LineWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.emit(len(w.buf))
}

func (w *LineWriter) emit(n int) error {
	if n == 0 {
		return nil
	}
	_, err := io.WriteString(w.next, w.masker.Mask(string(w.buf[:n])))
	w.buf = append(w.buf[:0], w.buf[n:]...)
	return err
}

// safeCut returns how much of buf can be masked on its own: no secret that lies across that point, or may be completed
// by later bytes, is cut.
func (m *Masker) safeCut(buf []byte) int {
	x := m.matcher.Load()
	if x == nil {
		return len(buf)
	}
	cut := max(len(buf)-x.longest+1, 0)
	s := string(buf)
	for from := 0; from < cut; {
		start, end := x.next(s, from)
		if start < cut && end > cut {
			return start
		}
		from = end
	}
	return cut
}
