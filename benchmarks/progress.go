package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far it has come, in a bar on a terminal; elsewhere it shows
// nothing.
type progress struct {
	out io.Writer // nil if it is no terminal
	bar *progressbar.ProgressBar
}

func newProgress(out io.Writer) *progress {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{out: out}
	}
	return &progress{}
}

func (p *progress) start(steps int) {
	if p.out == nil {
		return
	}
	p.bar = progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(p.out),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionSetWidth(progressWidth),
	)
	p.bar.Add(-1) // the first step begins at 0
}

// progressWidth leaves room for names on a line of 80 columns.
const progressWidth = 10

// step begins a step.
func (p *progress) step(name string) {
	if p.bar != nil {
		p.bar.Describe(name)
		p.bar.Add(1)
	}
}

// end clears the line.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
