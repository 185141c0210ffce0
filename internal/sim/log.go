package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

// eventLog keeps what happened last. What is told of it is worked out when
// somebody asks, as nobody does of most runs.
type eventLog struct {
	entries []entry
	dropped int
}

type entry struct {
	at     time.Duration
	format string
	args   []any
	event  tinytest.Event // if format is empty
}

const maxEntries = 5000

func (l *eventLog) add(at time.Duration, format string, args ...any) {
	l.append(entry{at: at, format: format, args: args})
}

func (l *eventLog) event(at time.Duration, e tinytest.Event) { l.append(entry{at: at, event: e}) }

func (l *eventLog) append(e entry) {
	if len(l.entries) == 2*maxEntries {
		l.dropped += maxEntries
		l.entries = append(l.entries[:0], l.entries[maxEntries:]...)
	}
	l.entries = append(l.entries, e)
}

// String is the log, one event a line.
func (l *eventLog) String() string {
	var b strings.Builder
	if l.dropped > 0 {
		fmt.Fprintf(&b, "(%d earlier events)\n", l.dropped)
	}
	for _, e := range l.entries {
		what := e.event.String()
		if e.format != "" {
			what = fmt.Sprintf(e.format, e.args...)
		}
		fmt.Fprintf(&b, "%10v  %s\n", e.at, what)
	}
	return b.String()
}

// bubbleStacks returns the stacks of the goroutines in bubbles.
func bubbleStacks() string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var b strings.Builder
	for _, stack := range strings.Split(string(buf), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if strings.Contains(head, "synctest bubble") {
			b.WriteString(stack + "\n\n")
		}
	}
	return b.String()
}
