import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { fault, systemClock } from '@berth/core'
import { run } from '../command.exec.js'
import { callApi } from '../engine-api.client.js'
import { removeByForce, startIdle } from './api-gauges.client.js'
import type { Bench, OpenGauge, Subject } from './subject.js'

const IPERF = 5201
const HELLO = 8000
const BYTES = '4G'
const CONNECTIONS = 5_000
const IN_FLIGHT = 16
const READY_MS = 5_000
const GREETER = `require('node:net').createServer((s) => { s.on('error', () => {}); s.end('x') }).listen(${HELLO})`

interface Facts {
  readonly State: { readonly Pid: number }
  readonly NetworkSettings: {
    readonly IPAddress: string
    readonly Gateway: string
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>
  }
}

const inspect = async ({ api }: Subject, { signal }: Bench, id: string): Promise<Facts> =>
  JSON.parse(await callApi(api, 'GET', `/containers/${id}/json`, undefined, signal)) as Facts

/** The host's programs in the containers' network namespaces: the image need not have them. */
const inside = ({ State }: Facts, program: string, args: readonly string[]) =>
  ['-t', `${State.Pid}`, '-n', program, ...args] as const

const portOf = ({ NetworkSettings }: Facts, port: number): number =>
  Number(NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort)

/** Two containers on the default network; the host calls published ports under the network's gateway, so over the packet rules and no proxy. */
export const trafficGauge: OpenGauge = async (subject, bench) => {
  const publish = { [`${IPERF}/tcp`]: [{ HostPort: '' }], [`${HELLO}/tcp`]: [{ HostPort: '' }] }
  const ids = [await startIdle(subject, bench, publish), await startIdle(subject, bench)] as const
  const [server, client] = [await inspect(subject, bench, ids[0]), await inspect(subject, bench, ids[1])]
  const start = (program: string, ...args: string[]): ChildProcess =>
    spawn('nsenter', inside(server, program, args), { stdio: 'ignore' })
  const programs = [start('iperf3', '-s'), start(process.execPath, '-e', GREETER)]
  const { IPAddress, Gateway } = server.NetworkSettings
  await Promise.all([IPERF, HELLO].map((port) => ready(Gateway, portOf(server, port))))
  return {
    measure: async () => ({
      'traffic-between': await timed(() =>
        run('nsenter', inside(client, 'iperf3', ['-c', IPAddress, '-n', BYTES])),
      ),
      'traffic-published': await timed(() =>
        run('iperf3', ['-c', Gateway, '-p', `${portOf(server, IPERF)}`, '-n', BYTES]),
      ),
      connections: await timed(() => connectOften(Gateway, portOf(server, HELLO))),
    }),
    close: async () => {
      for (const program of programs) program.kill('SIGKILL')
      for (const id of ids) await removeByForce(subject, bench, id)
    },
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = systemClock.monotonicMs()
  await work()
  return systemClock.monotonicMs() - began
}

async function connectOften(host: string, port: number): Promise<void> {
  let left = CONNECTIONS
  const worker = async () => {
    while (left-- > 0) await greet(host, port)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}

/** One connection, to its end. */
const greet = (host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.once('error', reject)
    socket.once('close', () => resolve())
    socket.resume()
  })

/** @throws bench.traffic_failed when nobody answers in time */
async function ready(host: string, port: number): Promise<void> {
  const deadline = systemClock.monotonicMs() + READY_MS
  for (;;) {
    const refusal = await greetOnce(host, port)
    if (!refusal) return
    if (systemClock.monotonicMs() > deadline)
      throw fault.unavailable('bench.traffic_failed', `nobody answers on ${host}:${port}: ${refusal}`)
    await systemClock.sleep(50)
  }
}

const greetOnce = (host: string, port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error) => resolve(error.message))
  })
