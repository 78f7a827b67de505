package sfncmd

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gust/cmd/gust/host"
	"gust/cmd/gust/sfnbatch"
	"gust/cmd/gust/sfnwatch"
	"gust/internal/config"
)

func TestBar(t *testing.T) {
	t.Parallel()
	tests := []struct {
		summary sfnbatch.Summary
		total   int
		want    string
	}{
		{sfnbatch.Summary{}, 0, "[##############################] 0/0"},
		{sfnbatch.Summary{}, 4, "[------------------------------] 0/4"},
		{sfnbatch.Summary{Started: 1, Existing: 1, Took: 2 * time.Second}, 4, "[###############---------------] 2/4  1.0/s  2s left"},
		{sfnbatch.Summary{Started: 1, Skipped: 2, Failures: []sfnbatch.Failure{{}}, Took: time.Second}, 4, "[##############################] 4/4  2.0/s  1 failed"},
	}
	for _, tt := range tests {
		if got := bar(tt.summary, tt.total); got != tt.want {
			t.Errorf("%+v of %d\ngot  %s\nwant %s", tt.summary, tt.total, got, tt.want)
		}
	}
}

func TestWelcome(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{}
	cfg.StepFunctions.Region, cfg.StepFunctions.AccountID = "eu-west-1", "1"
	text := welcome(cfg, "http://h:1", false)
	for _, part := range []string{"(account 1, region eu-west-1, state in memory)", "gust sfn list-state-machines --endpoint-url http://h:1\n", "with any credentials",
		"AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("beside another service it lacks %q:\n%s", part, text)
		}
	}
	cfg.StepFunctions.AccessKeys = map[string]string{"AKIA": "very secret"}
	if text = welcome(cfg, "http://h:1", true); strings.Contains(text, "very secret") || !strings.Contains(text, "AWS_ACCESS_KEY_ID=AKIA AWS_SECRET_ACCESS_KEY=...\n") {
		t.Errorf("with keys:\n%s", text)
	}
}

func TestMachineName(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a/hello.asl.json": "hello", "order v2.json": "order-v2", "-": "definition", "é.json": "definition", strings.Repeat("x", 200): strings.Repeat("x", 70),
	} {
		if got := machineName(path); got != want {
			t.Errorf("%q becomes %q, want %q", path, got, want)
		}
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	h := &Host{Out: &out}
	if err := h.outcome("SUCCEEDED", "{}", "", "", ""); err != nil || out.String() != "{}\n" {
		t.Errorf("%v, %q", err, out.String())
	}
	for want, err := range map[string]error{
		`the execution failed in state "A": E: c`: h.outcome("FAILED", "", "E", "c", "A"),
		`the execution timed out`:                 h.outcome("TIMED_OUT", "", "", "", ""),
		`the execution was aborted: c`:            h.outcome("ABORTED", "", "", "c", ""),
	} {
		var coded interface{ ExitCode() int }
		if err == nil || err.Error() != want || !errors.As(err, &coded) || coded.ExitCode() != host.CodeRunFailed {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// plainScreen is a screen of a size without colours.
type plainScreen struct {
	Screen
	rows int
}

func (plainScreen) Colours() bool      { return false }
func (s plainScreen) Size() (int, int) { return 80, s.rows }

func TestViewShowsTheLatestStates(t *testing.T) {
	t.Parallel()
	x := sfnwatch.NewExecution()
	at := time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)
	x.Add(&sfnwatch.Event{ID: 1, Type: "ExecutionStarted", At: at})
	for i, name := range []string{"A", "B", "C"} {
		x.Add(&sfnwatch.Event{ID: int64(2*i + 2), Previous: int64(2*i + 1), Type: "PassStateEntered", At: at, Details: []sfnwatch.Detail{{Name: "name", Value: name}}})
		if name != "C" {
			x.Add(&sfnwatch.Event{ID: int64(2*i + 3), Previous: int64(2*i + 2), Type: "PassStateExited", At: at.Add(time.Second), Details: []sfnwatch.Detail{{Name: "name", Value: name}}})
		}
	}
	h := &Host{Paint: func(_ bool, _, text string) string { return text }, Symbol: func(class string) string { return class[:1] }}
	for rows, want := range map[int]string{
		0: "|first  RUNNING  3s|  s A  Pass      1s|  s B  Pass      1s|  r C  Pass      3s",
		6: "|first  RUNNING  3s|  … 1 earlier states|  s B  Pass      1s|  r C  Pass      3s",
	} {
		v := &view{host: h, screen: plainScreen{rows: rows}, arn: "arn:x:first", x: x}
		if got := strings.Join(v.lines(at.Add(3*time.Second)), "|"); got != want {
			t.Errorf("%d rows\ngot  %s\nwant %s", rows, got, want)
		}
	}
}
