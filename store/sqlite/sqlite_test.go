package sqlite_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"gust/store"
	"gust/store/sqlite"
	"gust/store/storetest"
)

func TestMain(m *testing.M) {
	if otherProcess() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestConformanceFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return openAt(t, filepath.Join(t.TempDir(), "gust.db")) })
}

func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return openAt(t, sqlite.InMemory) })
}

func TestConformanceShared(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, func(t *testing.T) func() store.Store {
		path := filepath.Join(t.TempDir(), "gust.db")
		return func() store.Store { return openAt(t, path) }
	})
}

// openAt opens and migrates a database that the test's end closes.
func openAt(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.SchemaMigrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
