package dagfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scalars are plain YAML scalars at and around the edges of YAML 1.1's patterns.
var scalars = strings.Fields(`yes Yes YES yEs no No NO on On ON off Off OFF oN true True TRUE tRue false False FALSE
	y n Y N null Null NULL nULL ~ none None 0 00 007 010 08 09 0_7 -010 +7 -7 +0 1_000 _1 1_ 1__0 0b101 0b 0b_1 0b102
	0x1F 0xfg 0x_ff 0XFF 0o10 1:30 01:30 1:60 1:5 12:30:00 1:30:61 -1:30 0:30 190:20:30 1:30.5 190:20:30.15 1.5 1. .5 -.5
	+.5 1.5.1 1.0.0 1e3 1.0e3 1.0e+3 1.0e-3 1.0E+3 .5e+2 1_0.5_0 1._5 .inf -.inf +.inf .Inf .INF .iNF .nan .NaN .NAN
	.nAn inf nan 2024-11-11 2024-1-1 2024-01-1 24-01-01 2024-01-01T10:00:00 2024-01-01T10:00 2024-01-01t10:00:00.5
	2024-1-1T1:00:00 2024-01-01T10:00:00Z 2024-01-01T10:00:00+02:00 2024-01-01T10:00:00-5 2024-01-01T10:00:00.123456789
	2024-01-01T10:00:00. 123456789012345678901234567890 -9223372036854775808 9223372036854775808 9223372036854775807
	0x8000000000000000 1e400 1.0e+400 -0 -0.0 +1.5 1-2 1,000 a.b - -- + . .. 1.2.3.4 12e 5m 90s @`)

// TestScalarsAsPyYAML reads every scalar with PyYAML and compares.
func TestScalarsAsPyYAML(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import yaml").Run(); err != nil {
		t.Skip("the python module yaml is not installed")
	}
	const script = `
import sys, json, yaml, datetime
def show(v):
    if isinstance(v, datetime.datetime): return "datetime " + str(v)
    if isinstance(v, datetime.date): return "date " + str(v)
    return type(v).__name__ + " " + str(v)
out = []
for text in json.load(sys.stdin):
    try: out.append(show(yaml.load("k: " + text, yaml.FullLoader)["k"]))
    except Exception as e: out.append("error")
json.dump(out, sys.stdout)
`
	in, err := json.Marshal(scalars)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", script)
	cmd.Stdin = bytes.NewReader(in)
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	names := map[kind]string{
		kindNull: "NoneType", kindBool: "bool", kindInt: "int", kindFloat: "float", kindText: "str", kindDate: "date",
		kindDateTime: "datetime",
	}
	for i, text := range scalars {
		got := "error"
		if v := parse(newSource("x", []byte("k: "+text), noEnv), newReporter("x")); v != nil {
			k := v.get("k")
			if _, _, err := plainScalar(text); err == nil {
				got = names[k.kind] + " " + pythonText(k.kind, k.data)
			}
		}
		if got != want[i] {
			t.Errorf("%q: got %s, PyYAML has %s", text, got, want[i])
		}
	}
}

func noEnv(string) (string, bool) { return "", false }

func TestExpandAsPython(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"A": "1", "B_2": "two", "é": "never", "": "never", "9": "nine", "NESTED": "$A", "X:-y": "odd",
	}
	getenv := func(name string) (string, bool) { v, ok := env[name]; return v, ok && name != "" }
	for _, c := range []struct{ text, want string }{
		{"$A ${A} $AB ${AB} $$A \\$A", "1 1 $AB ${AB} $1 \\1"},
		{"$", "$"},
		{"$$", "$$"},
		{"${", "${"},
		{"${A", "${A"},
		{"${}", "${}"},
		{"$(date) $1 $9 {{ ds }}", "$(date) $1 nine {{ ds }}"},
		{"$B_2$A", "two1"},
		{"$Aé", "1é"},
		{"$é", "$é"},
		{"${X:-y}", "odd"},
		{"$NESTED", "$A"},
		{"${B\n} $A", "${B\n} 1"},
		{"${${A}}", "${${A}}"},
	} {
		if got := string(newSource("x", []byte(c.text), getenv).text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestLocate checks that positions in the expanded text lead back to the original one.
func TestLocate(t *testing.T) {
	t.Parallel()
	env := map[string]string{"LONG": "0123456789", "NONE": "", "TWO": "x\ny"}
	getenv := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	text := "é$LONG|$NONE|\n|$TWO|\n|"
	s := newSource("x", []byte(text), getenv)
	if got, want := string(s.text), "é0123456789||\n|x\ny|\n|"; got != want {
		t.Fatalf("expanded to %q, want %q", got, want)
	}
	type at struct{ line, col int32 }
	for expanded, original := range map[at]at{
		{1, 1}: {1, 1}, {1, 2}: {1, 2}, {1, 5}: {1, 2}, {1, 12}: {1, 7}, {1, 13}: {1, 13},
		{2, 1}: {2, 1}, {2, 2}: {2, 2}, {3, 1}: {2, 2}, {3, 2}: {2, 6}, {4, 1}: {3, 1},
	} {
		_, line, col := s.locate(pos{s, place(expanded)})
		if got := (at{int32(line), int32(col)}); got != original {
			t.Errorf("%v leads to %v, want %v", expanded, got, original)
		}
	}
}

func TestRelativeSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]span{
		"1 hour":                      {clock: time.Hour},
		"1 hour 30 minutes":           {clock: time.Hour},
		"2 hours2 minutes":            {clock: 2 * time.Hour},
		"2 hour2 minute":              {clock: 2*time.Hour + 2*time.Minute},
		"1 days,":                     {days: 1},
		"10 DAYS":                     {days: 10},
		"90 seconds":                  {clock: 90 * time.Second},
		"1 hour1 minute1 second1 day": {days: 1, clock: time.Hour + time.Minute + time.Second},
	} {
		got, ok := relativeSpan(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(span{})); !ok || diff != "" {
			t.Errorf("%q: %v %s", text, ok, diff)
		}
	}
	for _, text := range []string{"", "2days", "day", "-1 day", "1 week", " 1 day", "x 1 day", "99999999999999999 days"} {
		if got, ok := relativeSpan(text); ok {
			t.Errorf("%q reads as %v", text, got)
		}
	}
}

func TestIsoMoment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2024-01-31": "2024-01-31 00:00:00", "20240131": "2024-01-31 00:00:00", "2024-01": "2024-01-01 00:00:00",
		"2024": "2024-01-01 00:00:00", "2024/1/5": "2024-01-05 00:00:00", "2024-060": "2024-02-29 00:00:00",
		"2024-W01": "2024-01-01 00:00:00", "2021W537": "2022-01-09 00:00:00", "2024-W05-3": "2024-01-31 00:00:00",
		"2024-01-31T10": "2024-01-31 10:00:00", "2024-01-31 10:20": "2024-01-31 10:20:00",
		"2024-01-31T10:20:30.5+02:00": "2024-01-31 10:20:30.5", "20240131T102030Z": "2024-01-31 10:20:30",
	} {
		got, ok := isoMoment(text)
		if !ok || got.Format("2006-01-02 15:04:05.999") != want {
			t.Errorf("%q: got %v %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "205-01-01-01", "2024-13-01", "2024-02-30", "2024-366x", "2023-366", "2024-01-31T25:00", "0000-01-01", "2 days",
	} {
		if got, ok := isoMoment(text); ok {
			t.Errorf("%q reads as %v", text, got)
		}
	}
}

func TestPythonText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k    kind
		data any
		want string
	}{
		{kindFloat, 1e16, "1e+16"}, {kindFloat, 1e15, "1000000000000000.0"}, {kindFloat, 0.0001, "0.0001"},
		{kindFloat, 0.00001, "1e-05"}, {kindFloat, 0.0, "0.0"}, {kindBool, false, "False"}, {kindNull, nil, "None"},
		{kindInt, int64(5), "5"}, {kindText, "x", "x"},
	} {
		if got := pythonText(c.k, c.data); got != c.want {
			t.Errorf("%v: got %s, want %s", c.data, got, c.want)
		}
	}
	if got := fmt.Sprint(kindDateTime); got != "datetime" {
		t.Errorf("kindDateTime prints as %s", got)
	}
}
