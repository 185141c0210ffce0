package main

import (
	"fmt"
	"sync"
)

// book is the echoes that a client is due, in order. Its methods may be called
// concurrently.
type book struct {
	mu   sync.Mutex
	echo sequence // the next is that of due[0]
	due  []int    // sizes
}

func newBook(from, first uint64) *book {
	return &book{echo: sequence{from: from, next: first}}
}

// expect enters a message before it is sent, and returns its number.
func (b *book) expect(size int) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = append(b.due, size)
	return b.echo.next + uint64(len(b.due)) - 1
}

// withdraw strikes out the message that was entered last, as it was not sent.
func (b *book) withdraw(number uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number < b.echo.next {
		return fmt.Errorf("the Send of message %d failed, but its echo came: %w", number, errUnasked)
	}
	b.due = b.due[:len(b.due)-1]
	return nil
}

// take checks an echo against what is due. Once it has failed, what follows it
// is of no use.
func (b *book) take(msg []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.due) == 0 {
		return fmt.Errorf("a message of %d bytes: %w", len(msg), errUnasked)
	}
	number, gaps := b.echo.next, b.echo.gaps
	if err := b.echo.take(msg); err != nil {
		return err
	}
	switch {
	case b.echo.gaps != gaps:
		return fmt.Errorf("echo of message %d instead of %d: %w", b.echo.next-1, number, errMissing)
	case len(msg) != b.due[0]:
		return fmt.Errorf("echo of message %d has %d bytes, expected %d: %w", number, len(msg), b.due[0], errDamaged)
	}
	b.due = b.due[1:]
	return nil
}

// open is how many echoes are due.
func (b *book) open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.due)
}
