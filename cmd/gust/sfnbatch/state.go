package sfnbatch

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// maxPrefix leaves room for number and hash in the 80 characters of a name.
const maxPrefix = 54

var unfit = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// Prefix makes the beginning of execution names of a text.
func Prefix(text string) string {
	text = strings.Trim(unfit.ReplaceAllString(text, "-"), "-")
	return text[:min(len(text), maxPrefix)]
}

// Name is the name of a row's execution. It follows from the prefix, the row's place and its input: the same row of the same
// file has the same name whenever it is started, and a changed one has another.
func Name(prefix string, r Row) string {
	sum := sha256.Sum256([]byte(r.Input))
	return fmt.Sprintf("%s-%06d-%s", prefix, r.Number, hex.EncodeToString(sum[:6]))
}

// State is the file that remembers what has been started: a line for each execution after a line that says of what.
type State struct {
	file    *os.File
	started map[string]bool
}

type header struct {
	StateMachineARN string `json:"stateMachineArn"`
	Prefix          string `json:"prefix"`
}

type entry struct {
	Name         string `json:"name"`
	ExecutionARN string `json:"executionArn"`
}

// OpenState opens or makes the file. One that belongs to another state machine or prefix is refused.
func OpenState(path, machineARN, prefix string) (*State, error) {
	s := &State{started: map[string]bool{}}
	want := header{machineARN, prefix}
	size, err := s.load(path, want)
	if err != nil {
		return nil, err
	}
	if s.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	// A line that a crash has torn is written over: its execution is known to the service by its name.
	err = s.file.Truncate(size)
	if err == nil {
		_, err = s.file.Seek(size, 0)
	}
	if err == nil && size == 0 {
		err = s.write(want)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.file.Close())
	}
	return s, nil
}

// load reads the complete lines of the file and returns their size.
func (s *State) load(path string, want header) (size int64, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // only read
	in := bufio.NewReader(file)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if err != nil { // the end, perhaps in the middle of a line
			return size, nil
		}
		if number == 1 {
			var have header
			if json.Unmarshal(line, &have) != nil || have.StateMachineARN == "" {
				return 0, fmt.Errorf("%s is no state file of this command; choose another with --state", path)
			}
			if have != want {
				return 0, fmt.Errorf("%s remembers executions of %s named %s-...; delete it, or choose another with --state",
					path, have.StateMachineARN, have.Prefix)
			}
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return 0, fmt.Errorf("%s:%d: %w; delete the line to try its execution again", path, number, err)
		}
		if e.Name != "" {
			s.started[e.Name] = true
		}
		size += int64(len(line))
	}
}

// Started reports whether an execution was started by an earlier run.
func (s *State) Started(name string) bool { return s != nil && s.started[name] }

// Record writes down that an execution was started.
func (s *State) Record(name, executionARN string) error {
	if s == nil {
		return nil
	}
	return s.write(entry{name, executionARN})
}

func (s *State) write(line any) error {
	raw, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = s.file.Write(append(raw, '\n'))
	return err
}

// Close closes the file.
func (s *State) Close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.file.Sync(), s.file.Close())
}
