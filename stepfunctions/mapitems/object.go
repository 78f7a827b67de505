package mapitems

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5" //nolint:gosec // S3's entity tag is an MD5 sum
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"gust/stepfunctions/jsonvalue"
)

// maxWindow bounds the memory that reading Zstandard takes: the largest window that decoders must support.
const maxWindow = 128 << 20

// uncompressed reads through gzip or Zstandard when the content is compressed, whatever the object's name says. done
// lets go of what reading holds; it is never nil.
func uncompressed(content io.Reader, source string) (r *bufio.Reader, done func(), err error) {
	done = func() {}
	r = bufio.NewReaderSize(content, 64<<10)
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, done, unreadable(source, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, done, unreadable(source, err)
		}
		r = bufio.NewReaderSize(z, 64<<10)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, done, unreadable(source, err)
		}
		r, done = bufio.NewReaderSize(z, 64<<10), z.Close
	}
	if bom, err := r.Peek(3); err == nil && string(bom) == "\uFEFF" {
		_, _ = r.Discard(3) // they have just been peeked
	}
	return r, done, nil
}

func unreadable(source string, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return readerFailed("%s cannot be read: %v", source, err)
}

// list are the descriptions of a bucket's objects in the order of their keys, as S3's ListObjectsV2 gives them. Their
// source is the bucket that was listed.
func (s *Store) list(ctx context.Context, bucket, prefix string) sequence {
	return func(yield func(Item, error) bool) {
		err := s.walk(ctx, bucket, prefix, func(root *os.Root, key string) error {
			v, err := describe(root, key)
			if err != nil {
				return err
			}
			if !yield(Item{Value: v, Source: "s3://" + bucket}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.SkipAll) {
			yield(Item{}, unreadable(uri(bucket, prefix), err))
		}
	}
}

// flatten are the items inside all of a bucket's objects.
func (s *Store) flatten(ctx context.Context, bucket, prefix string, src Source) sequence {
	return func(yield func(Item, error) bool) {
		err := s.walk(ctx, bucket, prefix, func(_ *os.Root, key string) error {
			for item, err := range s.content(bucket, key, src) {
				if err != nil {
					return err
				}
				if !yield(item, nil) {
					return fs.SkipAll
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.SkipAll) {
			yield(Item{}, unreadable(uri(bucket, prefix), err))
		}
	}
}

// walk visits a bucket's files whose keys start with the prefix, in the byte order of the keys.
func (s *Store) walk(ctx context.Context, bucket, prefix string, visit func(root *os.Root, key string) error) error {
	root, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	defer root.Close()
	return walkFolder(ctx, root, "", prefix, visit)
}

func walkFolder(ctx context.Context, root *os.Root, folder, prefix string, visit func(*os.Root, string) error) error {
	name := strings.TrimSuffix(folder, "/")
	if name == "" {
		name = "."
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A folder's keys go on with a slash, which decides their place: "a-1" comes before "a/1".
	keys := make([]string, 0, len(entries))
	for _, e := range entries {
		switch {
		case e.IsDir():
			keys = append(keys, folder+e.Name()+"/")
		case e.Type().IsRegular():
			keys = append(keys, folder+e.Name())
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(key, "/"):
			if strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key) {
				err = walkFolder(ctx, root, key, prefix, visit)
			}
		case strings.HasPrefix(key, prefix):
			err = visit(root, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// describe is the item of an object: its entity tag with quotes, its key, time, size and class.
func describe(root *os.Root, key string) (jsonvalue.Value, error) {
	f, err := root.Open(key)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	defer f.Close()
	sum := md5.New() //nolint:gosec // S3's entity tag is an MD5 sum
	size, err := io.Copy(sum, f)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return jsonvalue.Value{}, err
	}
	modified, err := jsonvalue.Parse(epochSeconds(info.ModTime()))
	if err != nil {
		return jsonvalue.Value{}, err
	}
	return jsonvalue.NewObjectBuilder(5).
		Set("Etag", jsonvalue.NewString(`"`+hex.EncodeToString(sum.Sum(nil))+`"`)).
		Set("Key", jsonvalue.NewString(key)).
		Set("LastModified", modified).
		Set("Size", jsonvalue.NewInt(size)).
		Set("StorageClass", jsonvalue.NewString("STANDARD")).Value(), nil
}

// epochSeconds writes whole seconds as AWS does, as a Java double: 1.789180622E9.
func epochSeconds(t time.Time) string {
	text := strconv.FormatFloat(float64(t.Unix()), 'E', -1, 64)
	mantissa, exponent, _ := strings.Cut(text, "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	exponent = strings.TrimPrefix(exponent, "+")
	return mantissa + "E" + strings.TrimLeft(exponent, "0")
}
