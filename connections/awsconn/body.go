package awsconn

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// plainBodies is an HTTP client that shows the transport nothing of a request's body but Read and Close.
//
// The SDK closes the body of a request as soon as an answer begins. Its bodies also have WriteTo, which after that Close
// returns io.EOF; net/http takes that for a failed upload and closes the connection while the answer is still read. It
// happens with answers of more than a few kilobytes from a very near server.
type plainBodies struct{ next aws.HTTPClient }

// Do implements aws.HTTPClient.
func (c *plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.next.Do(r)
}
