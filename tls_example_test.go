package tinyproto_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"

	"github.com/tinyproto-go/tinyproto"
	"github.com/tinyproto-go/tinyproto/internal/testcert"
)

// A server with TLS, and a client that trusts its authority. The certificates
// are made on the spot here; a program has them from tls.LoadX509KeyPair, and
// a client of a server with a public certificate dials "tls://host:port"
// without any options.
func ExampleServer_tls() {
	authority := testcert.New("authority of the example")

	ctx, cancel := context.WithCancel(context.Background())
	server := &tinyproto.Server{
		TLS: &tls.Config{Certificates: []tls.Certificate{authority.Server("localhost")}},
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			for msg := range c.Inbox() {
				if err := c.Send(ctx, append([]byte("you said: "), msg...)); err != nil {
					return err
				}
			}
			return c.Err()
		},
	}
	l, err := server.Listen(ctx, "tls://127.0.0.1:0") // or ListenAndServe, where the port is known
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx

	address := "tls://" + l.Addr().String()
	c, err := tinyproto.Dial(ctx, address, &tinyproto.DialOptions{
		TLS: &tls.Config{
			RootCAs:    authority.Pool(),
			ServerName: "localhost", // by default the host that is dialled
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	reply, err := c.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply)
	fmt.Println("client:", c.Shutdown(ctx))

	// Whoever does not know the authority does not trust the server.
	_, err = tinyproto.Dial(ctx, address, &tinyproto.DialOptions{
		TLS: &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"},
	})
	var unknown x509.UnknownAuthorityError
	fmt.Println("unknown authority:", errors.As(err, &unknown))

	cancel()
	fmt.Println("server:", <-served)
	// Output:
	// you said: hello
	// client: <nil>
	// unknown authority: true
	// server: <nil>
}

// A server that demands certificates of its clients, and greets them by name.
func ExampleServer_clientCertificates() {
	authority := testcert.New("authority of the example")

	ctx, cancel := context.WithCancel(context.Background())
	server := &tinyproto.Server{
		TLS: &tls.Config{
			Certificates: []tls.Certificate{authority.Server("127.0.0.1")},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    authority.Pool(),
		},
		Handler: func(ctx context.Context, c *tinyproto.Conn) error {
			client := c.TLS().PeerCertificates[0].Subject.CommonName
			return c.Send(ctx, []byte("welcome, "+client))
		},
	}
	l, err := server.Listen(ctx, "tls://127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }() // ends with ctx

	dial := func(certificates ...tls.Certificate) (*tinyproto.Conn, error) {
		return tinyproto.Dial(ctx, "tls://"+l.Addr().String(), &tinyproto.DialOptions{
			TLS: &tls.Config{RootCAs: authority.Pool(), Certificates: certificates},
		})
	}
	c, err := dial(authority.Client("Ada"))
	if err != nil {
		log.Fatal(err)
	}
	for msg := range c.Inbox() {
		fmt.Printf("%s\n", msg)
	}

	_, err = dial() // without a certificate
	var alert tls.AlertError
	if errors.As(err, &alert) {
		fmt.Println("refused:", alert)
	}
	cancel()
	fmt.Println("server:", <-served)
	// Output:
	// welcome, Ada
	// refused: tls: certificate required
	// server: <nil>
}
