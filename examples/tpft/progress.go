package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// How often the progress is looked at, and printed where no bar can be drawn.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = time.Second
	lineAnyway   = 10 * time.Second // for less than a tenth more
)

// progress shows how far transfers have come. A nil one shows nothing.
type progress struct {
	out      io.Writer
	terminal bool
}

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out, ok && term.IsTerminal(int(f.Fd()))}
}

// watch shows how far file has come on its way to size, until stop is called.
// That is seen from the file's offset, wherever the bytes are copied.
func (p *progress) watch(name string, size int64, file *os.File) (stop func(complete bool)) {
	if p == nil {
		return func(bool) {}
	}
	at := func() int64 {
		n, _ := file.Seek(0, io.SeekCurrent)
		return n
	}
	var d display
	interval := barInterval
	if first := at(); p.terminal && first < size {
		d = newBar(p.out, harmless(name), size, first)
	} else {
		d, interval = newLines(p.out, harmless(name), size, first), lineInterval
	}
	d.show(at())
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends when stop is called, which waits for it
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				d.show(at())
			case <-stopped:
				return
			}
		}
	}()
	return func(complete bool) {
		close(stopped)
		<-ended
		d.end(at(), complete)
	}
}

// display shows one transfer.
type display interface {
	show(at int64)
	end(at int64, complete bool)
}

// bar is a display that redraws its line. It counts from where the transfer
// began: what was there before says nothing about the rate.
type bar struct {
	out   io.Writer
	first int64
	*progressbar.ProgressBar
}

func newBar(out io.Writer, name string, size, first int64) bar {
	if first > 0 {
		name += " from " + bytesText(first)
	}
	return bar{out, first, progressbar.NewOptions64(size-first,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(barInterval/2),
	)}
}

func (b bar) show(at int64) { b.Set64(at - b.first) }

func (b bar) end(at int64, complete bool) {
	b.show(at)
	if !complete {
		b.Exit()
	}
	fmt.Fprintln(b.out)
}

// lines is a display for what is no terminal.
type lines struct {
	out         io.Writer
	name        string
	size        int64
	first       int64 // where it began
	began       time.Time
	printed     time.Time // when the last line was
	printedThen int64
}

func newLines(out io.Writer, name string, size, at int64) *lines {
	now := time.Now()
	return &lines{out, name, size, at, now, now, at}
}

func (l *lines) show(at int64) {
	now := time.Now()
	if since := now.Sub(l.printed); since < lineInterval ||
		at-l.printedThen < l.size/10 && since < lineAnyway {
		return
	}
	l.printed, l.printedThen = now, at
	rate := l.rate(at, now)
	left := "unknown"
	if rate > 0 {
		left = (time.Duration(float64(l.size-at)/rate*float64(time.Second)) + time.Second/2).Truncate(time.Second).String()
	}
	fmt.Fprintf(l.out, "%s: %s of %s (%d%%), %s/s, %s left\n", l.name, bytesText(at), bytesText(l.size),
		percent(at, l.size), bytesText(int64(rate)), left)
}

func (l *lines) end(at int64, complete bool) {
	now := time.Now()
	if !complete {
		fmt.Fprintf(l.out, "%s: stopped at %s of %s (%d%%)\n", l.name, bytesText(at), bytesText(l.size), percent(at, l.size))
		return
	}
	fmt.Fprintf(l.out, "%s: %s (100%%), %s/s, in %v\n", l.name, bytesText(l.size), bytesText(int64(l.rate(at, now))),
		now.Sub(l.began).Round(time.Millisecond))
}

// rate is in bytes per second.
func (l *lines) rate(at int64, now time.Time) float64 {
	return float64(at-l.first) / max(now.Sub(l.began).Seconds(), 1e-3)
}

func percent(at, size int64) int64 {
	if size == 0 {
		return 100
	}
	return int64(float64(at) / float64(size) * 100)
}

// bytesText returns a number of bytes with a binary unit.
func bytesText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n)/(1<<10), "KMGTPE"
	for f >= 1<<10 {
		f, units = f/(1<<10), units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", f, units[0])
}
