import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { purgeHost } from './purge.exec.js'
import { buildTinyImage, openTestRuntime } from './testing/index.js'

const REPO = join(import.meta.dirname, '..', '..', '..')

/** The example of docs/engine.md, as it stands there. */
function example(): string {
  const [, code = ''] = /```ts\n(.*?)```/s.exec(readFileSync(join(REPO, 'docs/engine.md'), 'utf8')) ?? []
  return code
}

/** An archive that `load` takes, in the directory where the example looks for it. */
async function writeImage(path: string): Promise<void> {
  const host = await openTestRuntime()
  try {
    await buildTinyImage(host.runtime)
    const parts: Uint8Array[] = []
    for await (const part of await host.runtime.images.save(['tiny:1'])) parts.push(part)
    writeFileSync(path, Buffer.concat(parts))
  } finally {
    await host.dispose()
  }
}

test('the runtime runs a container in the ten lines that the documentation shows', async () => {
  const dir = mkdtempSync('/tmp/berth-embed-')
  // Inside the package, so that the import finds it by its name.
  const program = join(REPO, 'packages/runtime/dist', `example-${process.pid}.ts`)
  try {
    await writeImage(join(dir, 'image.tar'))
    writeFileSync(program, example())
    const output = execFileSync(process.execPath, ['--no-warnings', program], { cwd: dir, encoding: 'utf8' })
    expect(output).toBe('hello 0\n')
  } finally {
    rmSync(program, { force: true })
    await purgeHost({
      ...{ root: join(dir, 'data'), runRoot: join(dir, 'run'), cgroupParent: '/example', keepData: false },
      network: { bridge: 'example0', subnet: '10.189.7.0/24' },
    })
    rmSync(dir, { recursive: true, force: true })
  }
})
