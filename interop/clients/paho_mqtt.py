"""Clients of paho-mqtt that do what a test says: a command and an answer or
event per line, in JSON. commands_test.go has the fields of both."""

import base64
import json
import socket
import sys
import threading
from urllib.parse import urlparse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCodes
from paho.mqtt.subscribeoptions import SubscribeOptions

BINARY = "correlationData", "authenticationData"
NAMES = {"userProperties": "UserProperty", "subscriptionIdentifiers": "SubscriptionIdentifier"}
OURS = {theirs: ours for ours, theirs in NAMES.items()}
out = threading.Lock()


def say(client, **said):
    with out:
        sys.stdout.write(json.dumps({"client": client, **said}) + "\n")
        sys.stdout.flush()


def theirs(packet, properties):
    p = Properties(packet)
    for name, value in (properties or {}).items():
        if name in BINARY:
            value = base64.b64decode(value)
        elif name == "userProperties":
            value = [tuple(pair) for pair in value]
        elif name == "subscriptionIdentifiers":
            value = value[0]
        setattr(p, NAMES.get(name, name[0].upper() + name[1:]), value)
    return p


def ours(properties):
    p = {}
    for name, value in vars(properties).items() if properties else ():
        if name in ("packetType", "types", "names", "properties"):
            continue
        name = OURS.get(name, name[0].lower() + name[1:])
        if name in BINARY:
            value = base64.b64encode(value).decode()
        elif name == "payloadFormatIndicator":
            value = bool(value)
        p[name] = value
    return p


class Client:
    def __init__(self, number):
        self.number = number
        self.client = None
        self.acks = {}  # by packet identifier: answers that came before they were awaited
        self.changed = threading.Condition()

    def connect(self, c):
        self.v5 = c["version"] == 5
        if self.client is None or c["clean"]:
            self.make(c)
        self.up = self.over = False
        self.quit = not c["reconnect"]
        url = urlparse(c["url"])
        args = {}
        if self.v5:
            args = {"clean_start": c["clean"], "properties": theirs(PacketTypes.CONNECT, c.get("properties"))}
        self.gone = threading.Event()
        self.client.connect(url.hostname, url.port, c["keepAlive"], **args)
        self.client.loop_start()

    def make(self, c):
        url = urlparse(c["url"])
        args = {} if self.v5 else {"clean_session": c["clean"]}
        m = self.client = mqtt.Client(c["id"], protocol={3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[c["version"]],
                                      transport="websockets" if url.scheme.startswith("ws") else "tcp", **args)
        m.reconnect_delay_set(1, 1)
        if url.scheme in ("mqtts", "wss"):
            m.tls_set(c["ca"])
        if c.get("user"):
            m.username_pw_set(c["user"], c.get("password"))
        if c.get("will"):
            w = c["will"]
            m.will_set(w["topic"], base64.b64decode(w["payload"]), w["qos"], w["retain"],
                       theirs(PacketTypes.WILLMESSAGE, w.get("properties")) if self.v5 else None)
        m.on_connect, m.on_message, m.on_disconnect = self.connected, self.message, self.disconnected
        m.on_publish = lambda _c, _u, mid: self.acked(mid, {})
        m.on_subscribe = lambda _c, _u, mid, granted, *_: self.acked(mid, {"reasons": [code(g) for g in granted]})
        m.on_unsubscribe = self.unsubscribed

    def connected(self, _client, _userdata, flags, rc, properties=None):
        if code(rc):
            self.over = True
            say(self.number, answer={"error": str(rc), "reason": code(rc)})
            return
        answer = {"sessionPresent": bool(flags["session present"]), "properties": ours(properties)}
        if self.up:
            say(self.number, up=answer)
        else:
            say(self.number, answer=answer)
        self.up = True

    def disconnected(self, _client, _userdata, rc, _properties=None):
        if self.up:
            say(self.number, lost={"reason": rc.value if isinstance(rc, ReasonCodes) else 0})
        elif not self.over:
            self.over = True
            say(self.number, answer={"error": "the connection is closed"})
        if self.quit:
            self.client.disconnect()  # which keeps its loop from reconnecting
        self.gone.set()

    def message(self, _client, _userdata, m):
        say(self.number, message={"topic": m.topic, "payload": base64.b64encode(m.payload).decode(), "qos": m.qos,
                                  "retain": bool(m.retain), "properties": ours(getattr(m, "properties", None))})

    def unsubscribed(self, _client, _userdata, mid, _properties=None, reasons=None):
        reasons = reasons if isinstance(reasons, list) else [reasons]
        self.acked(mid, {"reasons": [code(r) for r in reasons if r is not None]})

    def acked(self, mid, answer):
        with self.changed:
            self.acks[mid] = answer
            self.changed.notify_all()

    # ack waits for the answer to a packet.
    def ack(self, mid):
        with self.changed:
            self.changed.wait_for(lambda: mid in self.acks)
            return self.acks.pop(mid)

    def subscribe(self, c):
        if self.v5:
            filters = [(f["filter"], SubscribeOptions(f["qos"], f["noLocal"], f["retainAsPublished"], f["retainHandling"])) for f in c["filters"]]
            _, mid = self.client.subscribe(filters, properties=theirs(PacketTypes.SUBSCRIBE, c.get("properties")))
        else:
            _, mid = self.client.subscribe([(f["filter"], f["qos"]) for f in c["filters"]])
        return self.ack(mid)

    def unsubscribe(self, c):
        _, mid = self.client.unsubscribe([f["filter"] for f in c["filters"]])
        return self.ack(mid)

    def publish(self, c):
        m = c["message"]
        properties = theirs(PacketTypes.PUBLISH, m.get("properties")) if self.v5 else None
        payloads = range(c["count"]) if c.get("count") else [base64.b64decode(m["payload"])]
        infos = [self.client.publish(m["topic"], payload, m["qos"], m["retain"], properties) for payload in payloads]
        for info in infos:
            self.ack(info.mid)
        return {}

    def disconnect(self, c):
        self.quit = True
        reason = ReasonCodes(PacketTypes.DISCONNECT, identifier=c["reason"]) if self.v5 else None
        self.client.disconnect(reason)
        return self.end()

    def abort(self, _c):
        s = self.client.socket()
        getattr(s, "_socket", s).shutdown(socket.SHUT_RDWR)
        return self.end()

    def end(self):
        self.gone.wait()
        self.client.loop_stop()
        return {}


def code(reason):
    return reason.value if isinstance(reason, ReasonCodes) else reason


def perform(client, c):
    try:
        if c["do"] == "connect":
            client.connect(c)  # the answer comes with CONNACK
        else:
            say(client.number, answer=getattr(client, c["do"])(c))
    except Exception as e:  # pylint: disable=broad-except
        say(client.number, answer={"error": f"{type(e).__name__}: {e}"})


clients = {}
for line in sys.stdin:
    command = json.loads(line)
    n = command["client"]
    target = clients.setdefault(n, Client(n))
    threading.Thread(target=perform, args=(target, command), daemon=True).start()
