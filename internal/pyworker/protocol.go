//go:build unix

package pyworker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// protocolVersion is the version of both conversations. The two sides are built together; it is checked all the same, so
// that a mix-up is an error that says so.
const protocolVersion = 1

// maxMessage bounds one message, in bytes. XComs are bounded far below it by core.xcom_max_bytes.
const maxMessage = 64 << 20

// task is what a call's process is told first.
type task struct {
	Version         int               `json:"gust"`
	Callable        Callable          `json:"callable"`
	Args            []any             `json:"args,omitempty"`
	Kwargs          map[string]any    `json:"kwargs,omitempty"`
	TemplatesDict   any               `json:"templates_dict,omitempty"`
	Context         *Context          `json:"context,omitempty"`
	CallWithContext bool              `json:"call_with_context,omitempty"`
	DateFirst       bool              `json:"date_first,omitempty"`
	Strict          bool              `json:"strict,omitempty"`
	WantValue       bool              `json:"want_value,omitempty"`
	WantTruth       bool              `json:"want_truth,omitempty"`
	Path            []string          `json:"path,omitempty"`
	Env             map[string]string `json:"env,omitempty"`
	LogLevel        string            `json:"log_level,omitempty"`
}

// message is what a call's process says: exactly one of Log, Ask, Done and Raised is set.
type message struct {
	// Log is the name of a level; Level its number where the name is one of the user's own.
	Log     string `json:"log"`
	Level   int    `json:"level"`
	Message string `json:"message"`
	Logger  string `json:"logger"`
	Source  string `json:"source"`

	Ask  string          `json:"ask"`
	Args json.RawMessage `json:"args"`

	Done   *Result      `json:"done"`
	Raised *RaisedError `json:"raised"`
}

// answer replies to a question.
type answer struct {
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
	// Missing says that what was asked for does not exist.
	Missing bool `json:"missing,omitempty"`
}

// order is what an interpreter is told.
type order struct {
	Run    int `json:"run,omitempty"` // with three descriptors: channel, stdout, stderr
	Kill   int `json:"kill,omitempty"`
	Signal int `json:"signal,omitempty"`
}

// notice is what an interpreter says.
type notice struct {
	Version    int    `json:"gust"`
	Python     string `json:"python"`
	Executable string `json:"executable"`

	Started int    `json:"started"`
	PID     int    `json:"pid"`
	Ended   int    `json:"ended"`
	Status  *int   `json:"status"`
	Signal  *int   `json:"signal"`
	Error   string `json:"error"`
}

// errTooLong is a message above the limit.
var errTooLong = fmt.Errorf("a message of the Python process is longer than %d MiB; return where the data is, not the data", maxMessage>>20)

// reader reads messages, one JSON object per line.
type reader struct {
	buf   *bufio.Reader
	limit int
}

func newReader(r io.Reader, limit int) *reader { return &reader{bufio.NewReaderSize(r, 16<<10), limit} }

// next reads a message into v. The end of the stream is io.EOF; in the middle of a message io.ErrUnexpectedEOF.
func (r *reader) next(v any) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("a message of the Python process is malformed: %w", err)
	}
	return nil
}

func (r *reader) line() ([]byte, error) {
	part, err := r.buf.ReadSlice('\n')
	if err == nil {
		return part, nil
	}
	line := bytes.Clone(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = r.buf.ReadSlice('\n')
		if len(line)+len(part) > r.limit {
			return nil, errTooLong
		}
		line = append(line, part...)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return line, err
}

// encodeLine is a message to the other side.
func encodeLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends with a newline, and writes none in between
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
