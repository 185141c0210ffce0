package tinytest

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// deadline is guarded by Network.mu.
type deadline struct {
	timer  *time.Timer
	passed bool
}

// set makes it pass at t, and wakes those who wait when it does.
func (d *deadline) set(n *Network, waiting *sync.Cond, t time.Time) {
	d.stop()
	d.passed = !t.IsZero() && !t.After(time.Now())
	waiting.Broadcast()
	if t.IsZero() || d.passed {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(t), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if d.timer == timer { // and not one that was set just before this one fired
			d.passed = true
			waiting.Broadcast()
		}
	})
	d.timer = timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// keepAlive is what an end does to find out that nothing moves any more. It is
// guarded by Network.mu.
type keepAlive struct {
	after time.Duration // zero means never
	timer *time.Timer
}

// SetKeepAliveConfig sets how the end learns that the link is dead: when nothing
// has moved, in either direction, for Idle and Count times Interval, it breaks with
// syscall.ETIMEDOUT. Zero fields mean 15 s, 15 s and 9, as in package net;
// without a call there is no keep-alive. Unlike TCP's, it also ends a
// connection that has bytes on their way.
func (c *Conn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.alive.watch(c, false)
	c.alive.after = 0
	if config.Enable {
		orDefault := func(d time.Duration) time.Duration {
			if d == 0 {
				d = 15 * time.Second
			}
			return d
		}
		if config.Count == 0 {
			config.Count = 9
		}
		c.alive.after = orDefault(config.Idle) + time.Duration(config.Count)*orDefault(config.Interval)
	}
	c.alive.watch(c, c.link.held(ToListener) || c.link.held(ToDialer))
	return nil
}

// watch begins to count while nothing moves, or stops. mu is held.
func (k *keepAlive) watch(c *Conn, held bool) {
	switch {
	case !held || c.closed || c.broken:
		if k.timer != nil {
			k.timer.Stop()
			k.timer = nil
		}
	case k.after > 0 && k.timer == nil:
		var timer *time.Timer
		timer = time.AfterFunc(k.after, func() {
			c.net.mu.Lock()
			defer c.net.mu.Unlock()
			if k.timer == timer {
				k.timer = nil
				c.breakOff(syscall.ETIMEDOUT)
			}
		})
		k.timer = timer
	}
}
