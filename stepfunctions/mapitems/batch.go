package mapitems

import (
	"fmt"

	"gust/stepfunctions/jsonvalue"
)

// Batching groups items into the inputs of child executions: the evaluated ItemBatcher of a Map state. The zero value
// gives each item its own child.
type Batching struct {
	// MaxItems and MaxBytes bound a batch; 0 means no bound but that of a child's input, 256 KiB.
	MaxItems, MaxBytes int64
	// Input is the evaluated BatchInput; nil when there is none.
	Input *jsonvalue.Value
}

// Batch is the input of one child execution.
type Batch struct {
	// Input is the JSON text of the child's input.
	Input string
	// First is the index of the batch's first item, Items their number.
	First, Items int64
}

// Batcher collects items into batches. It is used by one goroutine at a time.
type Batcher struct {
	b      Batching
	single bool
	limit  int
	// head and body are the text of the open batch without its end; first is the index of its first item.
	head, body   []byte
	first, items int64
	// added counts all items.
	added int64
}

// NewBatcher returns a batcher; nil gives each item its own child.
func NewBatcher(b *Batching) *Batcher {
	if b == nil {
		return &Batcher{single: true, limit: maxInputBytes}
	}
	limit := int64(maxInputBytes)
	if b.MaxBytes > 0 {
		limit = min(limit, b.MaxBytes)
	}
	head := []byte{'{'}
	if b.Input != nil {
		head = append(b.Input.Append(append(head, `"BatchInput":`...)), ',')
	}
	return &Batcher{b: *b, limit: int(limit), head: append(head, `"Items":[`...)}
}

// Add takes the next item and returns the batches that are complete with it: none, one, or two when the item itself
// fills the batch that it opens.
func (b *Batcher) Add(item jsonvalue.Value) ([]Batch, error) {
	index := b.added
	b.added++
	text := item.Append(nil)
	if b.single {
		if len(text) > b.limit {
			return nil, b.tooLarge(index, len(text))
		}
		return []Batch{{Input: string(text), First: index, Items: 1}}, nil
	}
	var done []Batch
	if b.items > 0 && len(b.head)+len(b.body)+1+len(text)+2 > b.limit {
		done = append(done, b.take())
	}
	if size := len(b.head) + len(text) + 2; b.items == 0 && size > b.limit {
		return done, b.tooLarge(index, size)
	}
	if b.items == 0 {
		b.first = index
	} else {
		b.body = append(b.body, ',')
	}
	b.body = append(b.body, text...)
	b.items++
	if b.b.MaxItems > 0 && b.items >= b.b.MaxItems {
		done = append(done, b.take())
	}
	return done, nil
}

func (b *Batcher) tooLarge(index int64, size int) *Error {
	return &Error{Name: DataLimitExceeded, Cause: fmt.Sprintf("The input of the child execution of item %d has %d bytes, "+
		"more than the maximum of %d. Make it smaller with ItemSelector.", index, size, b.limit)}
}

// take ends the open batch.
func (b *Batcher) take() Batch {
	text := make([]byte, 0, len(b.head)+len(b.body)+2)
	text = append(append(append(text, b.head...), b.body...), "]}"...)
	batch := Batch{Input: string(text), First: b.first, Items: b.items}
	b.body, b.items = b.body[:0], 0
	return batch
}

// Flush ends the last batch; ok is false when it is empty.
func (b *Batcher) Flush() (batch Batch, ok bool) {
	if b.items == 0 {
		return Batch{}, false
	}
	return b.take(), true
}
