package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gust/connections"
	"gust/connections/sqlconn"
	"gust/triggers/httpreq"
)

// connectionTests are the connection types that can be tried out, and how. A test says what it has found.
var connectionTests = map[string]func(context.Context, *App, *connections.Connection) (message string, ok bool){
	"aws":  testAWS,
	"http": testHTTP,

	"postgres": testSQL,
	"mysql":    testSQL,
	"sqlite":   testSQL,
}

// TestConnection tries a connection out (Airflow: test_connection): AWS is asked who it is, an HTTP host for its base
// URL, a database what it is. The message says what was found, or what is wrong when ok is false. A type that cannot be
// tested is an error.
func (a *App) TestConnection(ctx context.Context, conn *connections.Connection) (message string, ok bool, err error) {
	test := connectionTests[conn.Type]
	if test == nil {
		return "", false, fmt.Errorf("connection %q is of type %q; only connections of these types can be tested: %s",
			conn.ID, conn.Type, strings.Join(slices.Sorted(maps.Keys(connectionTests)), ", "))
	}
	message, ok = test(ctx, a, conn)
	return a.Masker.Mask(message), ok, nil
}

func testAWS(ctx context.Context, a *App, conn *connections.Connection) (string, bool) {
	ok, message := a.AWS.Test(ctx, conn)
	return message, ok
}

func testHTTP(ctx context.Context, a *App, conn *connections.Connection) (string, bool) {
	client := httpreq.NewClient()
	defer client.Close()
	answer, err := client.Do(ctx, a.Connections, &httpreq.Request{ConnID: conn.ID, Method: http.MethodGet})
	if err != nil {
		return err.Error(), false
	}
	return fmt.Sprintf("The host answers GET with %d %s.", answer.Status, answer.Reason), true
}

func testSQL(ctx context.Context, _ *App, conn *connections.Connection) (string, bool) {
	message, err := sqlconn.Test(ctx, conn)
	if err != nil {
		return err.Error(), false
	}
	return message, true
}
