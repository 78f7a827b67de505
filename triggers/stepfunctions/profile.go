package stepfunctions

import (
	"math"
	"time"
)

// pageSize is the most that ListExecutions gives at once.
const pageSize = 1000

// profile remembers how deep in time the pages of a listing went, to estimate how many the next will have.
type profile struct {
	at time.Time
	// bounds are the starts of the last executions of full pages, newest first.
	bounds []time.Time
	// complete: the listing had no more pages.
	complete bool
}

const (
	// maxBounds bounds a profile's memory; what is beyond is extrapolated.
	maxBounds = 256
	// profileHalf is the time in which the memory of long listings fades by half, so that they are tried again.
	profileHalf = 10 * time.Minute
	// manyPages stands for more than anybody would read.
	manyPages = 1e6
)

// pages estimates the pages to read down to a start date; floor is the estimate without any memory.
func (p *profile) pages(cutoff, now time.Time, floor int) int {
	if p.at.IsZero() {
		return floor
	}
	deeper := 0
	for _, bound := range p.bounds {
		if bound.Before(cutoff) {
			break
		}
		deeper++
	}
	pages := float64(deeper + 1)
	if n := len(p.bounds); n > 0 && deeper == n && !p.complete {
		last := p.bounds[n-1]
		each := max(p.at.Sub(last), time.Second).Seconds() / float64(n)
		pages += last.Sub(cutoff).Seconds() / each
	}
	pages = 1 + (pages-1)*math.Exp2(-now.Sub(p.at).Seconds()/profileHalf.Seconds())
	return int(min(math.Round(pages), manyPages))
}

// page takes a full page into the profile.
func (p *profile) page(last time.Time) {
	if len(p.bounds) < maxBounds {
		p.bounds = append(p.bounds, last)
	}
}
