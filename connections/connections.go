// Package connections holds named credentials and endpoints: the Connection model, its URI and JSON forms, the sources
// it is looked up in and their order, and the masking of its secrets.
package connections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Connection is Airflow's Connection. Host, Schema, Login and Password are nil when absent, which is not the same as
// empty: "aws://@/" has an empty login, "aws://" has none. The password and the values of sensitive extra keys are
// secrets: String and the log masker hide them.
type Connection struct {
	ID          string
	Type        string // conn_type, lower case, "-" read as "_"
	Description string
	Host        *string
	Login       *string
	Password    *string
	Schema      *string
	Port        int // 0 = none
	// Extra is the raw JSON object, or nil.
	Extra json.RawMessage
}

// Source is a place connections are looked up in.
type Source interface {
	// Name says where, for `gust connections list` ("environment", "file connections.yaml", "database").
	Name() string
	// Get returns the connection, or nil when the source does not hold it.
	Get(ctx context.Context, id string) (*Connection, error)
	// List returns the ids the source can enumerate, sorted.
	List(ctx context.Context) ([]string, error)
}

// Resolver looks a connection up by id.
type Resolver interface {
	// Connection returns the connection or a *NotFoundError. A source that fails is an error, never a silent miss.
	Connection(ctx context.Context, id string) (*Connection, error)
}

// NotFoundError says that no source defines the connection. It lists the ids that are defined.
type NotFoundError struct {
	ID      string
	Known   []string
	Nearest string
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the conn_id %q isn't defined", e.ID)
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Nearest)
	}
	if len(e.Known) > 0 {
		fmt.Fprintf(&b, " (defined: %s)", strings.Join(e.Known, ", "))
	} else {
		b.WriteString(" (no connection is defined)")
	}
	fmt.Fprintf(&b, "; define it with GUST_CONN_%s, in connections.yaml, or with `gust connections add %s`",
		strings.ToUpper(e.ID), e.ID)
	return b.String()
}
