package main

import (
	"fmt"
	"io"
	"time"
)

// printer prints lines in a goroutine of its own, so that whoever does not
// read the output holds up nobody but it.
type printer struct {
	lines chan string
	stop  chan struct{}
	done  chan struct{}
}

// maxLines is how many lines wait for a slow reader; more are dropped.
const maxLines = 4096

func newPrinter(w io.Writer) *printer {
	p := &printer{lines: make(chan string, maxLines), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(w) // ends with close, or when w can't be written to
	return p
}

func (p *printer) run(w io.Writer) {
	defer close(p.done)
	for {
		select {
		case line := <-p.lines:
			if _, err := fmt.Fprintln(w, line); err != nil {
				return
			}
		case <-p.stop:
			select {
			case line := <-p.lines:
				fmt.Fprintln(w, line)
			default:
				return
			}
		}
	}
}

func (p *printer) print(line string) {
	select {
	case p.lines <- line:
	default:
	}
}

// close waits until all is printed, for at most a second.
func (p *printer) close() {
	close(p.stop)
	select {
	case <-p.done:
	case <-time.After(time.Second):
	}
}
