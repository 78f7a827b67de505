package jsonata_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonvalue"
)

// testCase is one line of a case file: what the reference library answers. A line without an expression gives the input
// of the lines that follow it.
type testCase struct {
	Expr      string           `json:"expr"`
	Data      *jsonvalue.Value `json:"data"`
	Result    *jsonvalue.Value `json:"result"`
	Undefined bool             `json:"undefined"`
	Function  bool             `json:"function"`
	Code      string           `json:"code"`
	Message   string           `json:"message"`
	Position  int              `json:"position"`
}

// now is a fixed time for the tests that need one.
var now = time.Date(2025, 3, 4, 5, 6, 7, 8e6, time.UTC)

func evaluate(text string, data *jsonvalue.Value, limits jsonata.Limits) (jsonvalue.Value, bool, error) {
	e, err := jsonata.Compile(text)
	if err != nil {
		return jsonvalue.Value{}, false, err
	}
	env := &jsonata.Env{Now: now, Limits: limits}
	if data != nil {
		env.Input, env.HasInput = *data, true
	}
	return e.Eval(env)
}

// check returns what differs from the expected answer, or "".
func (c testCase) check() string {
	v, defined, err := evaluate(c.Expr, c.Data, jsonata.Limits{Depth: 5000})
	var fault *jsonata.Error
	switch {
	case errors.As(err, &fault):
		if fault.Code != c.Code || (c.Message != "" && fault.Message != c.Message) || (c.Position != 0 && fault.Position != c.Position) {
			return fmt.Sprintf("error %q at %d, want %s: %s at %d", fault.Error(), fault.Position, c.Code, c.Message, c.Position)
		}
	case errors.Is(err, jsonata.ErrFunctionResult):
		if !c.Function {
			return err.Error()
		}
	case c.Function || err != nil:
		return fmt.Sprintf("got %s (%v), want a function or an error", v, err)
	case c.Code != "":
		return fmt.Sprintf("got %s, want %s", v, c.Code)
	case !defined:
		if !c.Undefined {
			return fmt.Sprintf("got undefined, want %v", c.Result)
		}
	case c.Undefined:
		return fmt.Sprintf("got %s, want undefined", v)
	default:
		want := jsonvalue.Value{}
		if c.Result != nil {
			want = *c.Result
		}
		if !jsonvalue.Equal(v, want) {
			return fmt.Sprintf("got %s, want %s", v, want)
		}
	}
	return ""
}

func TestCasesAnswerLikeTheReference(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no case files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<20)
			var data *jsonvalue.Value
			for n := 1; lines.Scan(); n++ {
				if strings.TrimSpace(lines.Text()) == "" {
					continue
				}
				var c testCase
				if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
					t.Fatalf("%s:%d: %v", file, n, err)
				}
				if c.Expr == "" {
					data = c.Data
					continue
				}
				if c.Data == nil {
					c.Data = data
				}
				if problem := c.check(); problem != "" {
					t.Errorf("%s:%d: %s: %s", file, n, c.Expr, problem)
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
