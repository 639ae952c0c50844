// Command pahobench loads a broker like the load generators that are built on the Paho
// client for Go, to compare what a message costs the generator:
//
//	pahobench publish URL CLIENTS MESSAGES QOS SIZE
//	pahobench pairs URL CLIENTS MESSAGES QOS SIZE
//
// publish does what krylovsk/mqtt-benchmark does: each client takes its messages from a
// channel, publishes one, waits for its token, and passes it on with its times. pairs does
// what inovex/mqtt-stresser does: each worker has a publisher that waits for each token,
// and a subscriber whose handler passes on each message.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pahobench:", err)
		os.Exit(1)
	}
}

// load is the work of each client.
type load struct {
	url      string
	messages int
	qos      byte
	size     int
}

func run(args []string) error {
	if len(args) != 6 {
		return errors.New("usage: pahobench publish|pairs URL CLIENTS MESSAGES QOS SIZE")
	}
	var numbers [4]int
	for i := range numbers {
		n, err := strconv.Atoi(args[2+i])
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no number", args[2+i])
		}
		numbers[i] = n
	}
	l := load{url: args[1], messages: numbers[1], qos: byte(numbers[2]), size: numbers[3]}
	do, known := map[string]func(client int) error{"publish": l.publish, "pairs": l.pair}[args[0]]
	if !known {
		return fmt.Errorf("what is %q?", args[0])
	}
	errs := make([]error, numbers[0])
	var clients sync.WaitGroup
	for i := range errs {
		clients.Go(func() { errs[i] = do(i) })
	}
	clients.Wait()
	return errors.Join(errs...)
}

// message is a message on its way through publish.
type message struct {
	payload         []byte
	sent, delivered time.Time
	err             error
}

func (l *load) publish(client int) error {
	c, err := l.connect(fmt.Sprint("pub-", client), nil)
	if err != nil {
		return err
	}
	defer c.Disconnect(250)
	fresh, done := make(chan *message), make(chan *message)
	go func() {
		defer close(fresh)
		for range l.messages {
			fresh <- &message{payload: make([]byte, l.size)}
		}
	}()
	go func() {
		defer close(done)
		for m := range fresh {
			m.sent = time.Now()
			token := c.Publish(fmt.Sprint("t/", client), l.qos, false, m.payload)
			token.Wait()
			m.err, m.delivered = token.Error(), time.Now()
			done <- m
		}
	}()
	var times []float64
	for m := range done {
		if m.err != nil {
			return m.err
		}
		times = append(times, m.delivered.Sub(m.sent).Seconds())
	}
	if len(times) != l.messages {
		return fmt.Errorf("%d messages of %d", len(times), l.messages)
	}
	return nil
}

func (l *load) pair(client int) error {
	topic, come := fmt.Sprint("t/", client), make(chan [2]string)
	s, err := l.connect(fmt.Sprint("sub-", client), func(_ mqtt.Client, m mqtt.Message) {
		come <- [2]string{m.Topic(), string(m.Payload())}
	})
	if err != nil {
		return err
	}
	defer s.Disconnect(250)
	if token := s.Subscribe(topic, l.qos, nil); token.Wait() && token.Error() != nil {
		return token.Error()
	}
	p, err := l.connect(fmt.Sprint("pub-", client), nil)
	if err != nil {
		return err
	}
	defer p.Disconnect(250)
	received := make(chan struct{})
	go func() {
		defer close(received)
		for range l.messages {
			<-come
		}
	}()
	payload := string(make([]byte, l.size))
	for range l.messages {
		if token := p.Publish(topic, l.qos, false, payload); token.Wait() && token.Error() != nil {
			return token.Error()
		}
	}
	select {
	case <-received:
		return nil
	case <-time.After(time.Minute):
		return errors.New("not every message came")
	}
}

func (l *load) connect(id string, handler mqtt.MessageHandler) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker(l.url).SetClientID(id).SetCleanSession(true).SetDefaultPublishHandler(handler)
	c := mqtt.NewClient(o)
	token := c.Connect()
	token.Wait()
	return c, token.Error()
}
