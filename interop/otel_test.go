package interop

import (
	"context"
	"testing"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// carrier carries a trace context in the user properties of a message.
type carrier struct{ m *mqtt.Message }

func (c carrier) Get(key string) string { return c.m.User(key) }

func (c carrier) Set(key, value string) {
	c.m.UserProperties = append(c.m.UserProperties, mqtt.UserProperty{Name: key, Value: value})
}

func (c carrier) Keys() (keys []string) {
	for _, u := range c.m.UserProperties {
		keys = append(keys, u.Name)
	}
	return keys
}

// publishTraced publishes m in a span, whose context it sends along.
func publishTraced(ctx context.Context, tracer oteltrace.Tracer, c *mqtt.Client, m mqtt.Message) error {
	ctx, span := tracer.Start(ctx, "publish "+m.Topic, oteltrace.WithSpanKind(oteltrace.SpanKindProducer))
	defer span.End()
	propagation.TraceContext{}.Inject(ctx, carrier{&m})
	err := c.Publish(ctx, &m)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// traced returns a handler that calls h in a span, which continues the trace of
// the publisher.
func traced(tracer oteltrace.Tracer, h mqtt.Handler) mqtt.Handler {
	return func(ctx context.Context, m *mqtt.Message) error {
		ctx, span := tracer.Start(propagation.TraceContext{}.Extract(ctx, carrier{m}), "process "+m.Topic, oteltrace.WithSpanKind(oteltrace.SpanKindConsumer))
		defer span.End()
		err := h(ctx, m)
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		return err
	}
}

// OpenTelemetry needs nothing of the engine but user properties and handlers.
func TestATraceGoesFromPublisherToHandler(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("mqtt")
	c, err := mqtt.Connect(t.Context(), brokertest.URL(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Abort)
	ctx, stop := context.WithCancel(t.Context())
	ready, served := make(chan struct{}), make(chan error, 1)
	x := mqtt.Mux{OnSubscribed: func([]packet.ReasonCode) { close(ready) }}
	x.Handle(mqtt.Subscription{Filter: "orders", QoS: 1}, traced(tracer, func(context.Context, *mqtt.Message) error {
		stop()
		return nil
	}))
	go func() { served <- x.Serve(ctx, c) }()
	<-ready
	if err := publishTraced(t.Context(), tracer, c, mqtt.Message{Topic: "orders", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	<-served
	spans := map[string]trace.ReadOnlySpan{}
	for _, s := range recorder.Ended() {
		spans[s.Name()] = s
	}
	from, to := spans["publish orders"], spans["process orders"]
	if from == nil || to == nil || to.Parent().SpanID() != from.SpanContext().SpanID() || to.SpanContext().TraceID() != from.SpanContext().TraceID() {
		t.Errorf("spans %v", spans)
	}
}
