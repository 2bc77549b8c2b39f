import { systemClock } from '@berth/core'
import { run } from '../command.exec.js'
import { removeByForce, startIdle } from './api-gauges.client.js'
import type { Bench, Gauge, OpenGauge, Subject } from './subject.js'

const none = async (): Promise<void> => undefined

/** Runs the engine's own command line; gives how long that took. */
export async function timeCli(
  { cli }: Subject,
  { signal }: Bench,
  ...args: readonly string[]
): Promise<number> {
  const began = systemClock.monotonicMs()
  await run(cli.program, [...cli.global, ...args], { env: cli.env, signal })
  return systemClock.monotonicMs() - began
}

export const cliStartGauge: OpenGauge = async (subject, bench) => {
  const name = `bench-${bench.id}`
  const args = ['run', '--detach', '--name', name, ...subject.cli.runOptions, bench.image]
  return {
    measure: async () => {
      const startedMs = await timeCli(subject, bench, ...args, '/bin/busybox', 'true')
      await timeCli(subject, bench, 'rm', '--force', name)
      return { 'cli-start': startedMs }
    },
    close: none,
  }
}

export const cliRunGauge: OpenGauge = async (subject, bench) => {
  const args = ['run', '--rm', ...subject.cli.runOptions, bench.image, '/bin/busybox', 'true']
  return {
    measure: async () => ({ 'cli-run': await timeCli(subject, bench, ...args) }),
    close: none,
  }
}

export const execCliGauge: OpenGauge = async (subject, bench): Promise<Gauge> => {
  const id = await startIdle(subject, bench)
  return {
    measure: async () => ({
      'exec-cli': await timeCli(subject, bench, 'exec', id, '/bin/busybox', 'true'),
    }),
    close: () => removeByForce(subject, bench, id),
  }
}
