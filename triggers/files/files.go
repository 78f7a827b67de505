// Package files is the trigger that waits for a file.
package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gust/triggers"
)

// Kind is the trigger's kind.
const Kind = "files.exists"

// Args describes the wait for a file.
type Args struct {
	// Path is absolute and may hold *, ?, [a-z], [!a-z] and, with Recursive, ** for any depth of folders.
	Path      string        `json:"path"`
	Recursive bool          `json:"recursive,omitempty"`
	Pace      triggers.Pace `json:"pace"`
}

// Trigger builds the trigger.
func (a Args) Trigger() (triggers.Trigger, error) { return triggers.New(Kind, a) }

// Found is the payload of the event.
type Found struct {
	Path     string    `json:"path"`
	Modified time.Time `json:"modified"`
}

// String tells the file as Airflow's log does.
func (f *Found) String() string {
	return fmt.Sprintf("Found File %s last modified: %s", f.Path, f.Modified.UTC().Format("20060102150405"))
}

// Find looks once: nil when nothing matches. A folder that matches counts when a file is somewhere below it. As in
// Python's glob, * and ? do not match a leading dot.
func Find(ctx context.Context, a *Args) (*Found, error) {
	var found *Found
	root, parts := split(a.Path)
	err := expand(ctx, root, parts, a.Recursive, func(path string) (bool, error) {
		var err error
		found, err = file(ctx, path)
		return found != nil, err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// errEnough ends a walk that found what it looks for.
var errEnough = errors.New("enough")

func split(path string) (root string, parts []string) {
	path = filepath.ToSlash(filepath.Clean(path))
	root = "."
	if strings.HasPrefix(path, "/") {
		root, path = "/", strings.TrimPrefix(path, "/")
	}
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return root, parts
}

func magic(part string) bool { return strings.ContainsAny(part, "*?[") }

// expand calls visit with each path that matches, until it says enough.
func expand(ctx context.Context, dir string, parts []string, recursive bool, visit func(string) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if len(parts) == 0 {
		enough, err := visit(dir)
		if err == nil && enough {
			err = errEnough
		}
		return err
	}
	part, rest := parts[0], parts[1:]
	if !magic(part) {
		next := filepath.Join(dir, part)
		if _, err := os.Stat(next); err != nil {
			return absent(err)
		}
		return expand(ctx, next, rest, recursive, visit)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return absent(err)
	}
	if part == "**" && recursive {
		if err := expand(ctx, dir, rest, recursive, visit); err != nil {
			return err
		}
	}
	for _, e := range entries {
		next := filepath.Join(dir, e.Name())
		switch {
		case part == "**" && recursive:
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			err = expand(ctx, next, parts, recursive, visit)
		case matches(part, e.Name()):
			err = expand(ctx, next, rest, recursive, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// matches compares a name with one part of a pattern, as Python's fnmatch. A malformed bracket matches itself.
func matches(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, `\`, `\\`), "[!", "[^")
	ok, err := filepath.Match(pattern, name)
	return ok && err == nil || err != nil && pattern == name
}

// absent makes nothing of an error that says that there is nothing.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// file returns the path if it is a file, or the first file below it if it is a folder.
func file(ctx context.Context, path string) (*Found, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, absent(err)
	}
	if !info.IsDir() {
		return &Found{path, info.ModTime()}, nil
	}
	var found *Found
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return absent(err)
		case d.IsDir():
			return nil
		}
		if info, err := d.Info(); err == nil {
			found = &Found{path, info.ModTime()}
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}

// Register adds the trigger to the registry.
func Register(r *triggers.Registry) error { return r.Register(checker{}) }

type checker struct{}

func (checker) Kind() string { return Kind }

// Key puts the waits for one path together.
func (checker) Key(raw json.RawMessage) (string, error) {
	a, err := decode(raw)
	if err != nil {
		return "", err
	}
	return a.Path, nil
}

func decode(raw json.RawMessage) (*Args, error) {
	a, err := triggers.Decode[Args](Kind, raw)
	if err != nil {
		return nil, err
	}
	if a.Path == "" {
		return nil, fmt.Errorf("arguments of a %s trigger: path is missing", Kind)
	}
	return a, nil
}

// Fire is the event of a file that is there now, under the path that is waited for.
func (checker) Fire(raw json.RawMessage, now time.Time) (*triggers.Event, error) {
	a, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return triggers.NewEvent(Found{Path: a.Path, Modified: now})
}

// Check looks for each file.
func (checker) Check(ctx context.Context, now time.Time, waits []triggers.Wait) []triggers.Verdict {
	verdicts := make([]triggers.Verdict, len(waits))
	for i, w := range waits {
		a, err := decode(w.Args)
		if err != nil {
			verdicts[i].Err = err
			continue
		}
		found, err := Find(ctx, a)
		switch {
		case err != nil:
			verdicts[i].Err = err
		case found == nil:
			verdicts[i].Again = now.Add(a.Pace.Next(now))
		default:
			verdicts[i].Log = found.String()
			verdicts[i].Event, verdicts[i].Err = triggers.NewEvent(found)
		}
	}
	return verdicts
}
