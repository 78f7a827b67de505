// Package mapitems reads the items of a distributed Map state and writes its results. A local folder stands for S3: the
// object of a bucket and key is the file <folder>/<bucket>/<key>.
//
// Everything streams: a dataset of millions of lines needs the memory of one item. Only JSON documents are bound to the
// size of their largest item; a JSON object's or array's items are read one at a time as well.
package mapitems

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// The errors of reading and writing.
const (
	ItemReaderFailed   = "States.ItemReaderFailed"
	ResultWriterFailed = "States.ResultWriterFailed"
	DataLimitExceeded  = "States.DataLimitExceeded"
)

// The limits of AWS.
const (
	// maxItemBytes is the largest item that is read.
	maxItemBytes = 8 << 20
	// maxInputBytes is the largest input of a child execution, and so of a batch.
	maxInputBytes = 256 << 10
	// maxHeaderBytes is the largest header of a CSV file.
	maxHeaderBytes = 10 << 10
)

// StateData is the source of items that come from the state's input and not from an object.
const StateData = "STATE_DATA"

// Error is a failure in the language's words.
type Error struct {
	// Name is the error name that Retry and Catch compare.
	Name string
	// Cause describes it.
	Cause string
}

// Error joins name and cause.
func (e *Error) Error() string { return e.Name + ": " + e.Cause }

func readerFailed(format string, args ...any) *Error {
	return &Error{Name: ItemReaderFailed, Cause: fmt.Sprintf(format, args...)}
}

func writerFailed(format string, args ...any) *Error {
	return &Error{Name: ResultWriterFailed, Cause: fmt.Sprintf(format, args...)}
}

// Item is one item of a dataset.
type Item struct {
	// Index counts from 0.
	Index int64
	// Value is the item; for an entry of an object it is {"Key": ..., "Value": ...}.
	Value jsonvalue.Value
	// Key is the name of an object's entry; nil for every other item.
	Key *string
	// Source is StateData or the URI of the object that the item was read from.
	Source string
}

// Reader yields the items of a dataset in order. It is used by one goroutine at a time.
type Reader struct {
	next  func() (Item, error)
	stop  func()
	index int64
	max   int64
	err   error
}

// Next returns the next item, or [io.EOF] after the last one. Every other error is an [*Error], and final.
func (r *Reader) Next() (Item, error) {
	if r.err == nil && r.max > 0 && r.index >= r.max {
		r.err = io.EOF
	}
	if r.err != nil {
		return Item{}, r.err
	}
	item, err := r.next()
	if err != nil {
		r.err = err
		return Item{}, err
	}
	item.Index = r.index
	r.index++
	return item, nil
}

// Skip passes over n items, to go on where an interrupted map run was.
func (r *Reader) Skip(n int64) error {
	for range n {
		if _, err := r.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
	return nil
}

// Close lets go of the files. Next yields nothing after it.
func (r *Reader) Close() {
	r.err = io.EOF
	if r.stop != nil {
		r.stop()
	}
}

// Values reads the items of an array, or the entries of an object.
func Values(v jsonvalue.Value) (*Reader, error) {
	i := -1
	switch v.Kind() {
	case jsonvalue.Array:
		return &Reader{next: func() (Item, error) {
			if i++; i >= v.Len() {
				return Item{}, io.EOF
			}
			return Item{Value: v.At(i), Source: StateData}, nil
		}}, nil
	case jsonvalue.Object:
		return &Reader{next: func() (Item, error) {
			if i++; i >= v.Len() {
				return Item{}, io.EOF
			}
			return entry(v.Key(i), v.At(i), StateData), nil
		}}, nil
	default:
		return nil, errNotIterable
	}
}

// entry is the item that an entry of an object makes.
func entry(key string, v jsonvalue.Value, source string) Item {
	return Item{Key: &key, Source: source, Value: jsonvalue.NewObjectBuilder(2).
		Set("Key", jsonvalue.NewString(key)).Set("Value", v).Value()}
}

var errNotIterable = readerFailed("Attempting to map over non-iterable node.")

// Store is a folder that stands for S3.
type Store struct{ folder string }

// Open returns the store of a folder; an empty name is a store without a folder, which fails every use with a message
// that says how to configure one.
func Open(folder string) *Store { return &Store{folder: folder} }

// object opens the file of a bucket and key.
func (s *Store) object(bucket, key string) (*os.File, error) {
	root, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := path.Clean(key)
	if key == "" || !fs.ValidPath(name) {
		return nil, readerFailed("The specified key is not valid for the local folder that stands for S3: %q.", key)
	}
	f, err := root.Open(name)
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = errors.Join(fs.ErrNotExist, f.Close())
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, readerFailed("The specified key does not exist. (Service: Amazon S3; Status Code: 404; Error Code: "+
			"NoSuchKey; Bucket: %s; Key: %s; Local file: %s)", bucket, key, path.Join(s.folder, bucket, name))
	case err != nil:
		return nil, readerFailed("The object s3://%s/%s cannot be read: %v", bucket, key, err)
	}
	return f, nil
}

// bucket opens the folder of a bucket; nothing outside of it can be reached through the result.
func (s *Store) bucket(name string) (*os.Root, error) {
	if s.folder == "" {
		return nil, readerFailed("No local folder stands for S3, so the bucket %q cannot be read. Set stepfunctions.s3_folder "+
			"to a folder with one sub-folder for each bucket.", name)
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return nil, readerFailed("The specified bucket is not valid: %q.", name)
	}
	root, err := os.OpenRoot(path.Join(s.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, readerFailed("The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: "+
			"NoSuchBucket; Bucket: %s; Local folder: %s)", name, path.Join(s.folder, name))
	}
	if err != nil {
		return nil, readerFailed("The bucket %s cannot be read: %v", name, err)
	}
	return root, nil
}

// uri is how the language names an object.
func uri(bucket, key string) string { return "s3://" + bucket + "/" + key }

// Read starts reading a dataset. Close the reader.
func (s *Store) Read(ctx context.Context, src Source) (*Reader, error) {
	if err := src.check(); err != nil {
		return nil, err
	}
	seq := s.items(ctx, src)
	r := pull(seq)
	r.max = src.MaxItems
	return r, nil
}
