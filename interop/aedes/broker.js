// Runs the broker aedes for the interop tests. The user joe, whose password is hunter2,
// may use all topics except those below secret/.
//
//     node broker.js PORT TLS_PORT WEBSOCKET_PORT CERT_FILE KEY_FILE
//
// It prints "ready" once it listens on all ports.
import { readFileSync } from 'node:fs'
import { createServer as http } from 'node:http'
import { createServer as tcp } from 'node:net'
import { createServer as tls } from 'node:tls'
import { Aedes } from 'aedes'
import { createWebSocketStream, WebSocketServer } from 'ws'

const [port, tlsPort, wsPort, cert, key] = process.argv.slice(2)
const denied = topic => topic.startsWith('secret/')
const broker = await Aedes.createBroker({
  authenticate (client, username, password, done) {
    const ok = username === 'joe' && String(password) === 'hunter2'
    done(ok ? null : Object.assign(new Error('no'), { returnCode: 4 }), ok)
  },
  authorizeSubscribe: (client, sub, done) => done(null, denied(sub.topic) ? null : sub),
  authorizePublish: (client, packet, done) => done(denied(packet.topic) ? new Error('denied') : null)
})

const web = http()
new WebSocketServer({ server: web, path: '/mqtt', handleProtocols: () => 'mqtt' })
  .on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request))

const servers = [[tcp(broker.handle), port], [tls({ cert: readFileSync(cert), key: readFileSync(key) }, broker.handle), tlsPort], [web, wsPort]]
await Promise.all(servers.map(([server, port]) => new Promise(resolve => server.listen(Number(port), '127.0.0.1', resolve))))
console.log('ready')
