package monitor

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"gust/dag"
)

// Wait is a parked wait.
type Wait struct {
	dag.Key
	TryNumber int `json:"try_number"`
	// NextCheck is when it is looked at next, zero when that is not known.
	NextCheck time.Time `json:"next_check,omitzero"`
}

// ShownWait is what only the daemon knows about a parked wait.
type ShownWait struct {
	// Doing says where the wait is: parking, waiting, checking, finishing.
	Doing string `json:"doing"`
	// Key and Place say with which waits it is looked at, Together is how many these are.
	Key      string `json:"key"`
	Place    string `json:"place,omitempty"`
	Together int    `json:"together"`
	// Hears says that news can end the wait.
	Hears bool `json:"hears"`
	// Checks is how often it has been looked at since the daemon started.
	Checks    int       `json:"checks"`
	LastCheck time.Time `json:"last_check,omitzero"`
	NextCheck time.Time `json:"next_check,omitzero"`
	// Explained is how the waits of the key are looked at, and why.
	Explained []string `json:"explained,omitempty"`
}

// WaitsPath is where parked waits are listed, a JSON list of Wait; the parameter limit says how many at most.
const WaitsPath = "/api/v2/monitor/triggers"

// Bounds of a list of waits.
const (
	defaultWaits = 100
	maxWaits     = 10_000
)

func (s *Server) waits(w http.ResponseWriter, r *http.Request) {
	limit := defaultWaits
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxWaits {
			answer(w, http.StatusBadRequest, map[string]any{"detail": fmt.Sprintf("limit is %q; expected 1 to %d", text, maxWaits)})
			return
		}
		limit = n
	}
	if s.opts.Waits == nil {
		answer(w, http.StatusOK, []Wait{})
		return
	}
	list, err := s.opts.Waits(r.Context(), limit)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, map[string]any{"detail": err.Error()})
		return
	}
	answer(w, http.StatusOK, append([]Wait{}, list...))
}

// WaitPath is where one parked wait is shown, a ShownWait; dag_id, run_id, task_id and map_index name it.
const WaitPath = WaitsPath + "/show"

func (s *Server) wait(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	index := -1
	if text := q.Get("map_index"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"detail": fmt.Sprintf("map_index is %q; expected a number", text)})
			return
		}
		index = n
	}
	key := dag.Key{DagID: q.Get("dag_id"), RunID: q.Get("run_id"), TaskID: q.Get("task_id"), MapIndex: index}
	var shown *ShownWait
	var err error
	if s.opts.Wait != nil {
		shown, err = s.opts.Wait(r.Context(), key)
	}
	switch {
	case err != nil:
		answer(w, http.StatusServiceUnavailable, map[string]any{"detail": err.Error()})
	case shown == nil:
		answer(w, http.StatusNotFound, map[string]any{"detail": "no wait of " + key.String() + " is held"})
	default:
		answer(w, http.StatusOK, shown)
	}
}
