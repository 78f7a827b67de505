package stepfunctions

import (
	"math"
	"slices"
	"sync"
	"time"

	"gust/connections/awsconn/quota"
)

// line is where the groups of one account and region stand in line for calls of one operation, so that each gets its turn
// when there are more than the quota allows.
type line struct {
	mu    sync.Mutex
	turns []turn
	// costs are the calls that each group's sweeps take, to divide the quota among them.
	costs map[string]cost
}

type turn struct {
	key  string
	need int
	at   time.Time // when the group comes back
}

type cost struct {
	calls int
	at    time.Time
}

const (
	// atATime is how many calls a group gets while others stand in line.
	atATime = 10
	// noShow is how long after its turn a group loses its place.
	noShow = 30 * time.Second
	// costKept is how long a group that does not sweep again is thought to.
	costKept = 10 * time.Minute
)

// ask asks for calls. It returns how many the group may make now; when it is none, when to come back.
func (l *line) ask(now time.Time, key string, need int, room quota.Room) (granted int, back time.Time) {
	if !room.Limited() {
		return need, now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead, place := l.ahead(now, key)
	free := int(math.Floor(room.Tokens)) - ahead
	if free >= 1 {
		if place >= 0 {
			l.turns = slices.Delete(l.turns, place, place+1)
		}
		if len(l.turns) > 0 {
			free = min(free, atATime)
		}
		return min(need, free), now
	}
	back = now.Add(max(behind(ahead, room), 100*time.Millisecond))
	t := turn{key, min(need, atATime), back}
	if place >= 0 {
		l.turns[place] = t
	} else {
		l.turns = append(l.turns, t)
	}
	return 0, back
}

// wait is how long the group would wait for its first call.
func (l *line) wait(now time.Time, key string, room quota.Room) time.Duration {
	if !room.Limited() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead, _ := l.ahead(now, key)
	return max(behind(ahead, room), 0)
}

// behind is how long it takes until there is a token behind those for the calls ahead; negative when it is there.
func behind(ahead int, room quota.Room) time.Duration {
	seconds := (float64(ahead+1) - room.Tokens) / max(room.PerSecond, 1e-3)
	return time.Duration(seconds * float64(time.Second))
}

// ahead counts the calls of the groups before this one, and finds its place; -1 is none. It forgets who did not come.
func (l *line) ahead(now time.Time, key string) (calls, place int) {
	l.turns = slices.DeleteFunc(l.turns, func(t turn) bool { return t.key != key && now.Sub(t.at) > noShow })
	for i, t := range l.turns {
		if t.key == key {
			return calls, i
		}
		calls += t.need
	}
	return calls, -1
}

// leave gives a place up.
func (l *line) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = slices.DeleteFunc(l.turns, func(t turn) bool { return t.key == key })
}

// Sweeps use comfort of the quota, up to pressed of it when they would else be further apart than brisk.
const (
	comfort, pressed = 0.5, 0.9
	brisk            = 15 * time.Second
)

// period is how far apart a group's sweeps must be for all groups to keep within the quota.
func (l *line) period(now time.Time, key string, calls int, room quota.Room) time.Duration {
	if !room.Limited() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.costs == nil {
		l.costs = map[string]cost{}
	}
	l.costs[key] = cost{calls, now}
	sum := 0
	for k, c := range l.costs {
		if now.Sub(c.at) > costKept {
			delete(l.costs, k)
			continue
		}
		sum += c.calls
	}
	seconds := float64(sum) / max(room.PerSecond, 1e-3)
	easy := time.Duration(seconds / comfort * float64(time.Second))
	if easy <= brisk {
		return easy
	}
	return max(brisk, time.Duration(seconds/pressed*float64(time.Second)))
}
