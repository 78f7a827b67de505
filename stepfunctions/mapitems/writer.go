package mapitems

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// putObject is the resource of a result writer, without its partition.
const putObject = ":states:::s3:putObject"

// maxFileBytes is the largest result file: another one is begun when it is reached.
const maxFileBytes = 5 << 30

// resultFiles are the groups of result files, in the order of the manifest.
var resultFiles = []string{"FAILED", "PENDING", succeeded}

// ResultWriter writes the results of a map run into a bucket. Nothing can be seen there under its final name before
// Close. It is used by one goroutine at a time.
type ResultWriter struct {
	writing   Writing
	mapRunARN string
	bucket    string
	folder    string
	root      *os.Root
	max       int64
	open      map[string]*resultFile
	written   map[string][]writtenFile
}

// resultFile is a file in work.
type resultFile struct {
	key  string
	f    *os.File
	w    *bufio.Writer
	size int64
	some bool
}

type writtenFile struct {
	key  string
	size int64
}

// partial ends the names of files in work.
const partial = ".partial"

// NewResultWriter begins to write the results of a map run, whose id names the folder. Files that an interrupted
// attempt left behind are overwritten. Close or Abandon the writer.
func (s *Store) NewResultWriter(w Writing, mapRunARN string) (*ResultWriter, error) {
	if !strings.HasSuffix(w.Resource, putObject) {
		return nil, writerFailed("The resource %q of the ResultWriter is not known; expected arn:aws%s.", w.Resource, putObject)
	}
	for _, field := range []struct {
		name, value string
		values      []string
	}{
		{"Transformation", w.Transformation, []string{"NONE", "COMPACT", "FLATTEN"}}, {"OutputType", w.OutputType, []string{"JSON", "JSONL"}},
	} {
		if field.value != "" && !slices.Contains(field.values, field.value) {
			return nil, writerFailed("The field '%s' has the value '%s'; expected one of: %s.", field.name, field.value,
				strings.Join(field.values, ", "))
		}
	}
	bucket, prefix := "", ""
	if v, ok := w.Parameters.Get("Bucket"); ok {
		bucket = v.Text()
	}
	if v, ok := w.Parameters.Get("Prefix"); ok {
		prefix = v.Text()
	}
	root, err := s.bucket(bucket)
	if err != nil {
		return nil, writerFailed("%s", asCause(err))
	}
	_, id, _ := strings.Cut(mapRunARN, ":mapRun:")
	id = id[strings.LastIndexByte(id, ':')+1:]
	r := &ResultWriter{writing: w, mapRunARN: mapRunARN, bucket: bucket, root: root, max: maxFileBytes,
		folder: path.Join(strings.Trim(prefix, "/"), id), open: map[string]*resultFile{}, written: map[string][]writtenFile{}}
	if err := root.MkdirAll(r.folder, 0o755); err != nil {
		return nil, errors.Join(writerFailed("The folder %s of the bucket %s cannot be made: %v", r.folder, bucket, err), root.Close())
	}
	return r, nil
}

func asCause(err error) string {
	var known *Error
	if errors.As(err, &known) {
		return known.Cause
	}
	return err.Error()
}

// Add writes a result.
func (r *ResultWriter) Add(result Result) error {
	values, err := r.writing.transform(result)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := r.write(result.file(), v); err != nil {
			return err
		}
	}
	return nil
}

func (r *ResultWriter) write(group string, v jsonvalue.Value) error {
	text := v.Append(nil)
	file := r.open[group]
	if file != nil && file.some && file.size+int64(len(text))+2 > r.max {
		if err := r.finish(group); err != nil {
			return err
		}
		file = nil
	}
	if file == nil {
		var err error
		if file, err = r.begin(group); err != nil {
			return err
		}
	}
	lines := r.writing.OutputType == "JSONL"
	switch {
	case lines:
		text = append(text, '\n')
	case file.some:
		text = append([]byte{','}, text...)
	default:
		text = append([]byte{'['}, text...)
	}
	file.some = true
	n, err := file.w.Write(text)
	file.size += int64(n)
	return r.failed(file.key, err)
}

// begin opens the next file of a group.
func (r *ResultWriter) begin(group string) (*resultFile, error) {
	extension := ".json"
	if r.writing.OutputType == "JSONL" {
		extension = ".jsonl"
	}
	key := path.Join(r.folder, fmt.Sprintf("%s_%d%s", group, len(r.written[group]), extension))
	f, err := r.root.Create(key + partial)
	if err != nil {
		return nil, r.failed(key, err)
	}
	file := &resultFile{key: key, f: f, w: bufio.NewWriterSize(f, 64<<10)}
	r.open[group] = file
	return file, nil
}

// finish ends the open file of a group and gives it its name.
func (r *ResultWriter) finish(group string) error {
	file := r.open[group]
	delete(r.open, group)
	var err error
	if r.writing.OutputType != "JSONL" {
		err = file.w.WriteByte(']')
		file.size++
	}
	err = errors.Join(err, file.w.Flush(), file.f.Close())
	if err == nil {
		err = r.root.Rename(file.key+partial, file.key)
	}
	r.written[group] = append(r.written[group], writtenFile{file.key, file.size})
	return r.failed(file.key, err)
}

func (r *ResultWriter) failed(key string, err error) error {
	if err == nil {
		return nil
	}
	return writerFailed("The object s3://%s/%s cannot be written: %v", r.bucket, key, err)
}

// Destination is where the manifest of the results is.
type Destination struct{ Bucket, Key string }

// Output is the output of the Map state whose results were written.
func (d Destination) Output(mapRunARN string) jsonvalue.Value {
	return jsonvalue.NewObjectBuilder(2).Set("MapRunArn", jsonvalue.NewString(mapRunARN)).
		Set("ResultWriterDetails", jsonvalue.NewObjectBuilder(2).Set("Bucket", jsonvalue.NewString(d.Bucket)).
			Set("Key", jsonvalue.NewString(d.Key)).Value()).Value()
}

// Close ends the files and writes the manifest.
func (r *ResultWriter) Close() (Destination, error) {
	defer r.Abandon()
	files := jsonvalue.NewObjectBuilder(len(resultFiles))
	for _, group := range resultFiles {
		if r.open[group] != nil {
			if err := r.finish(group); err != nil {
				return Destination{}, err
			}
		}
		list := make([]jsonvalue.Value, 0, len(r.written[group]))
		for _, f := range r.written[group] {
			list = append(list, jsonvalue.NewObjectBuilder(2).Set("Key", jsonvalue.NewString(f.key)).
				Set("Size", jsonvalue.NewInt(f.size)).Value())
		}
		files.Set(group, jsonvalue.NewArray(list))
	}
	manifest := jsonvalue.NewObjectBuilder(3).Set("DestinationBucket", jsonvalue.NewString(r.bucket)).
		Set("MapRunArn", jsonvalue.NewString(r.mapRunARN)).Set("ResultFiles", files.Value()).Value()
	d := Destination{Bucket: r.bucket, Key: path.Join(r.folder, "manifest.json")}
	err := r.root.WriteFile(d.Key+partial, manifest.Append(nil), 0o644)
	if err == nil {
		err = r.root.Rename(d.Key+partial, d.Key)
	}
	return d, r.failed(d.Key, err)
}

// Abandon lets go of the files and removes those in work.
func (r *ResultWriter) Abandon() {
	for group, file := range r.open {
		delete(r.open, group)
		_ = file.f.Close() // its content is not wanted
		_ = r.root.Remove(file.key + partial)
	}
	_ = r.root.Close() // nothing is read or written through it any more
}
