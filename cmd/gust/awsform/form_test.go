package awsform

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"gust/stepfunctions/jsonvalue"
)

const machines = `{"stateMachines":[
  {"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:a","name":"a","type":"STANDARD","tags":["x","y"]},
  {"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:b","name":"b"}],"truncated":false}`

func TestForms(t *testing.T) {
	t.Parallel()
	tests := []struct{ format, value, want string }{
		{"json", `{}`, ""},
		{"json", `{"a":[],"b":{},"c":[1,"<é>"]}`, "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        \"<é>\"\n    ]\n}\n"},
		{"json", `null`, "null\n"},
		{"text", `{"b":1,"a":"x","list":[{"n":true},{"m":null}]}`, "x\t1\nLIST\t\tTrue\nLIST\tNone\t\n"},
		{"text", machines, "False\n" +
			"STATEMACHINES\ta\tarn:aws:states:us-east-1:123456789012:stateMachine:a\tSTANDARD\nTAGS\tx\nTAGS\ty\n" +
			"STATEMACHINES\tb\tarn:aws:states:us-east-1:123456789012:stateMachine:b\t\n"},
		{"table", `{}`, ""},
		{"table", `{"list":[{"name":"a","n":1},{"name":"bb","n":2}]}`, strings.Join([]string{
			"-----------------",
			"|     Title     |",
			"+---------------+",
			"||    list     ||",
			"|+----+--------+|",
			"||  n | name   ||",
			"|+----+--------+|",
			"||  1 |  a     ||",
			"||  2 |  bb    ||",
			"|+----+--------+|", ""}, "\n")},
		{"yaml", `{}`, ""},
		{"yaml", `"x"`, "\"x\"\n"},
		{"yaml", `{"b":[{"y":"2024-05-01T10:00:00+00:00","x":5}],"a":"true","c":[],"d":"a: b","e":"two\nlines","f":1.50,"g":null}`,
			"a: 'true'\nb:\n- x: 5\n  y: '2024-05-01T10:00:00+00:00'\nc: []\nd: 'a: b'\ne: \"two\\nlines\"\nf: 1.5\ng: null\n"},
	}
	for _, tt := range tests {
		var b strings.Builder
		if err := (Printer{Format: tt.format, Title: "Title"}).Print(&b, parse(t, tt.value)); err != nil {
			t.Errorf("%s of %s: %v", tt.format, tt.value, err)
		} else if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", tt.format, tt.value, diff)
		}
	}
}

// TestYAMLReadsBack holds YAML to its meaning.
func TestYAMLReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := parse(t, genValue(3).Draw(t, "value"))
		if scalar(v) || v.Len() == 0 {
			return
		}
		var b strings.Builder
		if err := (Printer{Format: "yaml"}).Print(&b, v); err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := yaml.Unmarshal([]byte(b.String()), &got); err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		if err := yaml.Unmarshal([]byte(v.String()), &want); err != nil { // JSON is YAML
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s reads back differently (-want +got):\n%s", b.String(), diff)
		}
	})
}

func TestQueries(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"stateMachines[].name":                        `["a","b"]`,
		"stateMachines[?name==`a`].{N:name,A:type}":   `[{"N":"a","A":"STANDARD"}]`,
		"stateMachines[?name>'a'].name|[0]":           `"b"`,
		"stateMachines[0].*":                          `["arn:aws:states:us-east-1:123456789012:stateMachine:a","a","STANDARD",["x","y"]]`,
		"nothing.{a:b}":                               `null`,
		"length(stateMachines)":                       `2`,
		"sort_by(stateMachines,&name)[-1]|keys(@)[0]": `"stateMachineArn"`,
	} {
		q, err := CompileQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.Search(parse(t, machines))
		if err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", query, got, err, want)
		}
	}
	_, err := CompileQuery("a[")
	if err == nil || !strings.Contains(err.Error(), "--query a[ is not JMESPath: ") || !strings.Contains(err.Error(), "\n  ^") {
		t.Errorf("the error for a[ is %v", err)
	}
}

func TestShorthand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"key=a,value=b c":         `{"key":"a","value":"b c"}`,
		"a=b,c,d=e":               `{"a":["b","c"],"d":"e"}`,
		"a={b=[c,{d='e,f'}]},g=h": `{"a":{"b":["c",{"d":"e,f"}]},"g":"h"}`,
	} {
		got, err := ParseShorthand(text)
		if err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	_, err := ParseShorthand("key=a,key=b")
	if want := "the key \"key\" occurs twice; objects of a list are separated with a space\nkey=a,key=b\n      ^"; err == nil || err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
}

func FuzzShorthand(f *testing.F) {
	f.Add("a=b,c,d={e=[f,'g']}")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := ParseShorthand(text); err == nil && v.Kind() != jsonvalue.Object {
			t.Errorf("%q is %s", text, v)
		}
	})
}
