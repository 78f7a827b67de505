package stepfunctions_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	_ "modernc.org/sqlite" // the driver that writes the old file

	"gust/stepfunctions"
	"gust/stepfunctions/handlers"
)

// oldFile makes a journal as the first version of the service left it: with an execution that has ended, one that has
// failed, one that waits, one whose task was running, and one with branches and items in work.
func oldFile(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile("testdata/journal-v1.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sfn.db")
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.ExecContext(t.Context(), string(script))
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesOfTheFirstVersionGoOn(t *testing.T) {
	t.Parallel()
	// The clock goes on where the old service stopped.
	began, stopped := time.Now(), time.UnixMilli(1_795_836_386_000)
	echo := handlers.Handler{Func: func(_ context.Context, in []byte) ([]byte, error) { return in, nil }}
	path := oldFile(t)
	config := stepfunctions.Config{DataPath: path, Handlers: map[string]handlers.Handler{"work": echo},
		Clock: func() time.Time { return stopped.Add(time.Since(began)) }}
	c := client(start(t, config))
	const prefix = "arn:aws:states:us-east-1:123456789012:execution:"
	for name, output := range map[string]string{
		"done": `{"a":1.0}`, "waiting": `{"n":[1,2.50]}`, "task": `{"b":2}`, "wide": `[[1,{"x":"y"}],[1,{"x":"y"}]]`,
	} {
		arn := prefix + name + ":e"
		if out := finish(t, c, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != output {
			t.Errorf("%s: %s, %+v", name, out.Status, out)
		}
		wellFormed(t, c, arn)
	}
	failed := prefix + "failed:e"
	if out := finish(t, c, failed); out.Status != types.ExecutionStatusFailed || *out.Error != "E" {
		t.Errorf("%+v", out)
	}
	redriven, err := c.RedriveExecution(t.Context(), &sfn.RedriveExecutionInput{ExecutionArn: &failed})
	if err != nil {
		t.Fatal(err)
	}
	if out := finish(t, c, failed); out.Status != types.ExecutionStatusFailed || *out.RedriveCount != 1 || !out.RedriveDate.Equal(*redriven.RedriveDate) {
		t.Errorf("%+v", out)
	}
	// What is new works on an old file.
	machine := "arn:aws:states:us-east-1:123456789012:stateMachine:task"
	version, err := c.PublishStateMachineVersion(t.Context(), &sfn.PublishStateMachineVersionInput{StateMachineArn: &machine})
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, c, *version.StateMachineVersionArn, "again", `"x"`); out.Status != types.ExecutionStatusSucceeded {
		t.Errorf("%+v", out)
	}
}
