import { request } from 'node:http'
import { fault, systemClock } from '@berth/core'
import { run } from '../command.exec.js'
import { callApi } from '../engine-api.client.js'
import type { Bench, OpenGauge, Subject } from './subject.js'

const DEADLINE_MS = 300_000

/** Sends a body, from memory so that the client costs little, or none, and reads progress lines to their end. @throws bench.api_failed with what the engine says went wrong */
export function stream(
  { api }: Subject,
  path: string,
  body: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: api.socket,
        path: `${api.prefix}${path}`,
        method: 'POST',
        headers: body ? { 'Content-Type': 'application/x-tar' } : {},
        signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
      },
      (response) => {
        let end = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          end = (end + text).slice(-2_000)
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200 && !end.includes('"error"')) return resolve()
          reject(
            fault.internal(
              'bench.api_failed',
              `POST ${path} answered ${response.statusCode}: ${end.slice(-300)}`,
            ),
          )
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

export const removeImage = async ({ api }: Subject, { signal }: Bench, name: string): Promise<void> =>
  void (await callApi(api, 'DELETE', `/images/${encodeURIComponent(name)}?force=1`, undefined, signal))

/** Loads an archive of `docker save`. */
export const loadImage = (subject: Subject, archive: Uint8Array, signal: AbortSignal): Promise<void> =>
  stream(subject, '/images/load?quiet=1', archive, signal)

const pullGauge: OpenGauge = async (subject, bench) => {
  const { reference } = await bench.bigImage()
  const [, repository = '', tag = ''] = /^(.+):([^:/]+)$/.exec(reference) ?? []
  return onDisk(subject, bench, reference, 'pull', () =>
    stream(
      subject,
      `/images/create?fromImage=${encodeURIComponent(repository)}&tag=${tag}`,
      undefined,
      bench.signal,
    ),
  )
}

const loadGauge: OpenGauge = async (subject, bench) => {
  const { archive } = await bench.bigImage()
  return onDisk(subject, bench, BIG, 'load', () => loadImage(subject, archive, bench.signal))
}

/** What the archive calls its image. */
export const BIG = 'localhost/berth-bench-big:1'

/** Before each measurement the disk is idle and the image is not there. */
async function onDisk(
  subject: Subject,
  bench: Bench,
  name: string,
  row: 'pull' | 'load',
  work: () => Promise<void>,
) {
  return {
    measure: async () => {
      await run('sync', [], { signal: bench.signal })
      const began = systemClock.monotonicMs()
      await work()
      const figures = { [row]: systemClock.monotonicMs() - began }
      await removeImage(subject, bench, name)
      return figures
    },
    close: async () => undefined,
  }
}

export { loadGauge, pullGauge }
