package mapitems

import (
	"bufio"
	"context"
	"io"
	"iter"
	"slices"
	"strings"

	"gust/internal/param"
	"gust/stepfunctions/jsonvalue"
)

// The resources of an item reader, without their partition.
const (
	getObject   = ":states:::s3:getObject"
	listObjects = ":states:::s3:listObjectsV2"
)

// Source says where a dataset is and how it is read: the evaluated ItemReader of a Map state.
type Source struct {
	// Resource is the ARN of the integration: s3:getObject or s3:listObjectsV2.
	Resource string
	// Parameters is the evaluated Parameters or Arguments: Bucket, Key, Prefix. VersionId and ExpectedBucketOwner are
	// accepted and mean nothing: a folder has neither.
	Parameters jsonvalue.Value
	// InputType is CSV, JSON, JSONL or MANIFEST.
	InputType string
	// Transformation is NONE or LOAD_AND_FLATTEN.
	Transformation string
	// ManifestType is S3_INVENTORY or ATHENA_DATA.
	ManifestType string
	// CSVDelimiter is COMMA, PIPE, SEMICOLON, SPACE or TAB.
	CSVDelimiter string
	// CSVHeaderLocation is FIRST_ROW or GIVEN.
	CSVHeaderLocation string
	// ItemsPointer is a JSON pointer to the items inside a JSON document.
	ItemsPointer string
	// CSVHeaders are the headers when their location is GIVEN.
	CSVHeaders []string
	// MaxItems bounds how many items are read; 0 means no bound.
	MaxItems int64
}

var delimiters = map[string]byte{"": ',', "COMMA": ',', "PIPE": '|', "SEMICOLON": ';', "SPACE": ' ', "TAB": '\t'}

// check refuses what no dataset can have.
func (s Source) check() error {
	if s.MaxItems < 0 {
		return readerFailed("field MaxItems must be positive")
	}
	for _, field := range []struct {
		name, value string
		values      []string
	}{
		{"InputType", s.InputType, []string{"CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"}},
		{"Transformation", s.Transformation, []string{"NONE", "LOAD_AND_FLATTEN"}},
		{"ManifestType", s.ManifestType, []string{"ATHENA_DATA", "S3_INVENTORY"}},
		{"CSVDelimiter", s.CSVDelimiter, []string{"COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"}},
		{"CSVHeaderLocation", s.CSVHeaderLocation, []string{"FIRST_ROW", "GIVEN"}},
	} {
		if field.value == "" || slices.Contains(field.values, field.value) {
			continue
		}
		hint := ""
		if nearest := param.Nearest(field.value, field.values); nearest != "" {
			hint = " Did you mean " + nearest + "?"
		}
		return readerFailed("The field '%s' has the value '%s'; expected one of: %s.%s", field.name, field.value,
			strings.Join(field.values, ", "), hint)
	}
	return nil
}

// text is a parameter that must be a text.
func (s Source) text(name string) (string, error) {
	v, ok := s.Parameters.Get(name)
	if !ok || v.Kind() != jsonvalue.String {
		return "", readerFailed("The parameter '%s' of the ItemReader must be a text, got: %s", name, v.String())
	}
	return v.Text(), nil
}

// sequence yields items until one of them is an error or the consumer has enough.
type sequence = iter.Seq2[Item, error]

// pull turns a sequence into a reader.
func pull(seq sequence) *Reader {
	next, stop := iter.Pull2(seq)
	return &Reader{stop: stop, next: func() (Item, error) {
		item, err, ok := next()
		if !ok {
			return Item{}, io.EOF
		}
		return item, err
	}}
}

// failing is a sequence of one error.
func failing(err error) sequence {
	return func(yield func(Item, error) bool) { yield(Item{}, err) }
}

// items are the items of a dataset.
func (s *Store) items(ctx context.Context, src Source) sequence {
	bucket, err := src.text("Bucket")
	if err != nil {
		return failing(err)
	}
	switch {
	case strings.HasSuffix(src.Resource, getObject):
		key, err := src.text("Key")
		if err != nil {
			return failing(err)
		}
		if src.InputType == "MANIFEST" || src.ManifestType != "" {
			return s.manifest(bucket, key, src)
		}
		return s.content(bucket, key, src)
	case strings.HasSuffix(src.Resource, listObjects):
		prefix, err := s.prefix(src)
		if err != nil {
			return failing(err)
		}
		if src.Transformation == "LOAD_AND_FLATTEN" {
			return s.flatten(ctx, bucket, prefix, src)
		}
		return s.list(ctx, bucket, prefix)
	default:
		return failing(readerFailed("The resource %q of the ItemReader is not known; expected arn:aws%s or arn:aws%s.",
			src.Resource, getObject, listObjects))
	}
}

func (s *Store) prefix(src Source) (string, error) {
	if v, ok := src.Parameters.Get("Prefix"); !ok || v.IsNull() {
		return "", nil
	}
	return src.text("Prefix")
}

// content are the items inside one object.
func (s *Store) content(bucket, key string, src Source) sequence {
	return func(yield func(Item, error) bool) {
		f, err := s.object(bucket, key)
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer f.Close()
		for item, err := range src.Items(f, uri(bucket, key)) {
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// Items are the items inside the content of one object; source is its URI. The content may be compressed with gzip or
// Zstandard.
func (s Source) Items(content io.Reader, source string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		r, done, err := uncompressed(content, source)
		if err != nil {
			yield(Item{}, err)
			return
		}
		defer done()
		s.decoded(r, source)(yield)
	}
}

// decoded are the items inside uncompressed content.
func (s Source) decoded(r *bufio.Reader, source string) sequence {
	switch s.InputType {
	case "CSV":
		return s.csv(r, source)
	case "JSON", "":
		return s.json(r, source)
	case "JSONL":
		return lines(r, source)
	case "PARQUET":
		return failing(readerFailed("%s: Parquet files cannot be read by the local Step Functions service; convert the "+
			"dataset to JSONL or CSV.", source))
	default:
		return failing(readerFailed("The InputType %q cannot be used here.", s.InputType))
	}
}
