import { GenericContainer, Wait } from 'testcontainers'
import { expect, inject, onTestFinished, test } from 'vitest'
import { TINY } from '../support/images.js'

process.env.DOCKER_HOST = `unix://${inject('engine').socket}`
process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'

test('testcontainers starts a container, waits for its log, execs, copies and stops it', async () => {
  const container = await new GenericContainer(TINY)
    // It heeds SIGTERM, which pid 1 does only when it says so.
    .withCommand(['sh', '-c', 'trap exit TERM; echo ready; sleep 60 & wait'])
    .withEnvironment({ GREETING: 'hello' })
    .withCopyContentToContainer([{ content: 'copied', target: '/tmp/note' }])
    .withWaitStrategy(Wait.forLogMessage('ready'))
    .start()
  onTestFinished(async () => {
    await container.stop().catch(() => {})
  })
  const { output, exitCode } = await container.exec(['sh', '-c', 'echo $GREETING; cat /tmp/note'])
  expect({ output, exitCode }).toEqual({ output: 'hello\ncopied', exitCode: 0 })
  const logs = await container.logs()
  const line = await new Promise<string>((resolve) => logs.once('data', (chunk) => resolve(String(chunk))))
  expect(line).toContain('ready')
  await container.stop()
})
