package tinyproto_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/leaktest"
)

type contextKey struct{}

// serveOnce has handle serve one connection of a server whose context has a value
// for contextKey, and returns the function that ends the server.
func serveOnce(t *testing.T, handle func(context.Context)) (stop func(why error) error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), contextKey{}, "value"))
	server := &tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
		handle(ctx)
		return nil
	}}
	l := listen(t, "127.0.0.1:0")
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx
	c, err := tinyproto.Dial(t.Context(), l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(why error) error {
		cancel(why)
		err := <-served
		c.Close()
		return err
	}
}

func TestAHandlersContextEndsWithTheServerAndItsCause(t *testing.T) {
	for name, wait := range map[string]func(context.Context){
		"that is waited for": func(ctx context.Context) { <-ctx.Done() },
		"of a derived one": func(ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			<-ctx.Done()
		},
		"of a call": func(ctx context.Context) {
			ended := make(chan struct{})
			context.AfterFunc(ctx, func() { close(ended) })
			<-ended
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			why := errors.New("the server closes")
			runs, seen := make(chan struct{}), make(chan [2]error, 1)
			stop := serveOnce(t, func(ctx context.Context) {
				if ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value(contextKey{}) != "value" {
					t.Errorf("it begins with %v, %v, %v", ctx.Err(), context.Cause(ctx), ctx.Value(contextKey{}))
				}
				close(runs)
				wait(ctx)
				if ctx.Value(contextKey{}) != "value" {
					t.Error("its value is lost")
				}
				seen <- [2]error{ctx.Err(), context.Cause(ctx)}
			})
			<-runs
			if err := stop(why); err != nil {
				t.Error(err)
			}
			if got := <-seen; !errors.Is(got[0], context.Canceled) || !errors.Is(got[1], why) {
				t.Errorf("it ended with %v and the cause %v, expected %v", got[0], got[1], why)
			}
		})
	}
}

func TestAHandlersContextEndsWhenItHasReturned(t *testing.T) {
	for name, use := range map[string]func(context.Context){
		"waited for before": func(ctx context.Context) { ctx.Done() },
		"not used before":   func(context.Context) {},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			handed := make(chan context.Context, 1)
			stop := serveOnce(t, func(ctx context.Context) {
				use(ctx)
				handed <- ctx
			})
			ctx := <-handed
			<-ctx.Done()
			if err := ctx.Err(); !errors.Is(err, context.Canceled) {
				t.Errorf("its error is %v", err)
			}
			if err := stop(nil); err != nil {
				t.Error(err)
			}
			if _, ok := ctx.Deadline(); ok {
				t.Error("it has a deadline")
			}
		})
	}
}
