package docs

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/stepfunctions"
	"gust/stepfunctions/asl"
	"gust/stepfunctions/clienttest"
)

const localPage = "docs/step-functions-local.md"

// under are the rows of the tables below a heading, cell by cell, without the headers.
func (p page) under(heading string) [][]string {
	var rows [][]string
	in, body := false, false
	p.prose(func(_ int, line string) {
		switch {
		case strings.HasPrefix(line, "#"):
			in, body = strings.TrimLeft(line, "# ") == heading, false
		case !strings.HasPrefix(line, "|"):
			body = false
		case strings.HasPrefix(line, "|---"):
			body = true
		case in && body:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	})
	return rows
}

func spansOf(cell string) []string {
	var out []string
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestOperationsOfTheService wants every operation of the SDK on the page, once, and known to the service.
func TestOperationsOfTheService(t *testing.T) {
	t.Parallel()
	endpoint := clienttest.Start(t, stepfunctions.Config{})
	client := reflect.TypeFor[*sfn.Client]()
	missing := map[string]bool{}
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Options" {
			missing[name] = true
		}
	}
	if len(missing) != 37 {
		t.Errorf("the SDK has %d operations, the page says 37", len(missing))
	}
	for _, row := range readPage(t, localPage).under("Operations") {
		for _, operation := range spansOf(row[1]) {
			if !missing[operation] {
				t.Errorf("%s names %s, which is no operation, or twice", localPage, operation)
			}
			delete(missing, operation)
			if answer := ask(t, endpoint, operation); strings.Contains(answer, "UnknownOperation") {
				t.Errorf("%s: %s", operation, answer)
			}
		}
	}
	for operation := range missing {
		t.Errorf("%s does not name the operation %s", localPage, operation)
	}
}

// ask calls an operation without any parameter.
func ask(t *testing.T, endpoint, operation string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AWSStepFunctions."+operation)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFieldsOfStates asks the parser about every field of the table in every state, in both languages.
func TestFieldsOfStates(t *testing.T) {
	t.Parallel()
	type state struct{ both, jsonPath, jsonata []string }
	states, fields := map[string]state{}, map[string]bool{}
	for _, row := range readPage(t, localPage).under("States and their fields") {
		if len(row) != 4 {
			continue
		}
		s := state{spansOf(row[1]), spansOf(row[2]), spansOf(row[3])}
		states[row[0]] = s
		for _, field := range slices.Concat(s.both, s.jsonPath, s.jsonata) {
			fields[field] = true
		}
	}
	if len(states) != 8 {
		t.Errorf("the table has %d states, the language has 8", len(states))
	}
	for typ, s := range states {
		for field := range fields {
			for language, own := range map[string][]string{"JSONPath": s.jsonPath, "JSONata": s.jsonata} {
				want := slices.Contains(s.both, field) || slices.Contains(own, field)
				if has := accepts(typ, language, field); has != want {
					t.Errorf("%s in %s has the field %s: %v, the page says %v", typ, language, field, has, want)
				}
			}
		}
	}
}

// accepts reports whether the parser knows a field of a state.
func accepts(typ, language, field string) bool {
	_, found := asl.Parse(`{"QueryLanguage":"` + language + `","StartAt":"S","States":{"S":{"Type":"` + typ + `","` + field + `":{}}}}`)
	for _, d := range found {
		unknown := strings.Contains(d.Message, "is not supported") || strings.Contains(d.Message, "is only supported for")
		if unknown && strings.Contains(d.Message, "'"+field+"'") {
			return false
		}
	}
	return true
}

// TestClientsOfTheService runs what the page shows of the AWS CLI and boto3.
func TestClientsOfTheService(t *testing.T) {
	t.Parallel()
	tools := filepath.Join(os.Getenv("GUST_TEST_TOOLS"), "python", "bin")
	if _, err := os.Stat(filepath.Join(tools, "aws")); os.Getenv("GUST_TEST_TOOLS") == "" || err != nil {
		t.Skip("the AWS CLI is missing: `make test` installs it")
	}
	endpoint := clienttest.Start(t, stepfunctions.Config{})
	programs := map[string][]string{"sh": {"bash", "-e", "-u", "-s"}, "python": {filepath.Join(tools, "python"), "-"}}
	ran := map[string]int{}
	for _, f := range readPage(t, localPage).fences(t) {
		program, ok := programs[f.kind]
		if !ok {
			continue
		}
		ran[f.kind]++
		cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
		cmd.Stdin = strings.NewReader(strings.ReplaceAll(f.text(), "http://127.0.0.1:8083", endpoint))
		cmd.Env = []string{"PATH=" + tools + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_PAGER="}
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Run(); err != nil {
			t.Errorf("%s:%d: %v\n%s", localPage, f.line, err, output.String())
		}
	}
	for kind := range programs {
		if ran[kind] == 0 {
			t.Errorf("%s shows nothing marked %s", localPage, kind)
		}
	}
}
