package mqtt_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/big"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// start runs a broker on a free port and returns its URL.
func start(o broker.Options) (url string, stop func()) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	b := broker.New(o)
	done := make(chan error)
	go func() { done <- b.Serve(ln) }()
	return "mqtt://" + ln.Addr().String(), func() {
		_ = b.Close(context.Background())
		<-done
	}
}

// Subscribe, publish and receive.
func Example() {
	url, stop := start(broker.Options{}) // or the URL of a running broker, such as mqtt://localhost
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "greetings/#", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	if err := c.Publish(ctx, &mqtt.Message{Topic: "greetings/en", Payload: []byte("hello"), QoS: 1}); err != nil {
		log.Fatal(err)
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		break
	}
	fmt.Println(c.Close(ctx))
	// Output:
	// greetings/en: hello
	// <nil>
}

// The server publishes the will of a client whose connection is lost. This
// client reconnects after a loss, and keeps its session for an hour.
func ExampleOptions() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	watcher, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer watcher.Close(ctx)
	if _, err := watcher.Subscribe(ctx, mqtt.Subscription{Filter: "+/state"}); err != nil {
		log.Fatal(err)
	}

	lamp, err := mqtt.Connect(ctx, url, &mqtt.Options{
		ClientID:  "lamp-1",
		Username:  "lamp",
		Password:  []byte("secret"),
		KeepAlive: 30 * time.Second,
		Session:   mqtt.Session{Resume: true, Expiry: time.Hour},
		Reconnect: mqtt.Backoff(time.Second, time.Minute),
		Will:      &mqtt.Will{Message: mqtt.Message{Topic: "lamp/state", Payload: []byte("lost"), Retain: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	lamp.Abort() // like a cut cable

	for m, err := range watcher.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		break
	}
	// Output: lamp/state: lost
}

// Publish returns when the broker has acknowledged the message.
func ExampleClient_Publish() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	err = c.Publish(ctx, &mqtt.Message{Topic: "lamp/hall", Payload: []byte("on"), QoS: 1, Retain: true})
	fmt.Println(err)
	// Output: <nil>
}

// Taking the next message acknowledges the previous one.
func ExampleClient_Messages() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "lamp/#", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	for _, state := range []string{"on", "off"} {
		if err := c.Publish(ctx, &mqtt.Message{Topic: "lamp/hall", Payload: []byte(state), QoS: 1}); err != nil {
			log.Fatal(err)
		}
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s\n", m.Topic, m.Payload)
		if string(m.Payload) == "off" {
			break
		}
	}
	// Output:
	// lamp/hall on
	// lamp/hall off
}

// Send waits only for room, so that many messages are in flight at once; Flush
// waits for the acknowledgements.
func ExampleClient_Send() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, &mqtt.Options{PublishOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	for i := range 1000 {
		if err := c.Send(ctx, &mqtt.Message{Topic: "n", Payload: fmt.Append(nil, i), QoS: 1}, uint64(i)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(c.Flush(ctx))
	// Output: <nil>
}

// An error has a class; if the peer refused, it also has a reason code.
func ExampleError() {
	url, stop := start(broker.Options{
		Authorize: func(_, _, topic string, write bool) bool { return !write || topic != "secret" },
	})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	err = c.Publish(ctx, &mqtt.Message{Topic: "secret", QoS: 1})
	fmt.Println(errors.Is(err, packet.NotAuthorized))
	// Output: true
}

// Certificates in memory: a server that trusts one authority for its clients,
// and a client that trusts the server's.
func ExampleOptions_tls() {
	authority, server, client := certificates()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: authority, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		log.Fatal(err)
	}
	b := broker.New(broker.Options{})
	defer b.Close(context.Background())
	go b.Serve(ln)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, "mqtts://"+ln.Addr().String(), &mqtt.Options{
		TLS: &tls.Config{RootCAs: authority, Certificates: []tls.Certificate{client}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Publish(ctx, &mqtt.Message{Topic: "a", QoS: 1}), c.Close(ctx))
	// Output: <nil> <nil>
}

// A WebSocket whose upgrade has a header, as some gateways require. The same
// Dialer has proxies, local addresses and certificates in files.
func ExampleOptions_webSocket() {
	ln, err := transport.ListenConfig{}.Listen(context.Background(), "ws://127.0.0.1:0/mqtt")
	if err != nil {
		log.Fatal(err)
	}
	b := broker.New(broker.Options{})
	defer b.Close(context.Background())
	go b.Serve(ln)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	d := &transport.Dialer{Headers: []transport.Header{{Name: "Authorization", Value: "Bearer 7f3a"}}}
	c, err := mqtt.Connect(ctx, "ws://"+ln.Addr().String()+"/mqtt", &mqtt.Options{Dial: d.Dial})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Publish(ctx, &mqtt.Message{Topic: "a", QoS: 1}), c.Close(ctx))
	// Output: <nil> <nil>
}

// Properties of MQTT 5.0.
func ExampleMessage() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "orders"}); err != nil {
		log.Fatal(err)
	}
	err = c.Publish(ctx, &mqtt.Message{
		Topic:          "orders",
		Payload:        []byte(`{"id":42}`),
		ContentType:    "application/json",
		Expiry:         time.Hour,
		UserProperties: []mqtt.UserProperty{{Name: "trace", Value: "7f3a"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.ContentType, m.Expiry, m.User("trace"))
		break
	}
	// Output: application/json 1h0m0s 7f3a
}

// A responder and a request to it, which here share a connection.
func ExampleClient_Request() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	ready := make(chan struct{})
	responder := mqtt.Mux{
		OnSubscribed: func([]packet.ReasonCode) { close(ready) },
		OnError: func(_ context.Context, m *mqtt.Message, err error) error {
			log.Printf("bad request on %s: %v", m.Topic, err)
			return nil // and continue with the next
		},
	}
	responder.Handle(mqtt.Subscription{Filter: "double", QoS: 1}, func(ctx context.Context, m *mqtt.Message) error {
		n, err := strconv.Atoi(string(m.Payload))
		if err != nil {
			return err
		}
		return c.Reply(ctx, m, &mqtt.Message{Payload: fmt.Append(nil, 2*n)})
	})
	go responder.Serve(ctx, c)
	<-ready

	reply, err := c.Request(ctx, &mqtt.Message{Topic: "double", Payload: []byte("21"), QoS: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply.Payload)
	// Output: 42
}

// A consumer that misses nothing while it is away: the server keeps its session
// and queues messages for it.
func ExampleSession() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	durable := &mqtt.Options{ClientID: "billing", Session: mqtt.Session{Resume: true, Expiry: 24 * time.Hour}}
	consumer, err := mqtt.Connect(ctx, url, durable)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := consumer.Subscribe(ctx, mqtt.Subscription{Filter: "orders/#", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	consumer.Close(ctx) // it is away

	publisher, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer publisher.Close(ctx)
	if err := publisher.Publish(ctx, &mqtt.Message{Topic: "orders/1", Payload: []byte("a lamp"), QoS: 1}); err != nil {
		log.Fatal(err)
	}

	if consumer, err = mqtt.Connect(ctx, url, durable); err != nil {
		log.Fatal(err)
	}
	defer consumer.Close(ctx)
	fmt.Println("the server had the session:", consumer.SessionPresent())
	for m, err := range consumer.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		break
	}
	// Output:
	// the server had the session: true
	// orders/1: a lamp
}

// Send reports the outcome of each message, for a program that commits its
// offsets as messages are delivered.
func ExampleOptions_onOutcome() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	committed := uint64(0)
	c, err := mqtt.Connect(ctx, url, &mqtt.Options{
		PublishOnly: true,
		OnOutcome: func(offset uint64, err error) {
			if err == nil && offset == committed+1 { // acknowledgements at QoS 1 come in order
				committed = offset
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for offset := uint64(1); offset <= 100; offset++ {
		if err := c.Send(ctx, &mqtt.Message{Topic: "log", QoS: 1}, offset); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(c.Close(ctx), committed)
	// Output: <nil> 100
}

// Events and packets in a structured log.
func ExampleOptions_slog() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime}))
	c, err := mqtt.Connect(ctx, url, &mqtt.Options{
		ClientID: "a",
		OnEvent: func(e mqtt.Event) {
			logger.Warn("mqtt", "event", e.Kind, "error", e.Err)
		},
		Trace: func(sent bool, f packet.Frame, v packet.Version) {
			logger.Debug("mqtt", "sent", sent, "packet", packet.AppendSummary(nil, f, v))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Publish(ctx, &mqtt.Message{Topic: "a/b"})
	c.Close(ctx)
	// Output:
	// level=DEBUG msg=mqtt sent=true packet="CONNECT MQTT 5.0 as 'a' clean keepalive 60"
	// level=DEBUG msg=mqtt sent=false packet="CONNACK success receive-maximum=1024 maximum-packet-size=16777216 topic-alias-maximum=64"
	// level=DEBUG msg=mqtt sent=true packet="PUBLISH q0 'a/b' (0 bytes)"
	// level=DEBUG msg=mqtt sent=true packet="DISCONNECT normal disconnection"
}

// certificates returns an authority, and certificates for localhost that it has
// signed.
func certificates() (authority *x509.CertPool, server, client tls.Certificate) {
	sign := func(template, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) tls.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			log.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			log.Fatal(err)
		}
		return key
	}
	until := time.Now().Add(time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey := newKey()
	root := sign(ca, ca, caKey, caKey)
	signed, err := x509.ParseCertificate(root.Certificate[0])
	if err != nil {
		log.Fatal(err)
	}
	authority = x509.NewCertPool()
	authority.AddCert(signed)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	return authority, sign(leaf, ca, newKey(), caKey), sign(leaf, ca, newKey(), caKey)
}
