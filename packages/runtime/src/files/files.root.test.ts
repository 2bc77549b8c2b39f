import type { ContainerId } from '@berth/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildTinyImage, openTestRuntime, type TestRuntime, tarOf } from '../testing/index.js'

let host: TestRuntime
let id: ContainerId

beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime, {
    files: { 'etc/f': 'x' },
    lines: ['COPY etc /etc/', 'CMD ["sleep","1000"]'],
  })
  id = (await host.runtime.containers.create({ name: 'one', image: 'tiny:1' })).id
})
afterAll(() => host.dispose())

const bytesOf = async (archive: AsyncIterable<Uint8Array>) => {
  const parts: Uint8Array[] = []
  for await (const part of archive) parts.push(part)
  return Buffer.concat(parts)
}
async function* chunks(bytes: Buffer) {
  yield bytes
}

test('smoke', async () => {
  const { files } = host.runtime.containers
  for (const state of ['created', 'running']) {
    if (state === 'running') await host.runtime.containers.start(id)
    console.log(await files.stat(id, '/bin/sh'), await files.stat(id, '/etc/'), await files.stat(id, '/'))
    console.time('out')
    const out = await files.copyOut(id, '/etc')
    console.log(out.stat, (await bytesOf(out.archive)).length)
    console.timeEnd('out')
    await files.copyIn(
      id,
      '/etc',
      chunks(
        tarOf([
          { name: 'd/new', body: 'hello', uid: 5 },
          { name: 'ln', type: 'symlink', linkname: '/nope' },
        ]),
      ),
      { copyOwners: true },
    )
    console.log(await files.diff(id))
    console.log((await bytesOf(await files.export(id))).length)
    const image = await host.runtime.containers.commit(id, { reference: 'c:1', comment: 'z' })
    console.log(image.diffIds.length)
  }
  await expect(files.stat(id, '/nope')).rejects.toMatchObject({ code: 'file.not_found' })
})
