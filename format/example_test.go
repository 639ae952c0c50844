package format_test

import (
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/mqtt"
)

var (
	message = &mqtt.Message{Topic: "boiler/temp", Payload: []byte(`{"c": 61.5}`), QoS: 1}
	arrival = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
)

// A pattern in the language of mosquitto_sub -F.
func ExampleCompile() {
	p, err := format.Compile("%I %t (%l bytes): %p", "\n")
	if err != nil {
		log.Fatal(err)
	}
	b, err := p.Append(nil, message, arrival)
	fmt.Print(string(b), err)
	// Output:
	// 2026-01-02T15:04:05+0000 boiler/temp (11 bytes): {"c": 61.5}
	// <nil>
}

// A message as one line of JSON, which RecordReader reads back.
func ExampleRecord() {
	f := format.Record{JSONPayload: true}
	b, err := f.Append(nil, message, arrival)
	fmt.Print(string(b), err)
	// Output:
	// {"tst":"2026-01-02T15:04:05.000000+00:00","topic":"boiler/temp","qos":1,"retain":false,"payloadlen":11,"payload":{"c": 61.5},"payload_encoding":"json"}
	// <nil>
}

// Messages as CSV, with a value of their JSON payloads.
func ExampleRows() {
	columns, err := format.ParseColumns("tst,topic,.c")
	if err != nil {
		log.Fatal(err)
	}
	f := format.Rows{Columns: columns, CSV: true, Header: true}
	b, err := f.Append(nil, message, arrival)
	fmt.Print(string(b), err)
	// Output:
	// tst,topic,.c
	// 2026-01-02T15:04:05.000000+00:00,boiler/temp,61.5
	// <nil>
}

// A message as a point for InfluxDB.
func ExampleInflux() {
	f, err := format.CompileInflux("name=%{level 2},place=%{level 1},topic=", nil)
	if err != nil {
		log.Fatal(err)
	}
	b, err := f.Append(nil, message, arrival)
	fmt.Print(string(b), err)
	// Output:
	// temp,place=boiler c=61.5 1767366245000000000
	// <nil>
}

// A message for people: JSON indented, and binary payloads in hexadecimal.
func ExamplePretty() {
	f := format.Pretty{}
	b, err := f.Append(nil, message, arrival)
	fmt.Print(string(b), err)
	// Output:
	// boiler/temp  15:04:05.000  QoS 1  11 bytes
	//   {
	//     "c": 61.5
	//   }
	// <nil>
}

// Untrusted text cannot control a terminal.
func ExampleAppendEscaped() {
	fmt.Println(string(format.AppendEscaped(nil, []byte("red: \x1b[31m, backwards: \u202e"))))
	// Output: red: \x1b[31m, backwards: \u202e
}

// An invalid line is reported with its position, and reading continues.
func ExampleRecordReader() {
	r := format.NewRecordReader(strings.NewReader(`{"topic": "a", "payload": "on"}
{"topic": "b", "pyload": "off"}
{"topic": "c", "payload": {"n": 1}}
`), 0)
	for {
		m, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s %s\n", m.Topic, m.Payload)
	}
	// Output:
	// a on
	// line 2:16: unknown key "pyload"; did you mean payload?
	// c {"n": 1}
}
