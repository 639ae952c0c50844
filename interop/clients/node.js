// Runs MQTT.js in Node.js: reads one command per line, and writes one answer or event
// per line, in JSON.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import mqtt from 'mqtt'
import { driver } from './driver.js'

const command = driver(mqtt, said => process.stdout.write(JSON.stringify(said) + '\n'), readFileSync)
createInterface({ input: process.stdin }).on('line', line => command(JSON.parse(line))).on('close', () => process.exit())
