package mapitems

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// json are the items of an array, or the entries of an object, inside a JSON document.
func (s Source) json(r *bufio.Reader, source string) sequence {
	return func(yield func(Item, error) bool) {
		d := json.NewDecoder(r)
		d.UseNumber()
		open, err := s.find(d)
		if err != nil {
			yield(Item{}, broken(source, d, err))
			return
		}
		if open != json.Delim('[') && open != json.Delim('{') {
			yield(Item{}, errNotIterable)
			return
		}
		for d.More() {
			item, err := element(d, open == json.Delim('{'), source)
			if err != nil {
				yield(Item{}, broken(source, d, err))
				return
			}
			if !yield(item, nil) {
				return
			}
		}
		// The closing bracket tells a complete document from one that was cut off.
		if _, err := d.Token(); err != nil {
			yield(Item{}, broken(source, d, err))
		}
	}
}

// element reads the next item of an array or entry of an object.
func element(d *json.Decoder, object bool, source string) (Item, error) {
	name := ""
	if object {
		token, err := d.Token()
		if err != nil {
			return Item{}, err
		}
		name, _ = token.(string) // the decoder allows nothing else here
	}
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return Item{}, err
	}
	if len(raw) > maxItemBytes {
		return Item{}, fmt.Errorf("an item cannot be larger than %d bytes, got %d", maxItemBytes, len(raw))
	}
	v, err := jsonvalue.Parse(string(raw))
	if err != nil {
		return Item{}, err
	}
	if object {
		return entry(name, v, source), nil
	}
	return Item{Value: v, Source: source}, nil
}

func broken(source string, d *json.Decoder, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return readerFailed("%s, byte %d, is not the expected JSON: %v", source, d.InputOffset(), err)
}

// find moves the decoder into the value that ItemsPointer names and returns that value's first token.
func (s Source) find(d *json.Decoder) (json.Token, error) {
	token, err := d.Token()
	if s.ItemsPointer == "" {
		return token, err
	}
	if !strings.HasPrefix(s.ItemsPointer, "/") {
		return nil, readerFailed("ItemsPointer must be a JSON pointer that starts with a slash, got: %s", s.ItemsPointer)
	}
	for _, step := range strings.Split(s.ItemsPointer[1:], "/") {
		if err != nil {
			return nil, err
		}
		// RFC 6901: ~1 is a slash, ~0 a tilde, in this order.
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch token {
		case json.Delim('{'):
			err = toField(d, step)
		case json.Delim('['):
			err = toItem(d, step)
		default:
			err = errNotIterable
		}
		if err != nil {
			return nil, err
		}
		token, err = d.Token()
	}
	return token, err
}

// toField moves the decoder to the value of a field of the object it is in.
func toField(d *json.Decoder, name string) error {
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		if token == name {
			return nil
		}
		if err := skip(d); err != nil {
			return err
		}
	}
	return errNotIterable
}

// toItem moves the decoder to an item of the array it is in.
func toItem(d *json.Decoder, index string) error {
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 {
		return errNotIterable
	}
	for ; n > 0 && d.More(); n-- {
		if err := skip(d); err != nil {
			return err
		}
	}
	if !d.More() {
		return errNotIterable
	}
	return nil
}

// skip passes over one value, however large, without keeping it.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
