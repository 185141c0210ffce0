package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

const (
	prompt = "> "
	ctrlC  = 3
	// wipe empties the row of the cursor: of wide characters, which the editor
	// takes for narrow ones, it leaves some behind.
	wipe = "\r\x1b[K"
)

// terminal is a screen whose last line is the one that is being typed.
type terminal struct {
	in, out *os.File
	editor  *term.Terminal
	saved   *term.State

	mu     sync.Mutex
	asking bool // guarded by mu: the prompt is on the screen
	closed bool // guarded by mu: the terminal is as it was found
}

// openTerminal has the terminal hand over each key. It is restored by close, and
// as soon as ctx ends: then Ctrl-C is a signal again, for those who can't wait.
func openTerminal(ctx context.Context, interrupt func(), in, out *os.File) (*terminal, error) {
	t := &terminal{in: in, out: out}
	t.editor = term.NewTerminal(&keyboard{out, t, interrupt}, prompt)
	t.fit()
	hangup, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	context.AfterFunc(hangup, func() { stop(); interrupt() })
	var err error
	if t.saved, err = term.MakeRaw(int(in.Fd())); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	context.AfterFunc(ctx, t.close)
	return t, nil
}

func (t *terminal) close() {
	term.Restore(int(t.in.Fd()), t.saved) // before it waits for what is being printed
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	if t.asking {
		io.WriteString(t.out, "\r\n")
	}
}

// print prints a message above the line that is being typed.
func (t *terminal) print(msg []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_, err := fmt.Fprintln(t.out, harmless(msg))
		return err
	}
	t.fit()
	_, err := fmt.Fprintf(t.editor, wipe+"%s\n", harmless(msg))
	return err
}

// typeAhead is so large because while a line waits to be handed over nobody
// looks for Ctrl-C.
func (t *terminal) typeAhead() int { return 4096 }

func (t *terminal) readLines(lines chan<- line, stop <-chan struct{}) {
	for {
		t.ask(true)
		text, err := t.editor.ReadLine()
		if err == term.ErrPasteIndicator { // a line like any other
			err = nil
		}
		if err == nil {
			t.ask(false)
		}
		select {
		case lines <- line{[]byte(text), err}:
		case <-stop:
			return
		}
		if err != nil || text == quit {
			return
		}
	}
}

func (t *terminal) ask(asking bool) {
	t.mu.Lock()
	t.asking = asking
	t.mu.Unlock()
}

// fit tells the editor how wide the terminal is now.
func (t *terminal) fit() {
	if width, height, err := term.GetSize(int(t.out.Fd())); err == nil && width > 0 {
		t.editor.SetSize(width, height)
	}
}

// keyboard is what the editor reads from, and the screen it writes to.
type keyboard struct {
	io.Writer
	t         *terminal
	interrupt func()
}

// Read looks for Ctrl-C, which is a byte and no signal now, because the editor
// takes it for the end of the input, whose turn comes after all that was typed.
func (k *keyboard) Read(p []byte) (int, error) {
	if len(p) == 0 { // the editor's buffer is full of a key whose end it awaits
		return 0, errors.New("terminal: this is no key")
	}
	n, err := k.t.in.Read(p)
	if bytes.IndexByte(p[:n], ctrlC) >= 0 {
		k.interrupt()
	}
	k.t.fit()
	return n, err
}
