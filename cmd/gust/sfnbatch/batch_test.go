package sfnbatch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"
)

func rows(t *testing.T, text, format string) ([]Row, error) {
	t.Helper()
	var all []Row
	for r, err := range Rows(strings.NewReader(text), format) {
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

func TestRows(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, format, text string
		want               []string
		err                string
	}{
		{"jsonl", "jsonl", "{\"a\": 1.50}\n\n  [2]\n\"x\"", []string{`{"a":1.50}`, `[2]`, `"x"`}, ""},
		{"empty", "jsonl", "", nil, ""},
		{"torn", "jsonl", "1\n{\n", []string{"1"}, "line 2: "},
		{"csv", "csv", "\xef\xbb\xbfname,age\nAda,36\n\"B, b\",\n", []string{`{"name":"Ada","age":"36"}`, `{"name":"B, b","age":""}`}, ""},
		{"csv short", "csv", "name,age\nAda\n", nil, "wrong number of fields"},
		{"csv twice", "csv", "a,b,a\n", nil, `two columns have the name "a"`},
		{"csv empty", "csv", "", nil, "its first line must name the columns"},
		{"array", "json", "[{\"b\": 1, \"a\": 2}, 3]", []string{`{"b":1,"a":2}`, `3`}, ""},
		{"object", "json", "{}", nil, "the file holds one object; expected an array"},
		{"too long", "jsonl", `"` + strings.Repeat("x", maxInput) + `"`, nil, "input 1 has 262146 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := rows(t, tt.text, tt.format)
			var inputs []string
			for i, r := range got {
				if r.Number != i+1 {
					t.Errorf("row %d has the number %d", i+1, r.Number)
				}
				inputs = append(inputs, r.Input)
			}
			if diff := cmp.Diff(tt.want, inputs); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	a, b := Name("p", Row{1, `{"a":1}`}), Name("p", Row{1, `{"a":2}`})
	if a == b || a != Name("p", Row{1, `{"a":1}`}) || Name("p", Row{2, `{"a":1}`}) == a {
		t.Errorf("names do not follow from place and input: %s, %s", a, b)
	}
	if long := Name(Prefix(strings.Repeat("é x", 100)), Row{1_000_000, "{}"}); len(long) > 80 || unfit.MatchString(long) {
		t.Errorf("%q is not a valid name", long)
	}
}

// service is Step Functions as far as starting goes.
type service struct {
	mu      sync.Mutex
	started map[string]string
	order   []time.Time
	refuse  func(name string) error
}

func (s *service) StartExecution(_ context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, time.Now())
	if s.refuse != nil {
		if err := s.refuse(*in.Name); err != nil {
			return nil, err
		}
	}
	if s.started == nil {
		s.started = map[string]string{}
	}
	if _, ok := s.started[*in.Name]; ok {
		return nil, &types.ExecutionAlreadyExists{}
	}
	s.started[*in.Name] = *in.Input
	return &sfn.StartExecutionOutput{ExecutionArn: aws.String("arn:" + *in.Name)}, nil
}

const five = "1\n2\n3\n4\n5\n"

func counts(s Summary) []int { return []int{s.Started, s.Skipped, s.Existing, len(s.Failures)} }

func TestRateIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		b := New(Options{API: s, Prefix: "p", Rate: 2, Concurrency: 1})
		if err := b.Run(t.Context(), Rows(strings.NewReader(five), "jsonl")); err != nil {
			t.Fatal(err)
		}
		if took := s.order[4].Sub(s.order[0]); took != 2*time.Second {
			t.Errorf("five starts at two a second took %v, want 2s between the first and the last", took)
		}
	})
}

func TestGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	s := &service{refuse: func(name string) error {
		if strings.Contains(name, "-000003-") {
			return errors.New("broken line")
		}
		return nil
	}}
	run := func() Summary {
		t.Helper()
		state, err := OpenState(path, "arn", "p")
		if err != nil {
			t.Fatal(err)
		}
		b := New(Options{API: s, StateMachineARN: "arn", Prefix: "p", State: state, Concurrency: 1, MaxErrors: 1})
		runErr := b.Run(t.Context(), Rows(strings.NewReader(five), "jsonl"))
		if err := state.Close(); err != nil {
			t.Fatal(err)
		}
		if failed := len(b.Progress().Failures) > 0; failed != errors.Is(runErr, errTooMany) {
			t.Errorf("the work ended with %v after %+v", runErr, b.Progress())
		}
		return b.Progress()
	}
	first := run()
	if first.Started < 2 || len(first.Failures) != 1 || first.Failures[0].Row != 3 {
		t.Errorf("first run: %+v", first)
	}
	// A line that a crash has torn is forgotten; the service knows the name.
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw[:len(raw)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	s.refuse = nil
	second := run()
	if diff := cmp.Diff([]int{5 - first.Started, first.Started - 1, 1, 0}, counts(second)); diff != "" {
		t.Errorf("second run, started, skipped, existing, failed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 5, 0, 0}, counts(run())); diff != "" {
		t.Errorf("third run (-want +got):\n%s", diff)
	}
	if len(s.started) != 5 {
		t.Errorf("%d executions were started, want 5", len(s.started))
	}
}

func TestStateOfAnotherMachineIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	state, err := OpenState(path, "arn:a", "p")
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	for _, other := range [][2]string{{"arn:b", "p"}, {"arn:a", "q"}} {
		if _, err := OpenState(path, other[0], other[1]); err == nil || !strings.Contains(err.Error(), "remembers executions of arn:a named p-...") {
			t.Errorf("%v: %v", other, err)
		}
	}
	if err := os.WriteFile(path, []byte("name,age\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenState(path, "arn:a", "p"); err == nil || !strings.Contains(err.Error(), "is no state file") {
		t.Errorf("another file: %v", err)
	}
}

func TestInterruptedWorkEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s := &service{}
		b := New(Options{API: s, Prefix: "p", Rate: 1, Concurrency: 1})
		err := b.Run(ctx, Rows(strings.NewReader(five), "jsonl"))
		if err == nil {
			t.Error("it ended without an error")
		}
		if n := b.Progress().Started; n != len(s.started) || n == 5 {
			t.Errorf("%d counted, %d started", n, len(s.started))
		}
	})
}

func FuzzRows(f *testing.F) {
	f.Add("{\"a\":1}\n", 0)
	f.Add("a,b\n1,2\n", 1)
	f.Add("[1,{\"a\":[]}]", 2)
	f.Fuzz(func(t *testing.T, text string, which int) {
		format := Formats[(which%len(Formats)+len(Formats))%len(Formats)]
		n := 0
		for r, err := range Rows(strings.NewReader(text), format) {
			if err != nil {
				break
			}
			if n++; r.Number != n {
				t.Fatalf("row %d has the number %d", n, r.Number)
			}
		}
	})
}
