package main

import "time"

// weather brings the faults.
func (w *world) weather() {
	for _, f := range w.plan.faults {
		if !w.sleep(w.ctx, time.Until(w.began.Add(f.at))) {
			return
		}
		w.bring(f)
	}
}

func (w *world) bring(f faultPlan) {
	from, to := w.plan.linkOf(f)
	w.mu.Lock()
	w.brought[f.kind]++
	w.mu.Unlock()
	l := w.net.Link(from, to)
	switch f.kind {
	case faultStall:
		l.Stall(f.direction, f.duration)
	case faultPartition:
		l.Partition(f.direction)
		if f.duration > 0 {
			w.after(f.duration, l.Heal)
		}
	case faultReset:
		l.Reset()
	case faultCloseWrite:
		l.CloseWrite(f.direction)
	case faultConditions:
		l.Set(f.conditions)
	case faultRefuse:
		w.mu.Lock()
		w.refused[from] = true
		w.mu.Unlock()
		l.Refuse(true)
		w.after(f.duration, func() { l.Refuse(false) })
	}
}

// after does something later, unless everything has ended by then.
func (w *world) after(d time.Duration, f func()) {
	w.all.Go(func() { // ends after d, or with everything
		if w.sleep(w.ctx, d) {
			f()
		}
	})
}

// linkOf returns the names of the link that a fault is on.
func (p *plan) linkOf(f faultPlan) (from, to string) {
	if f.far {
		return relayName, originName
	}
	return p.clients[f.client].name, serverName
}
