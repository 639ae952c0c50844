package main

import (
	"strings"
	"syscall"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// The reasons of differences that several cases share.
const (
	newer     = "2.1's behaviour, where Debian has 2.0.11"
	number    = "what is no number is refused and not read as 0"
	cause     = "names the address and the cause"
	denial    = "a refusal is an error, with status 5"
	own       = "own text, the same status"
	connects  = "the reason of the refusal is on one line"
	lossless  = "nothing of the message is lost or made invalid"
	propsText = "the property and what is wrong with it are named, without connecting"
)

// Anonymous users are refused, and user has limited rights.
const (
	passwords = "watcher:$7$101$N5V4aWEHEYFy40Y7$RQBWWCHAINBchO5H40xmXKic3bjMiPd7bqPlkjSuls4merqJp67NbCDjg0RLN/aWTMVUXgPrajqPChLHGpG5Fw==\n" +
		"user:$7$101$SJfzhKrng7oKHf/O$M5VpCs2bL3dVIGqlYXZScfdcSyJouxrrAlcxVSq3h8OHXVqbvHYum4+HfDODSoiA+dtDRNQlSSlfrYqjAF+QAQ==\n"
	acl     = "user watcher\ntopic readwrite #\nuser user\ntopic readwrite ok/#\n"
	guarded = "allow_anonymous false\npassword_file {dir}/passwords\nacl_file {dir}/acl\n"
)

// words splits a command line at blanks; ~ stands for a blank, and ” for the empty string.
func words(line string) []string {
	list := strings.Fields(line)
	for i, w := range list {
		if list[i] = strings.ReplaceAll(w, "~", " "); w == "''" {
			list[i] = ""
		}
	}
	return list
}

// at returns the words of a program that connects to the broker.
func at(program, line string) []string {
	return append([]string{program, "-h", "127.0.0.1", "-p", "{port}"}, words(line)...)
}

func pub(line string) []string { return at("mosquitto_pub", line) }
func sub(line string) []string { return at("mosquitto_sub", line) }
func rr(line string) []string  { return at("mosquitto_rr", line) }

// wrong returns cases that need no broker.
func wrong(why string, lines ...string) (list []scenario) {
	for _, line := range lines {
		list = append(list, scenario{words: words(line), none: true, why: why})
	}
	return list
}

// shows returns cases of what a subscriber prints for one retained message.
func shows(why string, m message, lines ...string) (list []scenario) {
	m.retain = true
	for _, line := range lines {
		list = append(list, scenario{words: sub(line + " -C 1"), before: []message{m}, why: why})
	}
	return list
}

// props returns a block of properties.
func props(of func(p packet.Properties) (packet.Properties, error)) packet.Properties {
	p, err := of(nil)
	if err != nil {
		panic(err)
	}
	return p
}

func pairs(list ...string) packet.Properties {
	return props(func(p packet.Properties) (_ packet.Properties, err error) {
		for i := 0; i < len(list) && err == nil; i += 2 {
			p, err = p.AppendUser([]byte(list[i]), []byte(list[i+1]))
		}
		return p, err
	})
}

func text(id packet.PropertyID, s string) packet.Properties {
	return props(func(p packet.Properties) (packet.Properties, error) { return p.AppendBytes(id, []byte(s)) })
}

// connack returns a CONNACK of 3.1.1 with a return code, connack5 one of 5.0.
func connack(code byte) []byte  { return []byte{0x20, 2, 0, code} }
func connack5(code byte) []byte { return []byte{0x20, 3, 0, code, 0} }

var cases = join(
	// Errors in the words.
	wrong("",
		"mosquitto_pub -q 3", "mosquitto_pub -q -1", "mosquitto_pub -p 65536", "mosquitto_pub -p -1", "mosquitto_pub -t", "mosquitto_pub --topic",
		"mosquitto_pub -q", "mosquitto_pub -p", "mosquitto_pub -h", "mosquitto_pub -m", "mosquitto_pub -f", "mosquitto_pub -V", "mosquitto_pub -M",
		"mosquitto_pub -k", "mosquitto_pub -i", "mosquitto_pub -I", "mosquitto_pub -u", "mosquitto_pub -P", "mosquitto_pub -A", "mosquitto_pub -L",
		"mosquitto_pub -x", "mosquitto_pub --cafile", "mosquitto_pub --capath", "mosquitto_pub --cert", "mosquitto_pub --key", "mosquitto_pub --ciphers",
		"mosquitto_pub --tls-version", "mosquitto_pub --tls-alpn", "mosquitto_pub --psk", "mosquitto_pub --psk-identity", "mosquitto_pub --proxy",
		"mosquitto_pub --repeat", "mosquitto_pub --repeat-delay", "mosquitto_pub --unix", "mosquitto_pub --will-topic", "mosquitto_pub --will-payload",
		"mosquitto_pub --will-qos", "mosquitto_pub --keyform", "mosquitto_pub --tls-engine", "mosquitto_pub --tls-engine-kpass-sha1", "mosquitto_pub -D",
		"mosquitto_pub -V 6", "mosquitto_pub -V 3.1.1", "mosquitto_pub -k 4", "mosquitto_pub -k 0", "mosquitto_pub -k 65536", "mosquitto_pub -M 0",
		"mosquitto_pub --repeat 0", "mosquitto_pub --repeat-delay -1", "mosquitto_pub --will-qos 3", "mosquitto_pub -x x", "mosquitto_pub -x 4294967296",
		"mosquitto_pub -x -2", "mosquitto_pub -C 1", "mosquitto_pub -v", "mosquitto_pub -N", "mosquitto_pub -T a", "mosquitto_pub -W 1", "mosquitto_pub -R",
		"mosquitto_pub stray", "mosquitto_pub -ta", "mosquitto_pub -qv", "mosquitto_pub --", "mosquitto_pub -", "mosquitto_pub ''",
		"mosquitto_pub -m a -m b", "mosquitto_pub -l -s", "mosquitto_pub -n -f x", "mosquitto_pub -i a -I b", "mosquitto_pub -I a -i b",
		"mosquitto_pub -t a/#", "mosquitto_pub -t +", "mosquitto_pub -t a\xff", "mosquitto_pub -t a\x01", "mosquitto_pub --will-topic #",
		"mosquitto_pub -L mqtt://h", "mosquitto_pub -t t -m x --will-payload x",
		"mosquitto_pub -t t -m x --will-retain", "mosquitto_pub -t t -m x --cert c", "mosquitto_pub -t t -m x --key c",
		"mosquitto_pub -t t -m x --psk ab --cafile f", "mosquitto_pub -t t -m x --psk ab", "mosquitto_pub -t t -m x -c", "mosquitto_pub -t t -m x -c -I me",
		"mosquitto_pub -t t -m x -V 5 -x -1", "mosquitto_pub -t t -m x -V 5 -x ∞", "mosquitto_pub -t t -m x -V 5 -c",
		"mosquitto_pub -D publish", "mosquitto_pub -D publish user-property k",
		"mosquitto_pub -D publish topic-alias-maximum 1", "mosquitto_pub -D puback reason-string x",
		"mosquitto_pub -D auth reason-string x", "mosquitto_pub -D publish payload-format-indicator 256", "mosquitto_pub -D connect receive-maximum 65536",
		"mosquitto_pub -D connect session-expiry-interval -1", "mosquitto_pub -D publish subscription-identifier 1",
		"mosquitto_sub --random-filter 0", "mosquitto_sub -t", "mosquitto_sub -t a#", "mosquitto_sub -t a/#/b", "mosquitto_sub -t a+", "mosquitto_sub -T a#", "mosquitto_sub -U a#",
		"mosquitto_sub -T", "mosquitto_sub -U", "mosquitto_sub -C", "mosquitto_sub -C 0", "mosquitto_sub -C -5", "mosquitto_sub -W", "mosquitto_sub -W 0",
		"mosquitto_sub -F", "mosquitto_sub -F %", "mosquitto_sub -F %0", "mosquitto_sub -F %-5", "mosquitto_sub -F %5.", "mosquitto_sub -F @",
		"mosquitto_sub -F %z", `mosquitto_sub -F \`, `mosquitto_sub -F \q`, "mosquitto_sub --random-filter", "mosquitto_sub -m x", "mosquitto_sub -r",
		"mosquitto_sub -l", "mosquitto_sub --repeat 2", "mosquitto_sub -e r", "mosquitto_sub -t t -R --retained-only",
		"mosquitto_rr", "mosquitto_rr -t t -m x", "mosquitto_rr -t t -e r", "mosquitto_rr -e +", "mosquitto_rr -e", "mosquitto_rr -r", "mosquitto_rr -C 1",
		"mosquitto_rr -l",
	),
	wrong(number, "mosquitto_pub -q abc", "mosquitto_pub -p password"),
	wrong(newer, "mosquitto_pub -o", "mosquitto_sub -t t --retain-handling x", "mosquitto_pub -D connect session-expiry-interval x",
		"mosquitto_pub --no-tls -q", "mosquitto_pub -t ''", "mosquitto_pub -L http://h/t", "mosquitto_pub -D nonsense content-type x",
		"mosquitto_pub -D publish nonsense x", "mosquitto_sub"),
	wrong("the help is of this program; the status is theirs", "mosquitto_pub --help", "mosquitto_sub --help", "mosquitto_rr --help", "mosquitto_pub -t t", "mosquitto_pub -m x"),
	wrong("the version is of this program; the status is theirs", "mosquitto_pub --version", "mosquitto_sub --version", "mosquitto_rr --version"),
	wrong(own+"; and only the scheme is repeated, for there may be a password", "mosquitto_pub --proxy http9://u:p@h"),
	wrong("there are no engines of OpenSSL here: says so, and the way out", "mosquitto_pub -t t -m x -h 127.0.0.1 -p {dead} --cafile /etc/ssl/certs/ca-certificates.crt --tls-engine e"),
	wrong("TLS 1.1 is not spoken here: says so", "mosquitto_pub -t t -m x -h 127.0.0.1 -p {dead} --cafile /etc/ssl/certs/ca-certificates.crt --tls-version tlsv1.1"),
	wrong("there are no pre-shared keys here: says so, and the way out", "mosquitto_pub -t t -m x -h 127.0.0.1 -p {dead} --psk ab --psk-identity me"),
	wrong(own, "mosquitto_pub -t t -f {dir}/none", "mosquitto_pub -t t -f {dir}", "mosquitto_pub -t t -s",
		"mosquitto_pub -t t -m x -P secret", "mosquitto_pub -t t -m x --cafile {dir}/none"),
	wrong(propsText, "mosquitto_pub -t t -m x -D publish content-type a -D publish content-type b", "mosquitto_pub -t t -m x -D publish topic-alias 0"),
	wrong(cause, "mosquitto_pub -h 127.0.0.1 -p {dead} -t t -m x", "mosquitto_sub -h 127.0.0.1 -p {dead} -t t", "mosquitto_rr -h 127.0.0.1 -p {dead} -t t -e r -m x",
		"mosquitto_pub --unix {dir}/none -t t -m x", "mosquitto_pub -h unknown.invalid -t t -m x", "mosquitto_pub -h 127.0.0.1 -p 0 -t t -m x"),
	wrong("", "mosquitto_pub -t t -m x -i ''", "mosquitto_pub -h 127.0.0.1 -p {dead} -t t -m x --quiet", "mosquitto_sub -h 127.0.0.1 -p {dead} -t t --quiet"),

	// What a publisher sends.
	[]scenario{
		{words: pub("-t t -m hello")},
		{words: pub("-t t -m ''")},
		{words: pub("-t t -n")},
		{words: pub("-t t -n -r"), before: []message{{topic: "t", payload: "old", retain: true}}},
		{words: pub("-t t -m hello -r")},
		{words: pub("-t t -m hello -q 1")},
		{words: pub("-t t -m hello -q 2")},
		{words: pub("-t t -m hello -q 2 -V mqttv31")},
		{words: pub("-t t -m hello -q 1 -V 5")},
		{words: pub("-t t -m a -t u")},
		{words: pub("-t t -m -x")},
		{words: pub("-t t -m hello --repeat 3")},
		{words: pub("-t t -m hello --repeat 3 --repeat-delay 0.01 -q 1")},
		{words: pub("-t t -m hello -i me -c")},
		{words: pub("-t t -m hello -I me")},
		{words: pub("-t t -m hello -k 5")},
		{words: pub("-t t -m hello --nodelay")},
		{words: pub("-t t -m hello -V 311 -D publish content-type a")},
		{words: pub("-t t -s"), stdin: "all\nof it\n"},
		{words: pub("-t t -l"), stdin: "one\ntwo\n\nfour\r\nlast"},
		{words: pub("-t t -l -q 1"), stdin: "one\ntwo\n\nfour\r\nlast"},
		{words: pub("-t t -l -q 2 --repeat 3"), stdin: "one\ntwo\n"},
		{words: pub("-t t -l -r"), stdin: "one\ntwo\n"},
		{words: pub("-t t -l"), stdin: "a\x00b\nc\n", why: "a line keeps its NUL bytes"},
		{words: pub("-t t -f {dir}/file"), files: map[string]string{"file": "from\x00file\n"}},
		{words: pub("-t t -f {dir}/file"), files: map[string]string{"file": ""}},
		{words: pub("-t t -f /dev/stdin"), stdin: "piped", why: "any file that can be read may be one"},
		{words: pub("-t t -m x -D publish content-type text/plain -D publish user-property k v -D publish user-property k w")},
		{words: pub("-t t -m x -D publish payload-format-indicator 1 -D publish message-expiry-interval 60")},
		{words: pub("-t t -m x -D publish message-expiry-interval 0x3c"), why: newer + ": numbers of 32 bits may be hexadecimal"},
		{words: pub("-t t -m x -q 1 -D publish response-topic r -D PUBLISH Correlation-Data abc")},
		{words: pub("-t t -m x --repeat 3 -D publish topic-alias 2 -q 1")},
		{words: pub("-t t -m x -D connect user-property a b -D disconnect user-property c d -V 5")},
		{words: pub("-t t -m x --will-topic w --will-payload gone --will-qos 1 --will-retain")},
		{words: pub("-t t -m x -q 2 -x 10 -i me")},
		{words: words("mosquitto_pub -L mqtt://127.0.0.1:{port}/a/b -m x")},
		{words: words("mosquitto_pub -L MQTT://user:secret@127.0.0.1:{port}/a/b -m x")},
		{words: words("mosquitto_pub -L mqtt://127.0.0.1:{port}/a%20b -m x"), why: "URLs are decoded"},
		{words: words("mosquitto_pub -h 127.0.0.1:{port} -t t -m x"), why: "a host may have its port"},
		{words: words("mosquitto_pub -m from/argv"), files: map[string]string{".config/mosquitto_pub": "# ours\n-h 127.0.0.1\n-t from/file\n-p {dead}\n"},
			why: cause},
		{words: pub("-m x"), files: map[string]string{".config/mosquitto_pub": "# ours\r\n-q 1\n-t from/file\n\n--will-topic w\n"}},
		{words: pub("-t argv -m x"), files: map[string]string{".config/mosquitto_pub": "-t from/file\n-i me\n"}},
		{words: pub("-m x"), files: map[string]string{".config/mosquitto_pub": "-t file -q 1\n"}},
		{words: pub("-m x -t t"), files: map[string]string{".config/mosquitto_pub": "-q 7\n"}, why: "the place in the file is named"},
		{words: pub("-t t -m x -d")},
		{words: pub("-t t -m x -d -q 2 -i me")},
		{words: pub("-t t -m x -d -q 1 -i me -V 5 -r")},
	},

	// How a publisher reacts to the broker.
	[]scenario{
		{words: pub("-t t -m x"), peer: peer{connack(1)}, why: connects},
		{words: pub("-t t -m x"), peer: peer{connack(2)}, why: connects},
		{words: pub("-t t -m x"), peer: peer{connack(3)}, why: connects},
		{words: pub("-t t -m x"), peer: peer{connack(4)}, why: connects},
		{words: pub("-t t -m x"), peer: peer{connack(5)}, why: connects},
		{words: pub("-t t -m x --quiet"), peer: peer{connack(5)}},
		{words: pub("-t t -m x -V 5"), peer: peer{connack5(0x87)}, why: connects},
		{words: pub("-t t -m x -V 5"), peer: peer{connack5(0x9f)}, why: connects},
		{words: pub("-t t -m x -V 5 --quiet"), peer: peer{connack5(0x86)}},
		{words: pub("-t t -m x -q 1"), peer: peer{connack(0), nil}, why: own},
		{words: pub("-t t -m x -q 1 --quiet"), peer: peer{connack(0), nil}},
		{words: pub("-t t -m x -q 1 -V 5 --quiet"), peer: peer{connack5(0), {0xe0, 2, 0x8b, 0}}},
		{words: pub("-t t -m x -q 1 -V 5"), peer: peer{connack5(0), {0x40, 4, 0, 1, 0x87, 0}, nil}, why: denial},
		{words: pub("-t t -m x -q 1 -V 5"), peer: peer{connack5(0), {0x40, 4, 0, 1, 0x10, 0}, nil}},
		{words: pub("-t t -m x -q 2 -V 5"), peer: peer{connack5(0), {0x50, 4, 0, 1, 0x97, 0}, nil}, why: denial},
		{words: pub("-t ok/t -m x -u user -P secret"), conf: guarded, files: map[string]string{"passwords": passwords, "acl": acl}},
		{words: pub("-t ok/t -m x -u user -P wrong"), conf: guarded, files: map[string]string{"passwords": passwords, "acl": acl}, why: connects},
		{words: pub("-t ok/t -m x"), conf: guarded, files: map[string]string{"passwords": passwords, "acl": acl}, why: connects},
		{words: pub("-t no -m x -q 1 -u user -P secret"), conf: guarded, files: map[string]string{"passwords": passwords, "acl": acl}},
		{words: pub("-t no -m x -q 1 -u user -P secret -V 5"), conf: guarded, files: map[string]string{"passwords": passwords, "acl": acl}, why: denial},
	},

	// What a subscriber prints.
	shows("", message{topic: "t", payload: "hello"}, "-t t", "-t t -v", "-t t -N", "-t t -v -N", "-t #", "-t + -v", "-t t -q 2", "-t t -V 5", "-t t -V 31",
		"-t t -F %t|%p|%q|%r|%l|%m", "-t t -v -F %p", "-t t -F %%", `-t t -F a\tb\\c\0d`, `-t t -N -F %p\n`, "-t t -F %I", "-t t -F @Y", "-t t -F @@", "-t t -F %x",
		"-t t -F %X", "-t t -F [%10t]", "-t t -F [%-10t]", "-t t -F [%.3t]", "-t t -F [%010t]", "-t t -F %5l", "-t t -F %-5l|", "-t t -F %05l", "-t t -F %5m",
		"-t t -F %A|%C|%D|%E|%F|%P|%R|%S", "-t t -F [%3p]", "-t t -F [%10p]", "-t t -F [%-10p]", "-t t -F [%010p]", "-t t -q 1 -F %q", "-t t --quiet"),
	shows("the size of the C type is not a reason to write another width", message{topic: "t", payload: "hello"}),
	shows("", message{topic: "t"}, "-t none -W 1"),
	shows(newer+": retain is a boolean", message{topic: "t", payload: "hello"}, "-t t -F %j"),
	shows(newer+": retain is a boolean", message{topic: "t", payload: `{"a":1}`}, "-t t -F %J"),
	shows(newer+": retain is a boolean, user properties an array", message{topic: "t", payload: "hello", props: pairs("k", "v", "k", "w")}, "-t t -V 5 -F %j"),
	shows("", message{topic: "t", payload: "hello", props: pairs("k", "v", "k", "w")}, "-t t -V 5 -F %P"),
	shows("", message{topic: "t", payload: "hello", props: text(packet.ContentType, "text/plain")}, "-t t -V 5 -F [%C]", "-t t -V 5 -F [%20C]", "-t t -V 5 -F [%-20C]"),
	shows("", message{topic: "t", payload: "hello", props: text(packet.ResponseTopic, "r")}, "-t t -V 5 -F [%R]"),
	shows("", message{topic: "t", payload: "hello", props: text(packet.CorrelationData, "id")}, "-t t -V 5 -F [%D]"),
	shows(lossless+"; numbers as they were written", message{topic: "t", payload: `{"big":12345678901234567890,"n":1.0}`}, "-t t -F %J"),
	shows(lossless, message{topic: "t", payload: "a\x00b"}, "-t t -F %j"),
	shows(lossless+"; what is no text becomes base64", message{topic: "t", payload: "a\xff"}, "-t t -F %j"),
	shows("", message{topic: "t", payload: "a\x00\xffb"}, "-t t", "-t t -v", "-t t -F %p", "-t t -F %x"),
	shows(newer+": wider than the payload is padded, and not cut in half", message{topic: "t", payload: "hello"}, "-t t -F [%12x]", "-t t -F %3x"),
	shows("refused at once, for there is nothing to show without JSON", message{topic: "t", payload: "no json"}),
	[]scenario{
		{words: sub("-t t -C 2"), feed: []message{{topic: "t", payload: "a"}, {topic: "t", payload: "b", qos: 1}, {topic: "t", payload: "c"}}},
		{words: sub("-t t -C 2 -q 2 -F %q:%r:%p"), feed: []message{{topic: "t", payload: "a", qos: 2}, {topic: "t", payload: "b", qos: 2, retain: true}}},
		{words: sub("-t t -v -C 1"), feed: []message{{topic: "t"}}},
		{words: sub("-t t -C 2"), feed: []message{{topic: "t"}, {topic: "t", payload: "a"}}},
		{words: sub("-t a -t b/# -v -C 3"), feed: []message{{topic: "a", payload: "1"}, {topic: "b", payload: "2"}, {topic: "b/c", payload: "3"}}},
		{words: sub("-t # -T b/# -v -C 2"), feed: []message{{topic: "b/c", payload: "1"}, {topic: "a", payload: "2"}, {topic: "c", payload: "3"}}},
		{words: sub("-t # -R -v -C 1"), before: []message{{topic: "a", payload: "old", retain: true}}, feed: []message{{topic: "a", payload: "new"}}},
		{words: sub("-t # -R -v -C 1 -V 5"), before: []message{{topic: "a", payload: "old", retain: true}}, feed: []message{{topic: "a", payload: "new"}}},
		{words: sub("-t # --retained-only -v"), before: []message{{topic: "a", payload: "1", retain: true}, {topic: "b", payload: "2", retain: true}},
			feed: []message{{topic: "c", payload: "3"}}},
		{words: sub("-t # --remove-retained -C 1 -W 3"), before: []message{{topic: "a", payload: "1", retain: true}}, why: "ends after its -C, and does not hang"},
		{words: sub("-t t -E")},
		{words: sub("-t t -E --insecure")},
		{words: sub("-t t -E -M 65535")},
		{words: sub("-t t -E -V 311 -D subscribe user-property a b")},
		{words: sub("-t t -E -F %j --pretty")},
		{words: sub("-t t -E -q 1 -c -i me")},
		{words: sub("-t t -W 1")},
		{words: sub("-t t -C 1 -W 1")},
		{words: sub("-t t -W 1 --quiet")},
		{words: sub("-t t"), signal: syscall.SIGTERM},
		{words: sub("-t t"), signal: syscall.SIGINT},
		{words: sub("-t t -V 5 --will-topic w --will-payload gone"), signal: syscall.SIGTERM},
		{words: sub("-t t --will-topic w --will-payload gone"), signal: syscall.SIGTERM},
		{words: sub("-t t -V 5 --will-topic w --will-payload gone -W 1")},
		{words: sub("-t t -U u -E")},
		{words: sub("-t a -t b -d -E -i me")},
		{words: sub("-t a -d -C 1 -i me -q 1"), feed: []message{{topic: "a", payload: "x", qos: 1}}, why: "a message is acknowledged after it is written"},
		{words: sub("-t a -C 1 -F %S -V 5 -D subscribe subscription-identifier 7"), feed: []message{{topic: "a", payload: "x"}}},
		{words: sub("-t a -C 1 --retain-as-published -V 5 -F %r"), feed: []message{{topic: "a", payload: "x", retain: true}}},
		{words: sub("-t $share/g/a -C 1 -V 5"), feed: []message{{topic: "a", payload: "x"}}},
		{words: words("mosquitto_sub -L mqtt://127.0.0.1:{port}/a/# -C 1 -v"), feed: []message{{topic: "a/b", payload: "x"}}},
		{words: sub("-t t"), peer: peer{connack(5)}},
		{words: sub("-t t --quiet"), peer: peer{connack(4)}},
		{words: sub("-t t -V 5"), peer: peer{connack5(0x85)}, why: own},
		{words: sub("-t t"), peer: peer{connack(0), {0x90, 3, 0, 1, 0x80}, nil}, why: denial},
		{words: sub("-t a -t b -V 5 -W 1"), peer: peer{connack5(0), {0x90, 5, 0, 1, 0, 0, 0x87}, nil}, why: denial + ", of one of two too"},
		{words: sub("-t no -W 1 -u user -P secret"), conf: guarded, files: map[string]string{"passwords": passwords, "acl": acl}},
	},

	// Requests.
	[]scenario{
		{words: rr("-t ask -e r -m q -W 5"), feed: []message{{topic: "r", payload: "yes"}}},
		{words: rr("-t ask -e r -m q -v -W 5 -q 1"), feed: []message{{topic: "r", payload: "yes", qos: 1}}},
		{words: rr("-t ask -e r -f {dir}/q -F %t:%p -W 5"), files: map[string]string{"q": "from file"}, feed: []message{{topic: "r", payload: "yes"}}, why: newer + ": 2.0 sends nothing of a file"},
		{words: rr("-t ask -e r -n -N -W 5"), feed: []message{{topic: "r", payload: "yes"}}},
		{words: rr("-t ask -e r -m q -W 5 -V 311"), feed: []message{{topic: "r", payload: "yes"}}},
		{words: rr("-t ask -e r -m q -W 5 -D publish correlation-data id"), feed: []message{{topic: "r", payload: "yes"}}},
		{words: rr("-t ask -e r -m q -W 5 -D publish correlation-data id"), feed: []message{{topic: "r", payload: "foreign", props: text(packet.CorrelationData, "x")},
			{topic: "r", payload: "yes", props: text(packet.CorrelationData, "id")}}, why: "a reply to another request is none"},
		{words: rr("-t ask -e r -m q -W 5"), before: []message{{topic: "r", payload: "stale", retain: true}}, feed: []message{{topic: "r", payload: "yes"}},
			why: "a message that was retained before is no reply"},
		{words: rr("-t ask -e r -m q -R -W 5"), before: []message{{topic: "r", payload: "stale", retain: true}}, feed: []message{{topic: "r", payload: "yes"}}, why: newer + ": -R works"},
		{words: rr("-t ask -e r -m q -W 1")},
		{words: rr("-t ask -e r -m q --will-topic w --will-payload gone -W 5"), feed: []message{{topic: "r", payload: "yes"}}, why: "says goodbye, so that no will is published"},
		{words: rr("-t ask -e r -m q"), peer: peer{connack5(0x87)}},
		{words: rr("-t ask -e r -m q -W 2"), peer: peer{connack5(0), {0x90, 4, 0, 1, 0, 0x87}, nil}, why: denial},
	},
)

func join(lists ...[]scenario) (all []scenario) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
