package sfnapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"gust/stepfunctions/jsonvalue"
)

// paging is how a listing is gathered.
type paging struct {
	// maxItems ends the listing, 0 at its end.
	maxItems int
	// pageSize is asked of the service, 0 leaves it to it.
	pageSize int
	// start is a token that an earlier listing ended with, or one of the service.
	start string
}

// resume is a token of the AWS CLI: the service's token of a page and how many of its items were shown already.
type resume struct {
	NextToken *string `json:"nextToken"`
	Truncated int     `json:"boto_truncate_amount"`
}

// String writes the token as the AWS CLI does, spaces included.
func (r resume) String() string {
	token := "null"
	if r.NextToken != nil {
		token = string(jsonvalue.AppendString(nil, *r.NextToken))
	}
	text := `{"nextToken": ` + token
	if r.Truncated > 0 {
		text += fmt.Sprintf(`, "boto_truncate_amount": %d`, r.Truncated)
	}
	return base64.StdEncoding.EncodeToString([]byte(text + "}"))
}

// parseResume reads a token; what is none of the AWS CLI's is one of the service.
func parseResume(text string) resume {
	var r resume
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && json.Unmarshal(raw, &r) == nil {
		return r
	}
	if text == "" {
		return r
	}
	return resume{NextToken: &text}
}

// page is the items of one answer, and the token to go on with when the listing ends here although there is more.
type page struct {
	items []jsonvalue.Value
	next  string
}

// pages calls a listing operation until its end, or until maxItems. in is a pointer to its input, which is changed.
func (o *Operation) pages(ctx context.Context, client *sfn.Client, in any, p paging) iter.Seq2[page, error] {
	input := reflect.ValueOf(in).Elem()
	return func(yield func(page, error) bool) {
		at, total := parseResume(p.start), 0
		if p.pageSize > 0 {
			input.FieldByName("MaxResults").SetInt(int64(p.pageSize))
		}
		for {
			input.FieldByName("NextToken").Set(reflect.ValueOf(at.NextToken))
			answer, err := o.Invoke(ctx, client, in)
			if err != nil {
				yield(page{}, err)
				return
			}
			list, _ := answer.Get(o.Items)
			items := list.Items()
			skipped := min(at.Truncated, len(items))
			items = items[skipped:]
			room := p.maxItems - total
			if p.maxItems > 0 && len(items) > room {
				yield(page{items[:room], resume{at.NextToken, skipped + room}.String()}, nil)
				return
			}
			total += len(items)
			token, more := answer.Get("nextToken")
			last := page{items: items}
			if next := token.Text(); more && next != "" {
				if at.NextToken != nil && *at.NextToken == next {
					yield(page{}, fmt.Errorf("%s: the service gave the same nextToken twice: %s", o.Name(), next))
					return
				}
				at = resume{NextToken: &next}
				if p.maxItems > 0 && total == p.maxItems {
					last.next = at.String()
					more = false
				}
			} else {
				more = false
			}
			if !yield(last, nil) || !more {
				return
			}
		}
	}
}
