// Runs MQTT.js clients for a test, in Node.js and in a browser. driver(mqtt, say)
// returns a function that takes one command; answers and events are passed to say.
// commands_test.go defines the fields of both.

function bytes (text) {
  const s = atob(text)
  const b = new Uint8Array(s.length)
  for (let i = 0; i < s.length; i++) b[i] = s.charCodeAt(i)
  return b
}

function text (bytes) {
  let s = ''
  for (let i = 0; i < bytes.length; i += 0x8000) s += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(s)
}

// theirs converts properties to those of MQTT.js, ours converts them back.
function theirs (properties = {}) {
  const p = { ...properties }
  for (const name of ['correlationData', 'authenticationData']) if (p[name]) p[name] = bytes(p[name])
  if (p.subscriptionIdentifiers) p.subscriptionIdentifier = p.subscriptionIdentifiers[0]
  delete p.subscriptionIdentifiers
  if (p.userProperties) {
    const byName = {}
    for (const [k, v] of p.userProperties) (byName[k] ??= []).push(v)
    p.userProperties = byName
  }
  return p
}

function ours (properties = {}) {
  const p = { ...properties }
  for (const name of ['correlationData', 'authenticationData']) if (p[name]) p[name] = text(p[name])
  if (p.subscriptionIdentifier) p.subscriptionIdentifiers = [p.subscriptionIdentifier].flat()
  delete p.subscriptionIdentifier
  if (p.userProperties) p.userProperties = Object.entries(p.userProperties).flatMap(([k, v]) => [v].flat().map(v => [k, v]))
  return p
}

const refusal = error => ({ error: error.message || String(error), reason: error.code > 0 ? error.code : 0 })

export function driver (mqtt, say, readFile) {
  const clients = new Map() // by number: the MQTT.js client, its stores, and the function that answers a challenge

  // connect calls done at the first event that completes it.
  function connect (number, state, c, done) {
    if (!state.stores || c.clean) {
      state.stores = { incomingStore: new mqtt.Store({ clean: false }), outgoingStore: new mqtt.Store({ clean: false }) }
    }
    const properties = c.version === 5 ? theirs(c.properties) : undefined
    const client = mqtt.connect(c.url, {
      ...state.stores,
      protocolVersion: c.version,
      protocolId: c.version === 3 ? 'MQIsdp' : 'MQTT',
      clientId: c.id,
      clean: c.clean,
      keepalive: c.keepAlive,
      reconnectPeriod: c.reconnect ? 20 : 0,
      resubscribe: false,
      username: c.user || undefined,
      password: c.password || undefined,
      ca: c.ca && readFile ? readFile(c.ca) : undefined,
      will: c.will && { ...c.will, payload: bytes(c.will.payload), properties: c.version === 5 ? theirs(c.will.properties) : undefined },
      properties
    })
    state.client = client
    client.handleAuth = (packet, callback) => {
      state.answer = data => callback(null, { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: properties.authenticationMethod, authenticationData: bytes(data) } })
      say({ client: number, challenge: ours(packet.properties).authenticationData })
    }
    let up = false
    client.on('connect', connack => {
      const answer = { sessionPresent: connack.sessionPresent, properties: ours(connack.properties) }
      if (up) say({ client: number, up: answer })
      up = true
      done(answer)
    })
    client.on('message', (topic, payload, packet) => say({
      client: number,
      message: { topic, payload: text(payload), qos: packet.qos, retain: packet.retain, properties: ours(packet.properties) }
    }))
    let reason = 0
    client.on('disconnect', packet => { reason = packet.reasonCode })
    client.on('error', error => { done(refusal(error)); if (!up) client.end(true) })
    client.on('close', () => {
      done({ error: 'the connection is closed' })
      if (up) say({ client: number, lost: { reason } })
    })
  }

  const verbs = {
    subscribe: (client, c) => new Promise(resolve => {
      const filters = {}
      for (const f of c.filters) filters[f.filter] = { qos: f.qos, nl: f.noLocal, rap: f.retainAsPublished, rh: f.retainHandling }
      client.subscribe(filters, { properties: theirs(c.properties) }, (error, granted, packet) =>
        resolve(packet?.granted ? { reasons: packet.granted } : refusal(error)))
    }),
    unsubscribe: (client, c) => new Promise(resolve =>
      client.unsubscribe(c.filters.map(f => f.filter), (error, packet) => resolve(error ? refusal(error) : { reasons: packet.granted ?? [] }))),
    publish: async (client, c) => {
      const m = c.message
      const options = { qos: m.qos, retain: m.retain, properties: theirs(m.properties) }
      const payloads = c.count ? Array.from({ length: c.count }, (_, i) => String(i)) : [bytes(m.payload)]
      await Promise.all(payloads.map(payload => client.publishAsync(m.topic, payload, options)))
      return {}
    },
    disconnect: (client, c) => new Promise(resolve => client.end(false, { reasonCode: c.reason }, () => resolve({}))),
    abort: client => new Promise(resolve => {
      client.options.reconnectPeriod = 0
      client.once('close', () => resolve({}))
      client.stream.destroy()
    })
  }

  return c => {
    let open = true
    const done = answer => {
      if (open) say({ client: c.client, answer })
      open = false
    }
    if (!clients.has(c.client)) clients.set(c.client, {})
    const state = clients.get(c.client)
    try {
      if (c.do === 'connect') connect(c.client, state, c, done)
      else if (c.do === 'authenticate') state.answer(c.data)
      else verbs[c.do](state.client, c).then(done, error => done(refusal(error)))
    } catch (error) {
      done(refusal(error))
    }
  }
}
