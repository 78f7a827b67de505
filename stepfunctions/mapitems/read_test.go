package mapitems_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"gust/stepfunctions/jsonvalue"
	"gust/stepfunctions/mapitems"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	getObject   = "arn:aws:states:::s3:getObject"
	listObjects = "arn:aws-cn:states:::s3:listObjectsV2"
)

func value(t testing.TB, text string) jsonvalue.Value {
	t.Helper()
	v, err := jsonvalue.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// folder makes a folder with files by their paths.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// drain reads everything; an error ends the list as text.
func drain(r *mapitems.Reader, err error) (items []string) {
	if err != nil {
		return []string{err.Error()}
	}
	defer r.Close()
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return items
		}
		if err != nil {
			return append(items, err.Error())
		}
		items = append(items, item.Value.String())
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func packed(text string) string {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestFormats(t *testing.T) {
	t.Parallel()
	csv := mapitems.Source{InputType: "CSV", CSVHeaderLocation: "FIRST_ROW"}
	given := mapitems.Source{InputType: "CSV", CSVHeaderLocation: "GIVEN", CSVHeaders: []string{"a", "b"}}
	for name, c := range map[string]struct {
		source  mapitems.Source
		content string
		want    []string
	}{
		// The two orders of fields are those of the rows in AWS's documentation.
		"csv": {csv, "userId,movieId,rating,timestamp\n1,307,3.5,1256677221\n",
			[]string{`{"rating":"3.5","movieId":"307","userId":"1","timestamp":"1256677221"}`}},
		"csv rules": {csv, "a,b\r\n\r\n1\r\n1,2,3\r\n\"x,\ny\",\"say \"\"hi\"\"\"\r\nC:\\\\P,\\q\\,\n,\nlast,row",
			[]string{`{"a":"1","b":""}`, `{"a":"1","b":"2"}`, `{"a":"x,\ny","b":"say \"hi\""}`, `{"a":"C:\\P","b":"q,"}`,
				`{"a":"","b":""}`, `{"a":"last","b":"row"}`}},
		"csv bom":      {csv, "\uFEFFa\n1\n", []string{`{"a":"1"}`}},
		"csv empty":    {csv, "", nil},
		"csv no rows":  {csv, "a,b\n", nil},
		"csv given":    {given, "1,2\n", []string{`{"a":"1","b":"2"}`}},
		"csv gzip":     {given, zipped("1,2\n3,4\n"), []string{`{"a":"1","b":"2"}`, `{"a":"3","b":"4"}`}},
		"csv pipe":     {mapitems.Source{InputType: "CSV", CSVHeaderLocation: "FIRST_ROW", CSVDelimiter: "PIPE"}, "a|b\n1,2|3\n", []string{`{"a":"1,2","b":"3"}`}},
		"csv tab":      {mapitems.Source{InputType: "CSV", CSVHeaderLocation: "FIRST_ROW", CSVDelimiter: "TAB"}, "a\tb\n1\t2\n", []string{`{"a":"1","b":"2"}`}},
		"csv space":    {mapitems.Source{InputType: "CSV", CSVHeaderLocation: "FIRST_ROW", CSVDelimiter: "SPACE"}, "a b\n1 2\n", []string{`{"a":"1","b":"2"}`}},
		"csv semi":     {mapitems.Source{InputType: "CSV", CSVHeaderLocation: "FIRST_ROW", CSVDelimiter: "SEMICOLON"}, "a;b\n1;2\n", []string{`{"a":"1","b":"2"}`}},
		"csv same":     {csv, "a,a\n1,2\n", []string{"States.ItemReaderFailed: CSV headers cannot contain duplicates."}},
		"csv big head": {csv, strings.Repeat("x", 10<<10) + "\n1\n", []string{"States.ItemReaderFailed: CSV headers cannot be larger than 10240 bytes, got 10241."}},
		"csv no place": {mapitems.Source{InputType: "CSV"}, "a\n", []string{"States.ItemReaderFailed: CSVHeaderLocation must be FIRST_ROW or GIVEN when the InputType is CSV."}},
		"csv none":     {mapitems.Source{InputType: "CSV", CSVHeaderLocation: "GIVEN"}, "a\n", []string{"States.ItemReaderFailed: CSVHeaders must be given when CSVHeaderLocation is GIVEN."}},

		"json array":  {mapitems.Source{InputType: "JSON"}, `[1.0, {"b":1,"a":2}, null]`, []string{`1.0`, `{"b":1,"a":2}`, `null`}},
		"json object": {mapitems.Source{InputType: "JSON"}, `{"b":1,"a":[2]}`, []string{`{"Key":"b","Value":1}`, `{"Key":"a","Value":[2]}`}},
		"json scalar": {mapitems.Source{InputType: "JSON"}, `"x"`, []string{"States.ItemReaderFailed: Attempting to map over non-iterable node."}},
		"json cut":    {mapitems.Source{InputType: "JSON"}, `[1,`, []string{"1", "States.ItemReaderFailed: s3://b/k, byte 3, is not the expected JSON: unexpected EOF"}},
		"json open":   {mapitems.Source{InputType: "JSON"}, `[1`, []string{"1", "States.ItemReaderFailed: s3://b/k, byte 2, is not the expected JSON: unexpected EOF"}},
		"pointer":     {mapitems.Source{InputType: "JSON", ItemsPointer: "/x~1y/1/items"}, `{"skip":{"x/y":[[9]]},"x/y":[0,{"items":[7,8]}]}`, []string{"7", "8"}},
		"pointer gone": {mapitems.Source{InputType: "JSON", ItemsPointer: "/a/b"}, `{"a":{"c":[]}}`,
			[]string{"States.ItemReaderFailed: Attempting to map over non-iterable node."}},
		"pointer scalar": {mapitems.Source{InputType: "JSON", ItemsPointer: "/a/b"}, `{"a":1}`,
			[]string{"States.ItemReaderFailed: Attempting to map over non-iterable node."}},
		"pointer index": {mapitems.Source{InputType: "JSON", ItemsPointer: "/2"}, `[[1],[2]]`,
			[]string{"States.ItemReaderFailed: Attempting to map over non-iterable node."}},
		"pointer form": {mapitems.Source{InputType: "JSON", ItemsPointer: "a"}, `{}`,
			[]string{"States.ItemReaderFailed: ItemsPointer must be a JSON pointer that starts with a slash, got: a"}},

		"jsonl":     {mapitems.Source{InputType: "JSONL"}, "{\"a\":1}\r\n\n[2]\n3", []string{`{"a":1}`, `[2]`, `3`}},
		"jsonl bad": {mapitems.Source{InputType: "JSONL"}, "1\n{x\n", []string{"1", "States.ItemReaderFailed: s3://b/k, line 2, is not JSON: Unexpected character ('x' (code 120)): was expecting double-quote to start field name (line 1, column 3)"}},
		"parquet":   {mapitems.Source{InputType: "PARQUET"}, "PAR1", []string{"States.ItemReaderFailed: s3://b/k: Parquet files cannot be read by the local Step Functions service; convert the dataset to JSONL or CSV."}},
		"zstd":      {mapitems.Source{InputType: "JSONL"}, packed("1\n[2]\n"), []string{"1", "[2]"}},
		"zstd cut":  {mapitems.Source{InputType: "JSONL"}, packed("1\n")[:9], []string{"States.ItemReaderFailed: s3://b/k cannot be read: unexpected EOF"}},
		"max":       {mapitems.Source{InputType: "JSONL", MaxItems: 2}, "1\n2\n3\n", []string{"1", "2"}},
		"max below": {mapitems.Source{InputType: "JSONL", MaxItems: -1}, "1\n", []string{"States.ItemReaderFailed: field MaxItems must be positive"}},
		"typo":      {mapitems.Source{InputType: "JSNL"}, "1\n", []string{"States.ItemReaderFailed: The field 'InputType' has the value 'JSNL'; expected one of: CSV, JSON, JSONL, PARQUET, MANIFEST. Did you mean JSONL?"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.source.Resource, c.source.Parameters = getObject, value(t, `{"Bucket":"b","Key":"k","VersionId":"1"}`)
			store := mapitems.Open(folder(t, map[string]string{"b/k": c.content}))
			if d := cmp.Diff(c.want, drain(store.Read(t.Context(), c.source))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{
		"b/p/a/1": "1\n2\n", "b/p/a-1": "3\n", "b/p/z": "4\n", "b/p0": "5\n", "b/q": "6\n", "secret": "no",
		"data/one.gz": zipped("7\n"), "data/two": "8\n9\n", "b/athena.csv": "s3://data/one.gz\ns3://data/two\n", "b/athena-bad.csv": "\"data/one\"\n",
		"b/inv.json":      `{"sourceBucket":"s","destinationBucket":"arn:aws:s3:::data","fileFormat":"CSV","fileSchema":"Bucket, Key, Size, LastModifiedDate","files":[{"key":"i/1.csv.gz"}]}`,
		"data/i/1.csv.gz": zipped("\"src\",\"csvDataset/titles.csv\",\"3399671\",\"2022-11-16T00:29:32.000Z\"\n"), "b/orc.json": `{"fileFormat":"ORC"}`, "b/text.json": `x`,
	})
	at := time.Unix(1789180622, 0)
	if err := os.Chtimes(filepath.Join(root, "b/p/z"), at, at); err != nil {
		t.Fatal(err)
	}
	store := mapitems.Open(root)
	for name, c := range map[string]struct {
		resource, parameters string
		source               mapitems.Source
		want                 []string
	}{
		"list one": {listObjects, `{"Bucket":"b","Prefix":"p/z"}`, mapitems.Source{},
			[]string{`{"Etag":"\"48a24b70a0b376535542b996af517398\"","Key":"p/z","LastModified":1.789180622E9,"Size":2,"StorageClass":"STANDARD"}`}},
		"list none":   {listObjects, `{"Bucket":"b","Prefix":"nothing/"}`, mapitems.Source{}, nil},
		"flatten":     {listObjects, `{"Bucket":"b","Prefix":"p"}`, mapitems.Source{InputType: "JSONL", Transformation: "LOAD_AND_FLATTEN"}, []string{"3", "1", "2", "4", "5"}},
		"flatten max": {listObjects, `{"Bucket":"b","Prefix":"p/"}`, mapitems.Source{InputType: "JSONL", Transformation: "LOAD_AND_FLATTEN", MaxItems: 2}, []string{"3", "1"}},
		"flatten bad": {listObjects, `{"Bucket":"b","Prefix":"text"}`, mapitems.Source{InputType: "JSON", Transformation: "LOAD_AND_FLATTEN"}, []string{"States.ItemReaderFailed: s3://b/text.json, byte 0, is not the expected JSON: invalid character 'x' looking for beginning of value"}},
		"athena":      {getObject, `{"Bucket":"b","Key":"athena.csv"}`, mapitems.Source{InputType: "JSONL", ManifestType: "ATHENA_DATA"}, []string{"7", "8", "9"}},
		"athena bad":  {getObject, `{"Bucket":"b","Key":"athena-bad.csv"}`, mapitems.Source{InputType: "JSONL", ManifestType: "ATHENA_DATA"}, []string{"States.ItemReaderFailed: s3://b/athena-bad.csv, line 1: expected the URI of an object, s3://bucket/key, got: data/one"}},
		"inventory":   {getObject, `{"Bucket":"b","Key":"inv.json"}`, mapitems.Source{InputType: "MANIFEST"}, []string{`{"LastModifiedDate":"2022-11-16T00:29:32.000Z","Bucket":"src","Size":"3399671","Key":"csvDataset/titles.csv"}`}},
		"inventory 2": {getObject, `{"Bucket":"b","Key":"orc.json"}`, mapitems.Source{ManifestType: "S3_INVENTORY"}, []string{`States.ItemReaderFailed: s3://b/orc.json: the manifest of an S3 inventory must have the fileFormat CSV and a fileSchema, got "ORC" and "".`}},
		"inventory 3": {getObject, `{"Bucket":"b","Key":"text.json"}`, mapitems.Source{ManifestType: "S3_INVENTORY"}, []string{"States.ItemReaderFailed: s3://b/text.json is not the manifest of an S3 inventory: invalid character 'x' looking for beginning of value"}},
		"no key":      {getObject, `{"Bucket":"b","Key":"none"}`, mapitems.Source{InputType: "JSON"}, []string{"States.ItemReaderFailed: The specified key does not exist. (Service: Amazon S3; Status Code: 404; Error Code: NoSuchKey; Bucket: b; Key: none; Local file: " + root + "/b/none)"}},
		"a folder":    {getObject, `{"Bucket":"b","Key":"p"}`, mapitems.Source{InputType: "JSON"}, []string{"States.ItemReaderFailed: The specified key does not exist. (Service: Amazon S3; Status Code: 404; Error Code: NoSuchKey; Bucket: b; Key: p; Local file: " + root + "/b/p)"}},
		"no bucket":   {listObjects, `{"Bucket":"none"}`, mapitems.Source{}, []string{"States.ItemReaderFailed: The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Bucket: none; Local folder: " + root + "/none)"}},
		"outside":     {getObject, `{"Bucket":"b","Key":"../secret"}`, mapitems.Source{InputType: "JSON"}, []string{`States.ItemReaderFailed: The specified key is not valid for the local folder that stands for S3: "../secret".`}},
		"outside 2":   {getObject, `{"Bucket":"..","Key":"x"}`, mapitems.Source{InputType: "JSON"}, []string{`States.ItemReaderFailed: The specified bucket is not valid: "..".`}},
		"no text":     {getObject, `{"Bucket":1,"Key":"x"}`, mapitems.Source{InputType: "JSON"}, []string{`States.ItemReaderFailed: The parameter 'Bucket' of the ItemReader must be a text, got: 1`}},
		"no resource": {"arn:aws:states:::s3:putObject", `{"Bucket":"b"}`, mapitems.Source{}, []string{`States.ItemReaderFailed: The resource "arn:aws:states:::s3:putObject" of the ItemReader is not known; expected arn:aws:states:::s3:getObject or arn:aws:states:::s3:listObjectsV2.`}},
	} {
		c.source.Resource, c.source.Parameters = c.resource, value(t, c.parameters)
		if d := cmp.Diff(c.want, drain(store.Read(t.Context(), c.source))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if got := drain(mapitems.Open("").Read(t.Context(), mapitems.Source{Resource: getObject, Parameters: value(t, `{"Bucket":"b","Key":"k"}`)})); len(got) != 1 ||
		!strings.Contains(got[0], "Set stepfunctions.s3_folder to a folder") {
		t.Errorf("without a folder: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := drain(store.Read(ctx, mapitems.Source{Resource: listObjects, Parameters: value(t, `{"Bucket":"b"}`)})); len(got) != 1 ||
		!strings.Contains(got[0], "context canceled") {
		t.Errorf("cancelled: %v", got)
	}
}

func TestOrderOfKeysAndSources(t *testing.T) {
	t.Parallel()
	store := mapitems.Open(folder(t, map[string]string{"b/p/a/1": "1\n2\n", "b/p/a-1": "3\n", "b/p/a.b": "", "b/p/aa": ""}))
	r, err := store.Read(t.Context(), mapitems.Source{Resource: listObjects, Parameters: value(t, `{"Bucket":"b"}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Skip(1); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"p/a.b", "p/a/1", "p/aa"} {
		item, err := r.Next()
		key, _ := item.Value.Get("Key")
		if err != nil || key.Text() != want || item.Source != "s3://b" || item.Index != int64(i+1) || item.Key != nil {
			t.Errorf("%d: %+v %v, want %s", i, item, err, want)
		}
	}
	if err := r.Skip(5); err != nil {
		t.Errorf("skipping over the end: %v", err)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		`[1,"a"]`: {"1", `"a"`}, `[]`: nil, `{"b":1,"a":2}`: {`{"Key":"b","Value":1}`, `{"Key":"a","Value":2}`},
		`"x"`: {"States.ItemReaderFailed: Attempting to map over non-iterable node."},
	} {
		if d := cmp.Diff(want, drain(mapitems.Values(value(t, in)))); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
	r, err := mapitems.Values(value(t, `{"b":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if item, err := r.Next(); err != nil || item.Key == nil || *item.Key != "b" || item.Source != "STATE_DATA" {
		t.Errorf("%+v %v", item, err)
	}
}

// endless is content that never ends and counts what is taken from it.
type endless struct {
	head, body string
	taken      int
}

func (e *endless) Read(p []byte) (int, error) {
	text := e.body
	if e.taken < len(e.head) {
		text = e.head[e.taken:]
	}
	n := copy(p, text)
	e.taken += n
	return n, nil
}

func TestStreaming(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source     mapitems.Source
		head, body string
	}{
		"csv":     {mapitems.Source{InputType: "CSV", CSVHeaderLocation: "FIRST_ROW"}, "a,b\n", "1,2\n"},
		"json":    {mapitems.Source{InputType: "JSON"}, "[", `{"a":1},`},
		"object":  {mapitems.Source{InputType: "JSON"}, "{", `"a":1,`},
		"pointer": {mapitems.Source{InputType: "JSON", ItemsPointer: "/x"}, `{"y":[` + strings.Repeat("1,", 1<<20) + `0],"x":[`, `7,`},
		"jsonl":   {mapitems.Source{InputType: "JSONL"}, "", "1\n"},
	} {
		content := &endless{head: c.head, body: c.body}
		n := 0
		for item, err := range c.source.Items(content, "s3://b/k") {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n++; n == 100_000 {
				break
			}
			_ = item
		}
		if over := content.taken - len(c.head) - n*len(c.body); over > 512<<10 {
			t.Errorf("%s: %d bytes were read ahead", name, over)
		}
	}
	line := &endless{body: strings.Repeat("x", 1000)}
	for _, err := range (mapitems.Source{InputType: "JSONL"}).Items(line, "s3://b/k") {
		if err == nil || !strings.Contains(err.Error(), "an item cannot be larger than 8388608 bytes") {
			t.Errorf("an endless line: %v", err)
		}
	}
	if line.taken > 10<<20 {
		t.Errorf("%d bytes of an endless line were read", line.taken)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n1,\"2\n\"\"3\",\\\\\n")
	f.Fuzz(func(t *testing.T, content string) {
		source := mapitems.Source{InputType: "CSV", CSVHeaderLocation: "GIVEN", CSVHeaders: []string{"a", "b"}}
		for item, err := range source.Items(strings.NewReader(content), "s3://b/k") {
			if err != nil {
				return
			}
			if item.Value.Len() != 2 {
				t.Fatalf("%q: %s", content, item.Value)
			}
		}
	})
}
