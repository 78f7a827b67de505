package server

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gust/internal/param"
)

var effects = []string{string(Latency), string(Throttle), string(ServerError), string(DropBefore), string(DropAfter)}

// ParseFaults reads faults in their text form, by the names of operations; "*" means every operation. The text is an
// effect and its settings, several are separated by semicolons: "drop-after skip=1 count=2; latency delay=50ms
// probability=0.1".
func ParseFaults(byOperation map[string]string) ([]Fault, error) {
	var all []Fault
	var errs []error
	operations := Operations()
	for _, operation := range slices.Sorted(maps.Keys(byOperation)) {
		if operation != "*" && !slices.Contains(operations, operation) {
			errs = append(errs, fmt.Errorf("faults: %q is no operation%s", operation, didYouMean(operation, operations)))
			continue
		}
		for text := range strings.SplitSeq(byOperation[operation], ";") {
			f, err := parseFault(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("faults of %s: %w", operation, err))
				continue
			}
			if operation != "*" {
				f.Operation = operation
			}
			all = append(all, f)
		}
	}
	// Rules of one operation come before those of all of them.
	slices.SortStableFunc(all, func(a, b Fault) int { return -strings.Compare(a.Operation, b.Operation) })
	return all, errors.Join(errs...)
}

func didYouMean(name string, known []string) string {
	if nearest := param.Nearest(name, known); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

func parseFault(text string) (Fault, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Fault{}, fmt.Errorf("expected an effect: %s", strings.Join(effects, ", "))
	}
	f := Fault{Effect: Effect(words[0])}
	if !slices.Contains(effects, words[0]) {
		return f, fmt.Errorf("%q is no effect; expected one of %s%s", words[0], strings.Join(effects, ", "), didYouMean(words[0], effects))
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "probability":
			if f.Probability, err = strconv.ParseFloat(value, 64); err == nil && (f.Probability <= 0 || f.Probability > 1) {
				err = errors.New("it must be more than 0 and at most 1")
			}
		default:
			settings := []string{"delay", "skip", "count", "probability"}
			return f, fmt.Errorf("%q is no setting; expected one of %s%s", name, strings.Join(settings, ", "), didYouMean(name, settings))
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", word, err)
		}
	}
	if f.Effect == Latency && f.Delay <= 0 {
		return f, errors.New("latency needs a delay, such as delay=50ms")
	}
	return f, nil
}
