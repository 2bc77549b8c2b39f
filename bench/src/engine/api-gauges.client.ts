import { fault, systemClock } from '@berth/core'
import { callApi, measureByApi } from '../engine-api.client.js'
import type { Bench, Gauge, OpenGauge, Subject } from './subject.js'

const TRUE = ['/bin/busybox', 'true']
const IDLE = ['/bin/busybox', 'sleep', '1000000']
const none = async (): Promise<void> => undefined

/** Starts a container that does nothing; gives its id. `publish` is as the API's ExposedPorts and PortBindings. */
export async function startIdle(
  subject: Subject,
  bench: Bench,
  publish: Readonly<Record<string, readonly { readonly HostPort: string }[]>> = {},
): Promise<string> {
  const { api, hostConfig } = subject
  const body = {
    ...{ Image: bench.image, Cmd: IDLE, HostConfig: { ...hostConfig, PortBindings: publish } },
    ExposedPorts: Object.fromEntries(Object.keys(publish).map((port) => [port, {}])),
  }
  const { Id } = JSON.parse(await callApi(api, 'POST', '/containers/create', body, bench.signal)) as {
    Id: string
  }
  await callApi(api, 'POST', `/containers/${Id}/start`, undefined, bench.signal)
  return Id
}

export const removeByForce = async ({ api }: Subject, { signal }: Bench, id: string): Promise<void> =>
  void (await callApi(api, 'DELETE', `/containers/${id}?force=1&v=1`, undefined, signal))

export const lifeGauge: OpenGauge = async ({ api, hostConfig }, { image, signal }) => ({
  measure: async () => {
    const container = { Image: image, Cmd: TRUE, HostConfig: hostConfig }
    const { startedMs, removedMs } = await measureByApi(api, container, signal)
    return { start: startedMs, life: removedMs }
  },
  close: none,
})

export const execApiGauge: OpenGauge = async (subject, bench): Promise<Gauge> => {
  const { api } = subject
  const id = await startIdle(subject, bench)
  return {
    measure: async () => {
      const began = systemClock.monotonicMs()
      const wanted = { Cmd: TRUE, AttachStdout: true, AttachStderr: true }
      const created = await callApi(api, 'POST', `/containers/${id}/exec`, wanted, bench.signal)
      const { Id } = JSON.parse(created) as { Id: string }
      await callApi(api, 'POST', `/exec/${Id}/start`, { Detach: false, Tty: false }, bench.signal)
      const ended = await callApi(api, 'GET', `/exec/${Id}/json`, undefined, bench.signal)
      const { ExitCode } = JSON.parse(ended) as { ExitCode: number }
      if (ExitCode !== 0) throw fault.internal('bench.api_failed', `exec of true ended with ${ExitCode}`)
      return { 'exec-api': systemClock.monotonicMs() - began }
    },
    close: () => removeByForce(subject, bench, id),
  }
}
