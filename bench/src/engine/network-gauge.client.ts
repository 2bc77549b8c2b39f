import { systemClock } from '@berth/core'
import { callApi } from '../engine-api.client.js'
import { removeByForce, startIdle } from './api-gauges.client.js'
import type { OpenGauge } from './subject.js'

/** A network of one's own, from its creation to its end, with a container that runs all the time. */
export const networkGauge: OpenGauge = async (subject, bench) => {
  const { api } = subject
  const { signal } = bench
  const container = await startIdle(subject, bench)
  let count = 0
  return {
    measure: async () => {
      count += 1
      const began = systemClock.monotonicMs()
      const body = { Name: `${bench.id}-${count}`, Driver: 'bridge' }
      const { Id } = JSON.parse(await callApi(api, 'POST', '/networks/create', body, signal)) as {
        Id: string
      }
      try {
        await callApi(api, 'POST', `/networks/${Id}/connect`, { Container: container }, signal)
        await callApi(
          api,
          'POST',
          `/networks/${Id}/disconnect`,
          { Container: container, Force: true },
          signal,
        )
      } finally {
        await callApi(api, 'DELETE', `/networks/${Id}`, undefined, signal)
      }
      return { 'network-life': systemClock.monotonicMs() - began }
    },
    close: () => removeByForce(subject, bench, container),
  }
}
