package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// bar shows progress on a terminal, and nothing anywhere else.
type bar struct{ w io.Writer }

const barWidth = 40

func (b bar) show(what string, done, total int) {
	if b.isTerminal() {
		n := barWidth * done / total
		fmt.Fprintf(b.w, "\r%-13s [%s%s] %3d%%", what, strings.Repeat("=", n), strings.Repeat(" ", barWidth-n), 100*done/total)
	}
}

// done wipes the bar.
func (b bar) done() {
	if b.isTerminal() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}

func (b bar) isTerminal() bool {
	f, ok := b.w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
