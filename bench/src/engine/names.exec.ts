import { fileURLToPath } from 'node:url'
import { fault } from '@berth/core'
import { run } from '../command.exec.js'
import { callApi } from '../engine-api.client.js'
import { removeByForce, startIdle } from './api-gauges.client.js'
import type { NamesReport } from './names.child.js'
import type { OpenGauge } from './subject.js'

const CHILD = fileURLToPath(new URL('./names.child.js', import.meta.url))
const PER_SECOND = 5_000
const SECONDS = 5
const NAME = 'target'

/** One container of a user's network asks for the address of another at a set pace, from its own network namespace. */
export const namesGauge: OpenGauge = async (subject, bench) => {
  const { api } = subject
  const { signal } = bench
  const network = `${bench.id}-names`
  await callApi(api, 'POST', '/networks/create', { Name: network, Driver: 'bridge' }, signal)
  const ids = [await startIdle(subject, bench), await startIdle(subject, bench)] as const
  for (const [id, aliases] of [
    [ids[0], []],
    [ids[1], [NAME]],
  ] as const) {
    const body = { Container: id, EndpointConfig: { Aliases: aliases } }
    await callApi(api, 'POST', `/networks/${network}/connect`, body, signal)
  }
  const facts = JSON.parse(await callApi(api, 'GET', `/containers/${ids[0]}/json`, undefined, signal)) as {
    readonly State: { readonly Pid: number }
  }
  return {
    measure: async () => {
      const inside = ['-t', `${facts.State.Pid}`, '-n', process.execPath, CHILD]
      const report = JSON.parse(
        await run('nsenter', [...inside, NAME, `${PER_SECOND}`, `${SECONDS}`]),
      ) as NamesReport
      if (report.answered < report.asked)
        throw fault.unavailable(
          'bench.names_lost',
          `${report.answered} of ${report.asked} questions were answered at 127.0.0.11`,
        )
      return { 'names-p50': report.p50Ms, 'names-p99': report.p99Ms }
    },
    close: async () => {
      for (const id of ids) await removeByForce(subject, bench, id)
      await callApi(api, 'DELETE', `/networks/${network}`, undefined, signal)
    },
  }
}
