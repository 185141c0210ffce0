package hub_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/hub"
)

// chat is a chat server: what one says goes to all others.
func chat(ctx context.Context, l net.Listener) error {
	h := hub.New(nil)
	go h.Run(ctx) // ends with ctx
	server := tinyproto.Server{Handler: hub.Handler(h)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx
	for e := range h.Events() {
		text, from := "", e.Member
		switch e.Kind {
		case hub.Joined:
			text, from = "**joined the chat", nil // who joins is told as well
		case hub.Message:
			text = string(e.Body)
		case hub.Left:
			text = "**left the chat"
		}
		h.Broadcast(ctx, fmt.Appendf(nil, "[%s] %s", e.Member.ID(), text), from)
	}
	return <-served
}

// A chat server in 25 lines, and two who use it.
func ExampleHandler() {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- chat(ctx, l) }() // ends with ctx

	dial := func() *tinyproto.Conn {
		c, err := tinyproto.Dial(context.Background(), l.Addr().String(), nil)
		if err != nil {
			log.Fatal(err)
		}
		return c
	}
	hear := func(c *tinyproto.Conn) {
		msg, err := c.Receive(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		_, text, _ := strings.Cut(string(msg), "] ") // the ID is different each time
		fmt.Println(text)
	}
	ann := dial()
	hear(ann)
	bob := dial()
	hear(bob)
	hear(ann)
	bob.Send(ctx, []byte("Hello, is anybody here?"))
	hear(ann)
	ann.Send(ctx, []byte("I am, but not for long."))
	hear(bob)
	ann.Shutdown(ctx)
	hear(bob)
	cancel()
	fmt.Println("server:", <-served)
	bob.Close()
	// Output:
	// **joined the chat
	// **joined the chat
	// **joined the chat
	// Hello, is anybody here?
	// I am, but not for long.
	// **left the chat
	// server: <nil>
}

// Workers connect and get jobs, one at a time. The job of one that leaves
// without a result goes to another.
func Example_workerPool() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	h := hub.New(nil)
	server := tinyproto.Server{Handler: hub.Handler(h)}
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })             // ends with ctx
	running.Go(func() { server.Serve(ctx, l) })   // ends with ctx
	for _, patience := range []int{1, 100, 100} { // the first worker soon leaves
		running.Go(func() { work(l.Addr().String(), patience) }) // ends with the server
	}

	jobs := []string{"tea", "coffee", "juice", "water", "milk", "beer", "wine"}
	want := len(jobs)
	busy := map[*hub.Member]string{}
	var idle []*hub.Member
	var results []string
	for e := range h.Events() {
		switch job, working := busy[e.Member]; {
		case e.Kind == hub.Left:
			if working {
				jobs = append(jobs, job)
			}
			idle = slices.DeleteFunc(idle, func(m *hub.Member) bool { return m == e.Member })
			delete(busy, e.Member)
		case e.Kind == hub.Message:
			results = append(results, string(e.Body))
			fallthrough
		default:
			delete(busy, e.Member)
			idle = append(idle, e.Member)
		}
		if len(results) == want {
			cancel() // and with it everything else ends
		}
		for len(idle) > 0 && len(jobs) > 0 {
			busy[idle[0]] = jobs[0]
			h.Send(ctx, idle[0].ID(), []byte(jobs[0])) // if it has just left, its Left comes
			idle, jobs = idle[1:], jobs[1:]
		}
	}
	running.Wait()
	slices.Sort(results)
	fmt.Println(strings.Join(results, " "))
	// Output:
	// BEER COFFEE JUICE MILK TEA WATER WINE
}

// work does jobs until the connection ends or it has had enough: then it
// leaves with one undone.
func work(address string, patience int) {
	c, err := tinyproto.Dial(context.Background(), address, nil)
	if err != nil {
		return // the others were faster, and all is done
	}
	defer c.Close()
	for job := range c.Inbox() {
		if patience--; patience < 0 {
			return
		}
		c.Send(context.Background(), []byte(strings.ToUpper(string(job))))
	}
}

// When the context of Run ends, what is queued is still sent, as long as the
// connections live: so the server's context ends after the hub, not with it.
func Example_shutdown() {
	ctx, cancel := context.WithCancel(context.Background()) // for instance that of signal.NotifyContext
	defer cancel()
	serverCtx, endServer := context.WithCancel(context.WithoutCancel(ctx))
	l, err := tinyproto.Listen(serverCtx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	h := hub.New(nil)
	server := tinyproto.Server{Handler: hub.Handler(h)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(serverCtx, l) }() // ends with serverCtx
	go func() {                                          // ends with the hub, and ends the server
		h.Run(ctx)
		endServer()
	}()

	c, err := tinyproto.Dial(context.Background(), l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	received := make(chan int, 1)
	for e := range h.Events() {
		switch e.Kind {
		case hub.Joined:
			for i := range 100 {
				h.Broadcast(ctx, fmt.Appendf(nil, "message %d", i))
			}
			cancel()    // most of them are still queued
			go func() { // ends with the connection
				n := 0
				for range c.Inbox() {
					n++
				}
				received <- n
			}()
		case hub.Left:
			fmt.Println("member:", e.Err)
		}
	}
	fmt.Println("client:", <-received, "messages, error:", c.Err())
	fmt.Println("server:", <-served)
	// Output:
	// member: <nil>
	// client: 100 messages, error: <nil>
	// server: <nil>
}

// A hub works the same for connections that were dialled: here a client asks
// three servers, and takes what comes from any of them.
func Example_client() {
	ctx, cancel := context.WithCancel(context.Background())
	var servers sync.WaitGroup
	var addresses []string
	for _, town := range []string{"Bonn", "Köln", "Trier"} {
		l, err := tinyproto.Listen(ctx, "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		server := tinyproto.Server{Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for question := range c.Inbox() {
				if err := c.Send(ctx, fmt.Appendf(nil, "%s in %s: fine", question, town)); err != nil {
					return err
				}
			}
			return c.Err()
		}}
		servers.Go(func() { server.Serve(ctx, l) }) // ends with ctx
	}

	h := hub.New(nil)
	hubCtx, endHub := context.WithCancel(ctx)
	defer endHub()
	go h.Run(hubCtx) // ends with hubCtx
	for _, address := range addresses {
		c, err := tinyproto.Dial(ctx, address, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := h.Join(c); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := h.Broadcast(ctx, []byte("Weather")); err != nil {
		log.Fatal(err)
	}
	answers := 0
	for e := range h.Events() {
		if e.Kind == hub.Message {
			fmt.Printf("%s\n", e.Body)
			if answers++; answers == len(addresses) {
				endHub()
			}
		}
	}
	cancel()
	servers.Wait()
	// Unordered output:
	// Weather in Bonn: fine
	// Weather in Köln: fine
	// Weather in Trier: fine
}
