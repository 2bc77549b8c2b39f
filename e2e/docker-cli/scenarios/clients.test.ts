import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Docker from 'dockerode'
import { expect, inject, onTestFinished, test } from 'vitest'
import { unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

const docker = new Docker({ socketPath: inject('engine').socket })

async function container(options: Partial<Docker.ContainerCreateOptions>): Promise<Docker.Container> {
  const made = await docker.createContainer({ name: unique('sdk'), Image: TINY, ...options })
  onTestFinished(async () => {
    await made.remove({ force: true }).catch(() => {})
  })
  return made
}

/** stdout and stderr of a multiplexed stream, to its end. */
async function demultiplexed(stream: NodeJS.ReadableStream): Promise<{ stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  docker.modem.demuxStream(stream, stdout, stderr)
  stream.on('end', () => {
    stdout.end()
    stderr.end()
  })
  const [a, b] = await Promise.all([text(stdout), text(stderr)])
  return { stdout: a, stderr: b }
}

test('dockerode attaches before the start and gets both streams and the exit code', async () => {
  const made = await container({ Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 7'] })
  const stream = await made.attach({ stream: true, stdout: true, stderr: true })
  const output = demultiplexed(stream)
  await made.start()
  expect(await made.wait()).toMatchObject({ StatusCode: 7 })
  expect(await output).toEqual({ stdout: 'out\n', stderr: 'err\n' })
})

test('dockerode writes to stdin over a hijacked connection and ends it', async () => {
  const made = await container({ Cmd: ['cat'], OpenStdin: true, StdinOnce: true })
  const stream = await made.attach({ stream: true, stdin: true, stdout: true, hijack: true })
  const output = demultiplexed(stream)
  await made.start()
  stream.end('through and back\n')
  expect((await output).stdout).toBe('through and back\n')
  expect(await made.wait()).toMatchObject({ StatusCode: 0 })
})

test('dockerode execs, and the exit code is there when the output has ended', async () => {
  const made = await container({ Cmd: ['sleep', '60'] })
  await made.start()
  const exec = await made.exec({
    Cmd: ['sh', '-c', 'echo $WHO; exit 3'],
    Env: ['WHO=me'],
    AttachStdout: true,
    AttachStderr: true,
  })
  const { stdout } = await demultiplexed(await exec.start({ hijack: true }))
  expect(stdout).toBe('me\n')
  expect(await exec.inspect()).toMatchObject({ ExitCode: 3, Running: false })
})

test('dockerode copies an archive in and out', async () => {
  const source = await container({ Cmd: ['sh', '-c', 'mkdir /d; echo inside > /d/file'] })
  await source.start()
  await source.wait()
  const target = await container({ Cmd: ['cat', '/tmp/d/file'] })
  const archive = (await source.getArchive({ path: '/d' })) as unknown as Readable
  await target.putArchive(archive, { path: '/tmp' })
  await target.start()
  await target.wait()
  const logs = (await target.logs({ stdout: true, stderr: true })) as unknown as Buffer
  expect(logs.subarray(8).toString()).toBe('inside\n')
})

test('dockerode follows logs to the end of the container', async () => {
  const made = await container({ Cmd: ['sh', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.1; done'] })
  await made.start()
  const { stdout } = await demultiplexed(await made.logs({ follow: true, stdout: true, stderr: true }))
  expect(stdout).toBe('line 1\nline 2\nline 3\n')
})

test('dockerode reads events and stats', async () => {
  const made = await container({ Cmd: ['sleep', '60'] })
  const events = (await docker.getEvents({ filters: { container: [made.id] } })) as Readable
  onTestFinished(() => void events.destroy())
  const first = new Promise<string>((resolve) => events.once('data', (chunk) => resolve(String(chunk))))
  await made.start()
  expect(JSON.parse((await first).split('\n')[0] ?? '')).toMatchObject({ Action: 'start', id: made.id })
  const stats = await made.stats({ stream: false })
  expect(stats.memory_stats.usage).toBeGreaterThan(0)
})
