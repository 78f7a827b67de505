// Package jsonatatest compares this repository's JSONata with the reference implementation, the npm package jsonata
// under Node.js: it generates expressions, has them evaluated by the package in one batch, and compares answers. It is
// used by tests only.
package jsonatatest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gust/stepfunctions/jsonvalue"
)

// Version is the version of the npm package that answers are compared with.
const Version = "2.2.2"

//go:embed oracle.js
var oracle string

// Case is an expression with its input and clock.
type Case struct {
	Expr string `json:"expr"`
	// Input is a JSON text; empty means that there is none.
	Input json.RawMessage `json:"input,omitempty"`
	// Now is the clock in milliseconds since 1970.
	Now int64 `json:"now"`
}

// Answer is what an evaluation came to: exactly one of its forms.
type Answer struct {
	Value      *jsonvalue.Value `json:"value,omitempty"`
	Undefined  bool             `json:"undefined,omitempty"`
	IsFunction bool             `json:"function,omitempty"`
	// Error is the code of a failure, possibly empty.
	Error   *string `json:"error,omitempty"`
	Message string  `json:"message,omitempty"`
	// NoAnswer says that the reference did not end or broke down, so that there is nothing to compare with.
	NoAnswer bool `json:"-"`
}

// Whole returns an answer read from JSON with its null in place, which encoding/json takes for no value.
func (a Answer) Whole() Answer {
	if a.Value == nil && !a.Undefined && !a.IsFunction && a.Error == nil && !a.NoAnswer {
		a.Value = &jsonvalue.Value{}
	}
	return a
}

// String shows the answer on one line.
func (a Answer) String() string {
	switch {
	case a.Error != nil:
		return fmt.Sprintf("error %q (%s)", *a.Error, a.Message)
	case a.NoAnswer:
		return "no answer"
	case a.Undefined:
		return "undefined"
	case a.IsFunction:
		return "a function"
	case a.Value != nil:
		return a.Value.String()
	}
	return "no answer"
}

// Node evaluates with the npm package.
type Node struct{ program, folder string }

// FindNode looks for node on the path and for the package in GUST_TEST_TOOLS/node. Its error says what is missing.
func FindNode() (*Node, error) {
	tools := os.Getenv("GUST_TEST_TOOLS")
	if tools == "" {
		return nil, errors.New("the npm package jsonata is missing: `make test` installs it and sets GUST_TEST_TOOLS")
	}
	program, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("node is missing: `make test` installs it")
	}
	folder := filepath.Join(tools, "node")
	described, err := os.ReadFile(filepath.Join(folder, "node_modules", "jsonata", "package.json"))
	if err != nil {
		return nil, fmt.Errorf("the npm package jsonata is missing in %s: `make test` installs it", folder)
	}
	var manifest struct{ Version string }
	if err := json.Unmarshal(described, &manifest); err != nil || manifest.Version != Version {
		return nil, fmt.Errorf("the npm package jsonata in %s has version %q, want %s: run scripts/test-tools.sh", folder, manifest.Version, Version)
	}
	return &Node{program: program, folder: folder}, nil
}

// patience is how long one expression may take there. Some pictures, and a regular expression whose literal is evaluated
// twice, make the reference loop for ever.
const patience = 10 * time.Second

// Evaluate answers all cases in their order. It takes one process, and another one after each expression that hangs or
// brings Node.js down.
func (n *Node) Evaluate(ctx context.Context, cases []Case) ([]Answer, error) {
	answers := make([]Answer, 0, len(cases))
	for len(answers) < len(cases) {
		some, err := n.batch(ctx, cases[len(answers):])
		answers = append(answers, some...)
		switch {
		case errors.Is(err, errNoAnswer):
			answers = append(answers, Answer{NoAnswer: true})
		case err != nil:
			return nil, fmt.Errorf("node, at %q: %w", cases[min(len(answers), len(cases)-1)].Expr, err)
		}
	}
	return answers, nil
}

var errNoAnswer = errors.New("the expression does not end")

// batch runs one process until it has answered all cases or hangs.
func (n *Node) batch(ctx context.Context, cases []Case) ([]Answer, error) {
	var in bytes.Buffer
	lines := json.NewEncoder(&in)
	lines.SetEscapeHTML(false)
	for _, c := range cases {
		if err := lines.Encode(c); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.program, "-e", oracle, n.folder)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.Stdin = &in
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	hung := time.AfterFunc(patience, cancel)
	answers, err := readAnswers(out, len(cases), func() { hung.Reset(patience) })
	inTime := hung.Stop()
	exit := cmd.Wait()
	switch {
	case !inTime:
		return answers, errNoAnswer
	case err != nil:
		return answers, err
	case isCrash(exit):
		return answers, errNoAnswer
	case exit != nil || len(answers) != len(cases):
		return answers, fmt.Errorf("%d of %d answers: %w: %s", len(answers), len(cases), exit, bytes.TrimSpace(complaints.Bytes()))
	}
	return answers, nil
}

// isCrash says that the process did not end by itself: the engine below the reference broke down.
func isCrash(exit error) bool {
	var how *exec.ExitError
	return errors.As(exit, &how) && !how.Exited()
}

// readAnswers reads up to the given count of lines and reports each.
func readAnswers(from io.Reader, count int, alive func()) ([]Answer, error) {
	var answers []Answer
	lines := bufio.NewReader(from)
	for len(answers) < count {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return answers, err
		}
		alive()
		var a Answer
		if err := json.Unmarshal(line, &a); err != nil {
			return answers, fmt.Errorf("answer %d, %q: %w", len(answers)+1, line, err)
		}
		a = a.Whole()
		// It loses track of a library function that is passed on in the last call of a function.
		a.NoAnswer = a.Error != nil && *a.Error == "" && strings.HasSuffix(a.Message, " is not a function")
		answers = append(answers, a)
	}
	return answers, nil
}
