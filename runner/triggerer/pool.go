package triggerer

import "sync"

// pool runs jobs on a few goroutines that end when there is nothing to do.
type pool struct {
	most  int
	begin func(func()) // Config.Go

	mu         sync.Mutex
	queue      []func()
	running    int
	goroutines sync.WaitGroup
}

func (p *pool) do(job func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, job)
	if p.running < p.most {
		p.running++
		p.goroutines.Add(1)
		p.begin(p.work)
	}
}

func (p *pool) work() {
	defer p.goroutines.Done()
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.running--
			p.queue = nil
			p.mu.Unlock()
			return
		}
		job := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.mu.Unlock()
		job()
	}
}

// forget drops the jobs that have not begun.
func (p *pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = nil
}
