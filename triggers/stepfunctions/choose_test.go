package stepfunctions

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gust/connections/awsconn/quota"
)

var day = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// american are the prices of us-east-1.
var american = menu{list: price{each: 0.2}, describe: price{each: 1.0 / 15}}

func evenly(n int, apart time.Duration) []time.Time {
	starts := make([]time.Time, n)
	for i := range starts {
		starts[i] = day.Add(time.Duration(i) * apart)
	}
	return starts
}

func fixed(all, ended, running int) func(plan, time.Time) int {
	return func(p plan, _ time.Time) int {
		return map[plan]int{listAll: all, listEnded: ended, listRunning: running}[p]
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		menu menu
		want plan
	}{
		"nothing":                         {menu{}, describeEach},
		"two waits":                       {menu{starts: evenly(2, 0), pages: fixed(1, 4, 1)}, describeEach},
		"a page is cheaper":               {menu{starts: evenly(4, 0), pages: fixed(1, 4, 1)}, listAll},
		"many waits":                      {menu{starts: evenly(10_000, 0), pages: fixed(20, 4, 10)}, listEnded},
		"others start many":               {menu{starts: evenly(100, 0), pages: fixed(9000, 9000, 1)}, listRunning},
		"others run many":                 {menu{starts: evenly(100, 0), pages: fixed(9000, 9000, 9000)}, describeEach},
		"listing is refused":              {menu{starts: evenly(10_000, 0), pages: fixed(1, 1, 1), unlistable: true}, describeEach},
		"everything ends, running listed": {menu{starts: evenly(1000, 0), pages: fixed(8, 8, 1), ending: 1}, listAll},
		"outputs are wanted":              {menu{starts: evenly(3, 0), pages: fixed(1, 4, 1), ending: 1, described: 1}, describeEach},
		"a long line for listing":         {menu{starts: evenly(100, 0), pages: fixed(1, 4, 1), list: price{wait: 60}}, describeEach},
		"a long line for describing":      {menu{starts: evenly(2, 0), pages: fixed(1, 4, 1), describe: price{wait: 60}}, listAll},
	} {
		c.menu.list.each, c.menu.describe.each = american.list.each, american.describe.each
		if got := choose(c.menu); got.plan != c.want {
			t.Errorf("%s: %s, want %s (%s)", name, got.plan, c.want, got.explain())
		}
	}
}

// A few old executions are described rather than listed down to.
func TestChooseLeavesOldOnesOut(t *testing.T) {
	t.Parallel()
	m := american
	m.starts = append([]time.Time{day.AddDate(0, -1, 0)}, evenly(199, time.Second)...)
	m.pages = func(p plan, cutoff time.Time) int {
		if cutoff.Before(day) {
			return 5000
		}
		return map[plan]int{listAll: 1, listEnded: 4, listRunning: 1}[p]
	}
	if c := choose(m); c.plan != listAll || c.older != 2 || !c.cutoff.Equal(m.starts[2]) {
		t.Errorf("%+v", c)
	}
}

// The choice is never dearer than describing each, and never dearer than a plan without the trick for old ones.
func TestChooseIsCheapest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Float64Range(0, 100)
		m := menu{
			starts: evenly(rapid.IntRange(0, 3000).Draw(t, "waits"), time.Second),
			list:   price{amount.Draw(t, "list"), amount.Draw(t, "line")}, describe: price{amount.Draw(t, "describe"), amount.Draw(t, "queue")},
			ending: rapid.Float64Range(0, 1).Draw(t, "ending"), described: rapid.Float64Range(0, 1).Draw(t, "described"),
		}
		pages := rapid.SliceOfN(rapid.IntRange(1, 1000), int(plans), int(plans)).Draw(t, "pages")
		m.pages = func(p plan, cutoff time.Time) int { return pages[p] + int(day.Add(time.Hour).Sub(cutoff)/time.Minute) }
		c := choose(m)
		if len(m.starts) == 0 {
			return
		}
		chosen := c.costs[c.plan]
		if chosen > c.costs[describeEach]+1e-9 {
			t.Errorf("%s for %g, describing costs %g", c.plan, chosen, c.costs[describeEach])
		}
		for p := listAll; p < plans; p++ {
			plain := float64(m.pages(p, m.starts[0]))*m.list.each + m.list.wait + m.after(p, len(m.starts))*m.describe.each
			if chosen > plain+1e-9 {
				t.Errorf("%s for %g, %s costs %g", c.plan, chosen, p, plain)
			}
		}
		if c.plan != describeEach && !c.cutoff.Equal(m.starts[c.older]) {
			t.Errorf("%+v", c)
		}
	})
}

func TestProfile(t *testing.T) {
	t.Parallel()
	now := day.Add(time.Hour)
	var p profile
	if n := p.pages(day, now, 3); n != 3 {
		t.Errorf("%d pages without memory", n)
	}
	p.at = now
	for i := range 4 {
		p.page(now.Add(-time.Duration(i+1) * time.Minute)) // a page a minute
	}
	for _, c := range []struct {
		back time.Duration
		at   time.Time
		want int
	}{
		{30 * time.Second, now, 1}, {90 * time.Second, now, 2}, {4 * time.Minute, now, 5}, {14 * time.Minute, now, 15},
		{14 * time.Minute, now.Add(profileHalf), 8}, {14 * time.Minute, now.Add(24 * time.Hour), 1},
	} {
		if n := p.pages(now.Add(-c.back), c.at, 1); n != c.want {
			t.Errorf("%s back after %s: %d pages, want %d", c.back, c.at.Sub(now), n, c.want)
		}
	}
	p.complete = true
	if n := p.pages(day.AddDate(-1, 0, 0), now, 1); n != 5 {
		t.Errorf("%d pages of a listing that was read to its end in 5", n)
	}
}

func TestAdapted(t *testing.T) {
	t.Parallel()
	var usual durations
	if got := adapted(10*time.Second, 20*time.Second, time.Minute, &usual); got != 10*time.Second {
		t.Errorf("%s without experience", got)
	}
	for range 5000 { // more than are remembered
		usual.add(10 * time.Minute)
	}
	usual.add(-time.Second) // clocks that differ
	short, long, ok := usual.usual()
	if !ok || short > 10*time.Minute || short < 9*time.Minute || long < 10*time.Minute || long > 15*time.Minute || usual.total > faded {
		t.Fatalf("%s to %s, %v of %d", short, long, ok, usual.total)
	}
	for _, c := range []struct{ age, interval, delay, want time.Duration }{
		{time.Second, time.Second, time.Hour, short - time.Second}, // nothing to see before
		{time.Second, time.Second, time.Minute, time.Minute},       // but the user wants a look
		{10 * time.Minute, time.Minute, time.Minute, (long - short) / 20},
		{time.Hour, 40 * time.Second, time.Minute, 40 * time.Second},
	} {
		if got := adapted(c.interval, c.age, c.delay, &usual); got != c.want {
			t.Errorf("at %s: %s, want %s", c.age, got, c.want)
		}
	}
}

// A thousand groups that all want more than there is get their turns, none twice before each was served once.
func TestLineIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const groups, each = 1000, 3
		q := quota.New(quota.Options{Sizes: map[string]quota.Size{listing: {Bucket: 10, Refill: 50}}})
		s := quota.Scope{Region: "us-east-1", Account: "1"}
		var l line
		need, back := make([]int, groups), make([]time.Time, groups)
		for i := range need {
			need[i], back[i] = each, time.Now()
		}
		began, asked := time.Now(), 0
		for slices.Max(need) > 0 {
			next := began.Add(24 * time.Hour)
			for i := range need {
				if need[i] == 0 {
					continue
				}
				if !back[i].After(time.Now()) {
					asked++
					granted, at := l.ask(time.Now(), fmt.Sprint(i), need[i], q.Room(s, listing))
					for range granted {
						if err := q.Do(quota.AtOnce(t.Context()), s, listing, func() error { return nil }); err != nil {
							t.Fatalf("granted, but %v", err)
						}
					}
					need[i] -= granted
					back[i] = at
				}
				if need[i] > 0 && back[i].Before(next) {
					next = back[i]
				}
			}
			if slices.Max(need) > 0 {
				time.Sleep(max(time.Until(next), time.Millisecond))
			}
		}
		least := time.Duration(float64(groups*each-10) / 50 * float64(time.Second))
		if took := time.Since(began); took > least*3/2 {
			t.Errorf("took %s, the quota allows %s", took, least)
		}
		if asked > 20*groups*each {
			t.Errorf("the groups came %d times for %d calls", asked, groups*each)
		}
	})
}

func TestMachineOf(t *testing.T) {
	t.Parallel()
	const base = "arn:aws-cn:states:cn-north-1:1:"
	for arn, want := range map[string]string{
		base + "execution:m:x": base + "stateMachine:m", base + "execution:m/label:uuid": base + "stateMachine:m/label",
		base + "express:m:x:uuid": "", base + "execution:m": "", "x": "", "arn:aws:lambda:r:1:execution:m:x": "",
	} {
		m, ok := machineOf(arn)
		if ok != (want != "") || ok && m.ARN() != want || m.labelled() != (want == base+"stateMachine:m/label") {
			t.Errorf("%s: %s, %v; want %s", arn, m.ARN(), ok, want)
		}
	}
}
