package flow_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tinyproto-go/tinyproto/conn"
	"github.com/tinyproto-go/tinyproto/flow"
)

// buffers are those of all Inboxes and Outboxes of a relay.
var buffers = []int{0, 1, 5}

func TestForwardPassesOnAllUntilTheCleanEnd(t *testing.T) {
	for _, buffer := range buffers {
		for name, sent := range map[string][]string{"no": nil, "one": {"hello"}, "empty": {"", "", ""}, "many": append(numbered(50), "")} {
			inBubble(t, func(t *testing.T) {
				r := newRelay(t, buffer)
				r.feed(sent)
				r.forward()
				ended := make(chan error, 1)
				go func() { // ends with the Forward
					err := <-r.result
					select {
					case <-r.to.Done():
						t.Error("Forward ended the connection that it sent to")
					default:
					}
					ended <- errors.Join(err, r.to.Shutdown(context.Background()))
				}()
				if diff := cmp.Diff(sent, rest(r.sink)); diff != "" {
					t.Errorf("buffer %d, %s messages (-sent +received):\n%s", buffer, name, diff)
				}
				if err := <-ended; err != nil {
					t.Errorf("buffer %d, %s messages: error %v", buffer, name, err)
				}
			})
		}
	}
}

func TestForwardReturnsTheErrorOfTheConnectionThatItReceivesFrom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRelay(t, 0)
		r.forward()
		synctest.Wait()
		r.from.Close()
		err := <-r.result
		if diff := cmp.Diff(r.from.Err().Error(), fmt.Sprint(err)); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
		if !errors.Is(err, conn.ErrClosed) || held(err) != nil {
			t.Errorf("error %v with message %q, expected conn.ErrClosed without", err, held(err))
		}
	})
}

var errShift = errors.New("the shift is over")

// stops are the ends of a Forward that is not through. Each leaves the rest of
// the messages to whoever asks for them.
var stops = []struct {
	name string
	want error
	stop func(*relay)
}{
	{"to is closed", conn.ErrClosed, func(r *relay) { r.to.Close() }},
	{"to is shut down", conn.ErrClosed, func(r *relay) {
		go r.to.Shutdown(context.Background()) // ends as the sink receives the rest
	}},
	{"the peer of to ends", conn.ErrClosed, func(r *relay) {
		go r.sink.Shutdown(context.Background()) // ends as the sink receives the rest
	}},
	{"the context ends", errShift, func(r *relay) {
		r.cancel(errShift)
		r.result <- <-r.result
		go r.to.Shutdown(context.Background()) // ends as the sink receives the rest
	}},
}

func TestForwardLosesNothingWhereverItEnds(t *testing.T) {
	const n = 20
	for _, tt := range stops {
		for _, waits := range []bool{true, false} {
			moment := "while everything runs"
			if waits {
				moment = "when everything waits"
			}
			t.Run(tt.name+" "+moment, func(t *testing.T) {
				inHand := 0
				for _, buffer := range buffers {
					for received := range n + 1 {
						inBubble(t, func(t *testing.T) {
							r := newRelay(t, buffer)
							sent := numbered(n)
							r.feed(sent)
							r.forward()
							var got []string
							for range received {
								got = append(got, string(<-r.sink.Inbox()))
							}
							if waits {
								synctest.Wait()
							}
							tt.stop(r)
							got = append(got, rest(r.sink)...)
							err := <-r.result
							inHand += len(held(err))
							if err = account(r, sent, got, err, tt.want); err != nil {
								t.Errorf("buffer %d, after %d messages: %v", buffer, received, err)
							}
						})
					}
				}
				if waits && inHand == 0 {
					t.Error("no Forward had a message in its hand")
				}
			})
		}
	}
}

// account finds every message in one of these places, in this order: received,
// unsent, in the error of the Forward, still to be received. Whatever was to
// stop the Forward, it may have come to the clean end before, but only then.
func account(r *relay, sent, received []string, err, want error) error {
	rest(r.to) // nothing comes; Unsent is exact after its end
	left := rest(r.from)
	found := slices.Concat(received, texts(r.to.Unsent()), held(err), left)
	if diff := cmp.Diff(sent, found); diff != "" {
		return fmt.Errorf("error %v (-sent +accounted for):\n%s", err, diff)
	}
	if !errors.Is(err, want) && (err != nil || len(left) > 0) {
		return fmt.Errorf("error %v, expected %v", err, want)
	}
	return nil
}

func TestForwardCanGoOnWhereItsContextEnded(t *testing.T) {
	const n = 20
	for _, buffer := range buffers {
		for received := range n + 1 {
			inBubble(t, func(t *testing.T) {
				r := newRelay(t, buffer)
				sent := numbered(n)
				r.feed(sent)
				r.forward()
				var got []string
				for range received {
					got = append(got, string(<-r.sink.Inbox()))
				}
				r.cancel(errShift)
				err := <-r.result
				ended := make(chan error, 1)
				go func() { // ends with the messages, which the sink receives
					if e, ok := errors.AsType[*flow.ForwardError](err); ok {
						r.to.Outbox() <- e.Message
					}
					err := flow.Forward(context.Background(), r.from, r.to)
					ended <- errors.Join(err, r.to.Shutdown(context.Background()))
				}()
				got = append(got, rest(r.sink)...)
				if diff := cmp.Diff(sent, got); diff != "" {
					t.Errorf("buffer %d, stopped after %d messages (-sent +received):\n%s", buffer, received, diff)
				}
				if err := <-ended; err != nil {
					t.Errorf("buffer %d, stopped after %d messages: error %v", buffer, received, err)
				}
			})
		}
	}
}

func TestForwardThatCannotPassOnTakesNothing(t *testing.T) {
	for _, buffer := range buffers {
		for _, tt := range stops {
			inBubble(t, func(t *testing.T) {
				r := newRelay(t, buffer)
				sent := numbered(5)
				r.feed(sent)
				synctest.Wait()
				ctx, cancel := context.WithCancelCause(context.Background())
				r.cancel = cancel
				r.result <- nil // as if a Forward had been through
				tt.stop(r)
				synctest.Wait()
				err := flow.Forward(ctx, r.from, r.to)
				if !errors.Is(err, tt.want) || held(err) != nil {
					t.Errorf("%s: error %v with message %q, expected %v without", tt.name, err, held(err), tt.want)
				}
				if diff := cmp.Diff(sent, rest(r.from)); diff != "" {
					t.Errorf("%s: left to be received (-sent +received):\n%s", tt.name, diff)
				}
			})
		}
	}
}

func TestForwardThatWaitsForAMessageEndsToo(t *testing.T) {
	for _, tt := range stops {
		inBubble(t, func(t *testing.T) {
			r := newRelay(t, 0)
			r.forward()
			synctest.Wait()
			tt.stop(r)
			if err := <-r.result; !errors.Is(err, tt.want) || held(err) != nil {
				t.Errorf("%s: error %v with message %q, expected %v without", tt.name, err, held(err), tt.want)
			}
		})
	}
}

func TestForwardSaysWhyToIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRelay(t, 0)
		r.forward()
		synctest.Wait()
		r.to.NetConn().Close()
		err := <-r.result
		want := "tinyproto: forward from pipe to pipe: connection closed: " + r.to.Err().Error()
		if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
		for _, target := range []error{conn.ErrClosed, io.ErrClosedPipe} {
			if !errors.Is(err, target) {
				t.Errorf("error %v does not match %v", err, target)
			}
		}
	})
}

func TestForwardErrorSaysWhatWasNotPassedOn(t *testing.T) {
	err := &flow.ForwardError{Message: []byte("hello"), Err: errShift}
	if diff := cmp.Diff("the shift is over; a message of 5 bytes was not passed on", err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !errors.Is(err, errShift) {
		t.Error("the error does not match its reason")
	}
}
