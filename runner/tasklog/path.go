package tasklog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gust/dag"
)

// maxName is the longest file name, in bytes, that every common file system takes.
const maxName = 255

// Path is the log file of an attempt below base.
func Path(base string, a dag.Attempt) string {
	return filepath.Join(Dir(base, a.Key), "attempt="+strconv.Itoa(a.TryNumber)+".log")
}

// Dir is the folder of a task instance's log files below base.
func Dir(base string, k dag.Key) string {
	dir := filepath.Join(base,
		component("dag_id=", k.DagID), component("run_id=", k.RunID), component("task_id=", k.TaskID))
	if k.MapIndex >= 0 {
		dir = filepath.Join(dir, "map_index="+strconv.Itoa(k.MapIndex))
	}
	return dir
}

// Tries lists the try numbers that have a log file, in ascending order. A task instance without any is no error.
func Tries(base string, k dag.Key) ([]int, error) {
	entries, err := os.ReadDir(Dir(base, k))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list logs of %s: %w", k, err)
	}
	var tries []int
	for _, e := range entries {
		text, isAttempt := strings.CutPrefix(e.Name(), "attempt=")
		text, isLog := strings.CutSuffix(text, ".log")
		if n, err := strconv.Atoi(text); err == nil && isAttempt && isLog {
			tries = append(tries, n)
		}
	}
	slices.Sort(tries)
	return tries, nil
}

// component is one folder name. Characters that a file name cannot hold, and "%" itself, are percent-encoded, so that
// different ids never share a file; a name that would be too long keeps its beginning and gets a digest.
func component(prefix, id string) string {
	name := prefix + escape(id)
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(id))
	digest := "%~" + hex.EncodeToString(sum[:16])
	return name[:maxName-len(digest)] + digest
}

func escape(id string) string {
	if !strings.ContainsFunc(id, unsafe) {
		return id
	}
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; unsafe(rune(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unsafe(r rune) bool { return r == '/' || r == '\\' || r == '%' || r < ' ' || r == 0x7f }
