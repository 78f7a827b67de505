package mapitems_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gust/stepfunctions/mapitems"
)

func TestBatches(t *testing.T) {
	t.Parallel()
	input := value(t, `{"k":1}`)
	for name, c := range map[string]struct {
		batching *mapitems.Batching
		items    []string
		want     []string
	}{
		"none":     {nil, []string{"1", `{"a":2}`}, []string{"0+1 1", `1+1 {"a":2}`}},
		"count":    {&mapitems.Batching{MaxItems: 2}, []string{"1", "2", "3"}, []string{`0+2 {"Items":[1,2]}`, `2+1 {"Items":[3]}`}},
		"input":    {&mapitems.Batching{MaxItems: 2, Input: &input}, []string{"1"}, []string{`0+1 {"BatchInput":{"k":1},"Items":[1]}`}},
		"bytes":    {&mapitems.Batching{MaxBytes: 17}, []string{"100", "2", "300"}, []string{`0+2 {"Items":[100,2]}`, `2+1 {"Items":[300]}`}},
		"both":     {&mapitems.Batching{MaxItems: 3, MaxBytes: 17}, []string{"1", "2", "3", "4"}, []string{`0+3 {"Items":[1,2,3]}`, `3+1 {"Items":[4]}`}},
		"two":      {&mapitems.Batching{MaxItems: 1}, []string{"1", "2"}, []string{`0+1 {"Items":[1]}`, `1+1 {"Items":[2]}`}},
		"too big":  {&mapitems.Batching{MaxBytes: 13}, []string{"1", "22222"}, []string{`0+1 {"Items":[1]}`, "States.DataLimitExceeded: The input of the child execution of item 1 has 17 bytes, more than the maximum of 13. Make it smaller with ItemSelector."}},
		"256 KiB":  {nil, []string{`"` + strings.Repeat("x", 256<<10) + `"`}, []string{"States.DataLimitExceeded: The input of the child execution of item 0 has 262146 bytes, more than the maximum of 262144. Make it smaller with ItemSelector."}},
		"no items": {&mapitems.Batching{}, nil, nil},
	} {
		b := mapitems.NewBatcher(c.batching)
		var got []string
		note := func(batches ...mapitems.Batch) {
			for _, x := range batches {
				got = append(got, string(rune('0'+x.First))+"+"+string(rune('0'+x.Items))+" "+x.Input)
			}
		}
		for _, item := range c.items {
			batches, err := b.Add(value(t, item))
			note(batches...)
			if err != nil {
				got = append(got, err.Error())
			}
		}
		if last, ok := b.Flush(); ok {
			note(last)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func pointer(s string) *string { return &s }

var results = []mapitems.Result{
	{ExecutionARN: "arn:1", Name: "n1", StateMachineARN: "sm", Status: "SUCCEEDED", Input: `"a"`, Output: `[{"b":1.0},2]`,
		Started: time.UnixMilli(1738633790099), Stopped: time.UnixMilli(1738633790163), RedriveStatus: "NOT_REDRIVABLE", RedriveStatusReason: "r"},
	{ExecutionARN: "arn:2", Name: "n2", StateMachineARN: "sm", Status: "TIMED_OUT", Input: "2", Error: pointer("States.Timeout"),
		Started: time.UnixMilli(0), Stopped: time.UnixMilli(1000), RedriveStatus: "REDRIVABLE_BY_MAP_RUN"},
	{ExecutionARN: "arn:3", Name: "n3", StateMachineARN: "sm", Status: "PENDING", Input: "3"},
	{ExecutionARN: "arn:4", Name: "n4", StateMachineARN: "sm", Status: "SUCCEEDED", Input: "4", Output: `"x"`},
}

const (
	whole1 = `{"ExecutionArn":"arn:1","Input":"\"a\"","InputDetails":{"Included":true},"Name":"n1","Output":"[{\"b\":1.0},2]","OutputDetails":{"Included":true},"RedriveCount":0,"RedriveStatus":"NOT_REDRIVABLE","RedriveStatusReason":"r","StartDate":"2025-02-04T01:49:50.099Z","StateMachineArn":"sm","Status":"SUCCEEDED","StopDate":"2025-02-04T01:49:50.163Z"}`
	whole2 = `{"Error":"States.Timeout","ExecutionArn":"arn:2","Input":"2","InputDetails":{"Included":true},"Name":"n2","RedriveCount":0,"RedriveStatus":"REDRIVABLE_BY_MAP_RUN","StartDate":"1970-01-01T00:00:00.000Z","StateMachineArn":"sm","Status":"TIMED_OUT","StopDate":"1970-01-01T00:00:01.000Z"}`
	whole3 = `{"ExecutionArn":"arn:3","Input":"3","InputDetails":{"Included":true},"Name":"n3","RedriveCount":0,"StateMachineArn":"sm","Status":"PENDING"}`
	whole4 = `{"ExecutionArn":"arn:4","Input":"4","InputDetails":{"Included":true},"Name":"n4","Output":"\"x\"","OutputDetails":{"Included":true},"RedriveCount":0,"StateMachineArn":"sm","Status":"SUCCEEDED"}`
)

const mapRun = "arn:aws:states:us-east-1:123456789012:mapRun:m/Map:4977ded7-b097-3bee-81e1-7863c5660f29"

func TestResultWriter(t *testing.T) {
	t.Parallel()
	const id = "4977ded7-b097-3bee-81e1-7863c5660f29"
	for name, c := range map[string]struct {
		writing mapitems.Writing
		want    map[string]string
	}{
		"none": {mapitems.Writing{}, map[string]string{
			"SUCCEEDED_0.json": "[" + whole1 + "," + whole4 + "]", "FAILED_0.json": "[" + whole2 + "]", "PENDING_0.json": "[" + whole3 + "]"}},
		"compact": {mapitems.Writing{Transformation: "COMPACT"}, map[string]string{
			"SUCCEEDED_0.json": `[[{"b":1.0},2],"x"]`, "FAILED_0.json": "[" + whole2 + "]", "PENDING_0.json": "[" + whole3 + "]"}},
		"flatten lines": {mapitems.Writing{Transformation: "FLATTEN", OutputType: "JSONL"}, map[string]string{
			"SUCCEEDED_0.jsonl": "{\"b\":1.0}\n2\n\"x\"\n", "FAILED_0.jsonl": whole2 + "\n", "PENDING_0.jsonl": whole3 + "\n"}},
	} {
		root := folder(t, map[string]string{"out/keep": "x"})
		c.writing.Resource, c.writing.Parameters = "arn:aws:states:::s3:putObject", value(t, `{"Bucket":"out","Prefix":"jobs/"}`)
		w, err := mapitems.Open(root).NewResultWriter(c.writing, mapRun)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if err := w.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		d, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"MapRunArn":"` + mapRun + `","ResultWriterDetails":{"Bucket":"out","Key":"jobs/` + id + `/manifest.json"}}`; d.Output(mapRun).String() != want {
			t.Errorf("%s: output %s", name, d.Output(mapRun))
		}
		files := map[string]string{}
		entries, err := os.ReadDir(filepath.Join(root, "out/jobs", id))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(root, "out/jobs", id, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = string(text)
		}
		manifest := value(t, files["manifest.json"])
		delete(files, "manifest.json")
		if d := cmp.Diff(c.want, files); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		listed, _ := manifest.Get("ResultFiles")
		for i, group := range []string{"FAILED", "PENDING", "SUCCEEDED"} {
			first := listed.At(i).At(0)
			key, _ := first.Get("Key")
			size, _ := first.Get("Size")
			n, _ := size.Int()
			if listed.Key(i) != group || int(n) != len(files[filepath.Base(key.Text())]) || !strings.HasPrefix(key.Text(), "jobs/"+id+"/"+group) {
				t.Errorf("%s: manifest %s", name, manifest)
			}
		}
	}
}

func TestResultFilesAreSplit(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"out/keep": "x"})
	w, err := mapitems.Open(root).NewResultWriter(mapitems.Writing{Resource: "arn:aws:states:::s3:putObject", Transformation: "COMPACT",
		Parameters: value(t, `{"Bucket":"out"}`)}, mapRun)
	if err != nil {
		t.Fatal(err)
	}
	w.SetMaxFileBytes(10)
	for range 5 {
		if err := w.Add(mapitems.Result{Status: "SUCCEEDED", Output: "1234"}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(root, "out", d.Key))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`SUCCEEDED_0.json","Size":6}`, `SUCCEEDED_4.json","Size":6}`, `"FAILED":[]`} {
		if !strings.Contains(string(manifest), want) {
			t.Errorf("%s misses %s", manifest, want)
		}
	}
}

func TestResultWriterErrors(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"out/keep": "x", "out/file": "x"})
	for want, w := range map[string]mapitems.Writing{
		"NoSuchBucket":        {Resource: "arn:aws:states:::s3:putObject", Parameters: value(t, `{"Bucket":"none"}`)},
		"is not known":        {Resource: "arn:aws:states:::s3:getObject", Parameters: value(t, `{"Bucket":"out"}`)},
		"expected one of":     {Resource: "arn:aws:states:::s3:putObject", Parameters: value(t, `{"Bucket":"out"}`), OutputType: "XML"},
		"cannot be made":      {Resource: "arn:aws:states:::s3:putObject", Parameters: value(t, `{"Bucket":"out","Prefix":"file/x"}`)},
		"escapes from parent": {Resource: "arn:aws:states:::s3:putObject", Parameters: value(t, `{"Bucket":"out","Prefix":"../../x"}`)},
	} {
		_, err := mapitems.Open(root).NewResultWriter(w, mapRun)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "States.ResultWriterFailed: ") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	w, err := mapitems.Open(root).NewResultWriter(mapitems.Writing{Resource: "arn:aws:states:::s3:putObject", Transformation: "COMPACT",
		Parameters: value(t, `{"Bucket":"out"}`)}, mapRun)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(results[0]); err != nil {
		t.Fatal(err)
	}
	w.Abandon()
	left, err := filepath.Glob(filepath.Join(root, "out/*/*"))
	if err != nil || len(left) != 0 {
		t.Errorf("an abandoned writer left %v %v", left, err)
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]mapitems.Writing{
		`[[{"b":1.0},2],` + whole2 + `]`:  {},
		`[{"b":1.0},2,` + whole2 + `]`:    {Transformation: "FLATTEN"},
		`[` + whole1 + `,` + whole2 + `]`: {Transformation: "NONE"},
		`"[{\"b\":1.0},2]\n\"x\"\n"`:      {OutputType: "JSONL"},
	} {
		in := results[:2]
		if w.OutputType == "JSONL" {
			in = []mapitems.Result{results[0], results[3]}
		}
		if got, err := w.Collect(in); err != nil || got.String() != want {
			t.Errorf("%s %v\nwant %s", got, err, want)
		}
	}
	if _, err := (mapitems.Writing{}).Collect([]mapitems.Result{{Status: "SUCCEEDED", Output: "{"}}); err == nil {
		t.Error("an output that is not JSON was collected")
	}
}
